"""How many requests does a server answer, and how fast? Loaded by wrk over loopback: ``apt-get install wrk``.

    python examples/benchmarks/serving.py
    python examples/benchmarks/serving.py --items 30000 --soak 600

Each request brings an event of one of many sessions, of five events each, and asks for the twenty best items. wrk sends
a request on each of its connections as soon as the last one was answered: with one connection the latencies are those
of the server alone, with several the requests a second are the most that it can do. On a machine that others use, too,
the processor time of the server for a request says what it could do alone. With ``--soak`` the server is loaded for so
many seconds, with fewer sessions than there come, its model is reloaded four times, and its memory and errors are
looked at.

References
----------
B. Kersbergen, O. Sprangers, S. Schelter: Serenade: low-latency session-based recommendation in e-commerce at scale.
SIGMOD 2022.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from data import click_sessions
from harness import circumstances

from spotlight_asars import ASARSSequenceModel
from spotlight_asars.analysis.tables import text_table

SERVER = Path(__file__).parent.parent / "serve.py"
PUBLISHED = ["Serenade, as published", "6.5 million", "2 cores", "", "1,000", "", "", "< 7 ms", "", ""]
HEAD = ("server", "items", "workers", "connections", "requests/s", "CPU a request", "p50", "p90", "p99", "errors")
SESSIONS, VISITORS, LENGTH = 20_000, 5_000, 5.0  # to train on, of the load at a time, and events of each
GOING_ON = 20_000  # sessions at most in the long run, so that they have to end and are forgotten
LUA = """
math.randomseed({seed})
local asked = {seed} * 1e7
request = function()
  asked = asked + 1
  local session = math.floor(asked / {length}) + math.random({visitors})
  local body = string.format('{{"session": "s%d", "item": %d}}', session, math.random({items}))
  return wrk.format("POST", "/recommend", {{["Content-Type"] = "application/json"}}, body)
end
"""


def make_model(items: int, path: Path) -> None:
    """Train one epoch on random clicks of so many items, and write the model."""
    sessions = click_sessions(SESSIONS, items + 1, LENGTH)
    model = ASARSSequenceModel(n_iter=1, loss="sampled_softmax", random_state=0).fit(sessions)
    model.save(path)
    print(f"{items:,} items: weight of the neighbours {model.memory_weights()['neighbours']:g}", flush=True)


@contextmanager
def running(model: Path, workers: int, folder: str, *options: str) -> Iterator[tuple[str, int]]:
    """The address of a server and its process, which is stopped in the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    state = ["--state", f"{folder}/sessions-{port}.db"] if workers > 1 else []
    command = [sys.executable, str(SERVER), str(model), "--port", str(port), "--workers", str(workers), *state]
    command += options
    server = subprocess.Popen(command)
    try:
        for _ in range(600):
            try:
                ask(f"http://127.0.0.1:{port}/health")
                break
            except OSError:
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}", server.pid
    finally:
        server.terminate()
        server.wait(60)


def cpu_seconds(process: int) -> float:
    """Processor time [s] so far of a process and its workers."""
    ticks = 0
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = file.read_text().rpartition(")")[2].split()
            if process in (int(file.parent.name), int(fields[1])):
                ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def ask(address: str, data: bytes | None = None) -> str:
    """What a server answers to a GET, or to a POST of data."""
    with urllib.request.urlopen(urllib.request.Request(address, data), timeout=60) as answer:
        return answer.read().decode()


def load(address: str, items: int, connections: int, seconds: int, folder: str, seed: int = 0) -> list[str]:
    """Requests a second, latencies and errors, as texts."""
    script = Path(folder) / "load.lua"
    script.write_text(LUA.format(seed=seed, visitors=VISITORS, items=items, length=LENGTH))
    how = ["-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "--latency", "-s", str(script), address]
    done = subprocess.run(["wrk", *how], capture_output=True, text=True, check=False, timeout=seconds + 60)
    if done.returncode:
        raise RuntimeError(f"wrk failed: {done.stdout}{done.stderr}")
    said = done.stdout
    latencies = [re.search(rf"\s{share}%\s+(\S+)", said).group(1) for share in (50, 90, 99)]
    rate = float(re.search(r"Requests/sec:\s+(\S+)", said).group(1))
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    broken = re.search(r"Socket errors: (.*)", said)
    errors = broken.group(1) if broken else failed.group(1) if failed else "0"
    return [f"{rate:,.0f}", *latencies, errors]


def measure(items: int, workers: Sequence[int], connections: Sequence[int], seconds: int) -> Iterator[list[str]]:
    """Rows of the table."""
    with tempfile.TemporaryDirectory() as folder:
        make_model(items, model := Path(folder) / "model.safetensors")
        for number in workers:
            with running(model, number, folder) as (address, server):
                load(address, items, 4, 3, folder)  # a warm-up
                for many in connections:
                    before = cpu_seconds(server)
                    rate, *found = load(address, items, many, seconds, folder)
                    busy = 1e3 * (cpu_seconds(server) - before) / max(float(rate.replace(",", "")) * seconds, 1)
                    found = [rate, f"{busy:.2f} ms", *found]
                    yield ["examples/serve.py", f"{items:,}", str(number), str(many), *found]


def soak(items: int, seconds: int, connections: int) -> Iterator[list[str]]:
    """Memory [MB] and answers over time, a row for each eighth of it."""
    with tempfile.TemporaryDirectory() as folder:
        make_model(items, model := Path(folder) / "model.safetensors")
        with running(model, 1, folder, "--sessions", str(GOING_ON)) as (address, _):
            for part in range(8):
                if part % 2:
                    ask(f"{address}/reload", b"")
                rate, _, p90, p99, errors = load(address, items, connections, seconds // 8, folder, seed=part)
                told = ask(f"{address}/metrics")
                memory = float(re.search(r"resident_memory_bytes (\S+)", told).group(1)) / 1e6
                going_on = json.loads(ask(f"{address}/health"))["sessions"]
                yield [f"{(part + 1) * seconds // 8:,} s", f"{memory:,.0f}", f"{going_on:,}", rate, p90, p99, errors]


def main(argv: Sequence[str] | None = None) -> None:
    """Run it, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--items", type=int, nargs="+", default=[30_000, 1_000_000])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--seconds", type=int, default=15, help="of each load")
    parser.add_argument("--soak", type=int, metavar="SECONDS", help="load one worker for so long instead")
    args = parser.parse_args(argv)
    if shutil.which("wrk") is None:
        raise SystemExit("serving needs wrk, a load generator: apt-get install wrk")
    print(circumstances())
    if args.soak:
        head: Sequence[str] = ("after", "MB", "sessions", "requests/s", "p90", "p99", "errors")
        rows = list(soak(args.items[0], args.soak, connections=4))
    else:
        every = (measure(items, args.workers, args.connections, args.seconds) for items in args.items)
        head, rows = HEAD, [*(row for rows in every for row in rows), PUBLISHED]
    print(text_table(head, rows))


if __name__ == "__main__":
    main()
