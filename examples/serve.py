"""Serve a model over HTTP: events in, recommendations out. ``pip install '.[serve]'`` brings what it needs.

    python examples/serve.py shop.safetensors --state sessions.db
    curl -d '{"session": "s1", "user": "ann", "item": "A17"}' localhost:8000/events
    curl -d '{"session": "s1", "k": 5, "exclude": ["A17"]}' localhost:8000/recommend

A request to /recommend may bring an event, too. A new model file is read by itself, at SIGHUP, or at a POST to /reload.
A session ends an hour after its last event and rolls into the model's memory, unless that was before the model file was
written. Sessions are in memory; with --state in a file, from which a server goes on, and which several workers share.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import torch
import uvicorn
from serving.connections import bind_socket
from serving.metrics import Metrics
from serving.requests import read_fields, rules_of
from serving.visits import Visits
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from spotlight_asars import ASARSSequenceModel
from spotlight_asars.recommending import NEVER

SETTINGS = "ASARS_SERVER"  # variable that tells the workers how they were called


class Server:
    """One worker: a model, its sessions, and the endpoints."""

    def __init__(self, model: str, state: str, idle: float, sweep: float, sessions: int) -> None:
        self.path, self.every, self.told, self.hung_up = Path(model), sweep, Metrics(), asyncio.Event()
        self.visits = Visits(state, idle, sessions)
        self.use(*self.load())

    def load(self) -> tuple[float, ASARSSequenceModel]:
        """When the model file was written, and the model in it."""
        return self.path.stat().st_mtime, ASARSSequenceModel.load(self.path)

    def use(self, written: float, model: ASARSSequenceModel) -> None:
        """Answer with a model from now on."""
        self.written, self.model = written, model
        self.visits.use(written, model)

    def add(self, fields: dict[str, Any]) -> Any:
        """Add an event, and return its session; what the model refuses is not added."""
        name, user, item = fields["session"], fields.get("user"), fields["item"]
        self.visits.check(user, item)
        self.visits.append(name, user, item, fields.get("time", time.time()))
        self.told.counts["events_total"] += 1
        return self.visits.session(name, user)

    async def events(self, request: Request) -> Response:
        """Add an event to a session."""
        return JSONResponse({"events": len(self.add(await read_fields(request, "session", "item")))})

    async def recommend(self, request: Request) -> Response:
        """The best next items of a session, by the rules of the request."""
        fields = await read_fields(request, "session")
        session = self.add(fields) if "item" in fields else self.visits.session(fields["session"], fields.get("user"))
        best = session.recommend(**rules_of(fields, self.model))
        real = best.scores[0] > NEVER
        return JSONResponse({"items": best.items[0][real].tolist(), "scores": best.scores[0][real].tolist()})

    async def reload(self, request: Request | None = None) -> Response:
        """Read the model file again, while requests are answered."""
        self.use(*await asyncio.to_thread(self.load))
        self.told.counts["reloads_total"] += 1
        return JSONResponse({"items": self.model.num_items - 1})

    async def health(self, request: Request) -> Response:
        """Whether it answers."""
        return JSONResponse({"sessions": self.visits.going_on, "model": self.written})

    async def metrics(self, request: Request) -> Response:
        """Counts for Prometheus."""
        return PlainTextResponse(self.told.text(sessions=self.visits.going_on, evicted_total=self.visits.evicted))

    async def keep_up(self) -> None:
        """End and roll sessions now and then, and read a model file that is new."""
        while True:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self.hung_up.wait(), self.every)
            try:
                if self.hung_up.is_set() or self.path.stat().st_mtime != self.written:
                    self.hung_up.clear()
                    await self.reload()
                self.visits.sweep()
            except Exception:
                logging.exception("a sweep failed")

    @asynccontextmanager
    async def running(self, app: Starlette) -> AsyncIterator[None]:
        """From the start of the worker to its end."""
        task, loop = asyncio.create_task(self.keep_up()), asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self.hung_up.set)
        yield
        task.cancel()
        self.visits.close()


def app() -> Starlette:
    """A worker's application, by the settings of ``main``."""
    torch.set_num_threads(1)
    server = Server(**json.loads(os.environ[SETTINGS]))
    posts, gets = (server.events, server.recommend, server.reload), (server.health, server.metrics)
    asked = [(endpoint, "POST") for endpoint in posts] + [(endpoint, "GET") for endpoint in gets]
    routes = [Route(f"/{one.__name__}", server.told.watch(one), methods=[how]) for one, how in asked]
    return Starlette(routes=routes, lifespan=server.running)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the server until it is told to stop."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", help="file that train or model.save wrote")
    parser.add_argument("--state", default=":memory:", metavar="FILE", help="of SQLite; default in memory")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--workers", type=int, default=1, help="processes; several need --state")
    parser.add_argument("--idle", type=float, default=3600.0, metavar="SECONDS", help="that end a session")
    parser.add_argument("--sweep", type=float, default=10.0, metavar="SECONDS", help="between looks for these")
    parser.add_argument("--sessions", type=int, default=100_000, help="that go on at most; the oldest are ended")
    args = parser.parse_args(argv)
    if args.workers > 1 and args.state == ":memory:":
        parser.error("--workers must be 1 without --state")
    os.environ[SETTINGS] = json.dumps({n: getattr(args, n) for n in ("model", "state", "idle", "sweep", "sessions")})
    how = {"factory": True, "app_dir": str(Path(__file__).parent), "access_log": False, "log_level": "warning"}
    how |= {"timeout_graceful_shutdown": 10, "timeout_worker_healthcheck": 120}  # a worker takes seconds to start
    uvicorn.Config.bind_socket = bind_socket  # for several workers
    uvicorn.run("serve:app", host=args.host, port=args.port, workers=args.workers, **how)


if __name__ == "__main__":
    main()
