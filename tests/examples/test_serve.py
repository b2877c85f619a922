"""The server, asked over HTTP: events, rules, bad input, reloading, a kill in between, and a clean end."""

from __future__ import annotations

import contextlib
import http.client
import importlib
import json
import os
import pickle
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spotlight_asars import ASARSSequenceModel, EventLog, to_sessions

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
SERVER = Path(__file__).parents[2] / "examples" / "serve.py"
GROUP = {"start_new_session": True}  # to be killed together
ITEMS = [f"i{number}" for number in range(12)]


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    draw = np.random.RandomState(0)
    rows = [
        (f"u{session % 9}", ITEMS[(session + 2 * step + draw.randint(2)) % len(ITEMS)], 10**4 * session + 60 * step)
        for session in range(90)
        for step in range(4)
    ]
    log = EventLog.from_frame(pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]))
    model = ASARSSequenceModel(n_iter=2, embedding_dim=8, hidden_dim=8, random_state=0).fit(to_sessions(log))
    file = tmp_path_factory.mktemp("shop") / "model.safetensors"
    model.save(file)
    return file


class Running:
    """A server in a process of its own, and requests to it."""

    def __init__(self, model, *arguments):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        command = [sys.executable, str(SERVER), str(model), "--port", str(self.port), *map(str, arguments)]
        paths = os.pathsep.join(filter(None, [str(SERVER.parents[1]), os.environ.get("PYTHONPATH")]))
        environment = {**os.environ, "PYTHONPATH": paths}
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, **GROUP)
        end = time.monotonic() + 120
        while time.monotonic() < end:
            try:
                self.ask("GET", "/health", timeout=2)
                return
            except OSError:
                assert self.process.poll() is None, self.process.stderr.read()
                time.sleep(0.1)
        self.kill()
        raise AssertionError("the server did not start")

    def kill(self):
        """Kill what is left of it, with its workers."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(60)
        self.process.stderr.close()

    def ask(self, method, path, body=None, timeout=60):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        connection.request(method, path, body)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text

    def get(self, path):
        return self.ask("GET", path)

    def post(self, path, **fields):
        status, text = self.ask("POST", path, json.dumps(fields))
        return status, json.loads(text)

    def told(self, name):
        """The value of a metric."""
        return float(re.search(rf"^asars_{name} (\S+)$", self.get("/metrics")[1], re.MULTILINE).group(1))

    def end(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait(60)
        return self.process.stderr.read()


@pytest.fixture
def serve():
    servers = []

    def serve(*arguments):
        servers.append(Running(*arguments))
        return servers[-1]

    yield serve
    for server in servers:
        server.kill()


@pytest.fixture(scope="module")
def shared(model_file):
    """A server for requests that leave nothing behind."""
    server = Running(model_file)
    yield server
    said = server.end()
    server.kill()
    assert server.process.returncode in (0, -signal.SIGTERM)
    assert "Traceback" not in said


def expected(model_file, items, times, user, **rules):
    session = ASARSSequenceModel.load(model_file).start_session(user, times[0], raw=True)
    for place, item in enumerate(items):
        session.append(item, times[place] - times[place - 1] if place else None)
    return session.recommend(**rules)


def test_events_in_recommendations_out_by_the_rules_of_a_live_session(shared, model_file):
    items, times = ["i3", "i5", "i7"], [2e6, 2e6 + 30, 2e6 + 45]
    for number, (item, moment) in enumerate(zip(items, times, strict=True), 1):
        assert shared.post("/events", session="one", user="u1", item=item, time=moment) == (200, {"events": number})
    for rules in ({}, {"k": 3}, {"k": 4, "exclude_seen": "history"}):
        best = expected(model_file, items, times, "u1", **rules)
        status, answer = shared.post("/recommend", session="one", **rules)
        assert status == 200
        real = best.items[0] != np.array(None)
        assert answer["items"] == best.items[0][real].tolist()
        np.testing.assert_allclose(answer["scores"], best.scores[0][real], rtol=1e-4)
    rules = {"candidates": ["i1", "i2", "i5", "nothing"], "exclude": ["i2"], "boosts": {"i5": 100.0}}
    assert shared.post("/recommend", session="one", **rules)[1]["items"] == ["i5", "i1"]


def test_a_request_may_bring_its_event_and_unknown_ids_are_no_error(shared):
    status, answer = shared.post("/recommend", session="two", item="i1", k=2, user="nobody")
    assert (status, len(answer["items"])) == (200, 2)
    assert shared.post("/events", session="two", item="never seen") == (200, {"events": 1})
    assert shared.post("/recommend", session="nobody's", k=2)[0] == 200
    assert shared.told('requests_total{path="/events",status="200"}') >= 1
    assert shared.told("resident_memory_bytes") > 1e7


WRONG = {
    "no JSON": (b"{", 400, "must be JSON"),
    "no text": (b"\xff\xfe", 400, "must be JSON"),
    "a deep list": (b"[" * 60_000, 400, "must be JSON"),
    "no object": (b"[1]", 400, "must be an object; got list"),
    "nothing": (b"", 400, "must be JSON"),
    "too large": (b" " * 70_000, 413, "65536 bytes or less"),
    "no session": (b'{"k": 3}', 400, "session must be there"),
    "an empty session": (b'{"session": ""}', 400, "session must be text of 1..200"),
    "half a letter": (b'{"session": "\\ud800"}', 400, "session must be text"),
    "a long session": (json.dumps({"session": "s" * 201}).encode(), 400, "session must be text of 1..200"),
    "another field": (b'{"session": "s", "fly": 1}', 400, "fields must be of"),
    "a k of text": (b'{"session": "s", "k": "3"}', 400, "k must be int; got str"),
    "a k of nothing": (b'{"session": "s", "k": 0}', 400, "k must lie in 1..1000; got 0"),
    "a large k": (b'{"session": "s", "k": 99999999999999999999}', 400, "k must lie in 1..1000"),
    "true": (b'{"session": "s", "k": true}', 400, "k must be int; got bool"),
    "an item of a number": (b'{"session": "s", "item": 7}', 400, "item must be str, as in training; got 7"),
    "no time": (b'{"session": "s", "item": "i1", "time": NaN}', 400, "time must be in seconds"),
    "candidates of all kinds": (b'{"session": "s", "candidates": ["i1", 7, {}]}', 400, "candidates must be raw ids"),
    "no candidates": (b'{"session": "s", "candidates": []}', 400, "candidates must name at least one item"),
    "boosts of text": (b'{"session": "s", "boosts": {"i1": "much"}}', 400, "boosts must be numbers"),
    "an endless boost": (b'{"session": "s", "boosts": {"i1": 1e999}}', 400, "boosts must lie within"),
    "another exclusion": (b'{"session": "s", "exclude_seen": "all"}', 400, "exclude_seen must be one of"),
}


@pytest.mark.parametrize("case", WRONG)
def test_bad_input_is_answered_with_what_is_wrong(shared, case):
    body, status, said = WRONG[case]
    found, text = shared.ask("POST", "/recommend", body)
    assert found == status
    assert said in json.loads(text)["error"]
    assert "Traceback" not in text


def test_other_paths_and_methods_are_refused(shared):
    assert shared.get("/nothing")[0] == 404
    assert shared.get("/recommend")[0] == 405
    assert shared.ask("POST", "/health", "{}")[0] == 405
    assert shared.post("/events", session="s")[1] == {"error": "item must be there"}


def test_a_server_that_is_killed_goes_on_where_it_was(serve, model_file, tmp_path):
    state = ["--state", tmp_path / "sessions.db"]
    server, items = serve(model_file, *state), ["i3", "i5", "i7"]
    for place, item in enumerate(items):
        assert server.post("/events", session="one", user="u1", item=item, time=2e6 + 30 * place)[0] == 200
    before = server.post("/recommend", session="one", k=5)
    server.end(signal.SIGKILL)
    again = serve(model_file, *state)
    assert again.post("/recommend", session="one", k=5) == before
    assert again.post("/events", session="one", item="i9", time=2e6 + 100)[1] == {"events": 4}
    assert again.end() == ""


def test_sessions_end_and_roll_into_the_memory_also_after_a_kill(serve, model_file, tmp_path):
    how = ["--state", tmp_path / "sessions.db", "--idle", 1, "--sweep", 0.1]
    server = serve(model_file, *how)
    first = server.post("/recommend", session="later", user="u2", k=12)[1]
    for item in ("i0", "i6", "i0", "i6", "i0"):
        server.post("/events", session="one", user="u2", item=item, time=3e6)
    wait_for(lambda: json.loads(server.get("/health")[1])["sessions"] == 0)
    wait_for(lambda: server.post("/recommend", session="later", user="u2", k=12)[1] != first)
    after = server.post("/recommend", session="later", user="u2", k=12)[1]
    server.end(signal.SIGKILL)
    again = serve(model_file, *how)
    assert again.post("/recommend", session="later", user="u2", k=12)[1] == after
    os.utime(model_file)  # a new file knows what was before it
    again.post("/reload")
    assert again.post("/recommend", session="later", user="u2", k=12)[1] == first


def wait_for(holds, seconds=60):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.05)


@pytest.fixture
def visits_of(monkeypatch):
    """Visits in memory, of sessions up to a limit; they are closed in the end."""
    monkeypatch.syspath_prepend(SERVER.parent)
    with contextlib.ExitStack() as opened:
        make = importlib.import_module("serving.visits").Visits
        yield lambda limit: opened.enter_context(contextlib.closing(make(":memory:", 3600.0, limit)))


def test_sessions_roll_in_as_live_ones_say_they_were(visits_of, model_file, monkeypatch):
    model, rolled = ASARSSequenceModel.load(model_file), []
    visits = visits_of(0)
    visits.use(0.0, model)
    events = [("i3", 10.0), ("none", 15.0), ("i1", 13.0), ("i3", 40.0)], [("none", 5.0)], [("i2", 7.0), ("i2", 7.0)]
    expected = []
    for name, (user, visited) in enumerate(zip(("u2", None, "nobody"), events, strict=True)):
        for item, moment in visited:
            visits.append(str(name), user, item, moment)
        expected.append(visits.session(str(name)).as_sessions())
    monkeypatch.setattr(model, "update", rolled.append)
    visits.sweep()
    visits.sweep()
    (found,) = rolled
    for name in ("items", "lengths", "user_ids", "flat_dwell_times", "started"):
        np.testing.assert_array_equal(getattr(found, name), np.concatenate([getattr(one, name) for one in expected]))
    assert found.lengths.tolist() == [3, 0, 2]
    assert found.flat_dwell_times.tolist() == [
        5.0,
        27.0,
        pytest.approx(np.nan, nan_ok=True),
        0.0,
        pytest.approx(np.nan, nan_ok=True),
    ]


def test_no_statement_reads_the_events_of_all_sessions(visits_of, model_file):
    visits, told = visits_of(1), []
    visits.use(0.0, ASARSSequenceModel.load(model_file))
    visits._db.set_trace_callback(told.append)
    for name in "abca":
        visits.append(name, None, "i1", 5.0)
        visits.session(name)
    visits.sweep()
    visits._db.set_trace_callback(None)
    told = {statement for statement in told if statement.split()[0] in ("SELECT", "UPDATE", "INSERT", "DELETE")}
    plans = {one: [row[-1] for row in visits._db.execute(f"EXPLAIN QUERY PLAN {one}")] for one in told}
    assert sum("SEARCH events USING" in " ".join(plan) for plan in plans.values()) >= 3
    assert not [one for one, plan in plans.items() if any(step.startswith("SCAN") for step in plan)]


def test_the_oldest_sessions_are_ended_where_there_are_too_many(serve, model_file):
    server = serve(model_file, "--sessions", 5, "--sweep", 0.1)
    for number in range(60):
        assert server.post("/events", session=f"s{number}", item="i1")[0] == 200
        assert json.loads(server.get("/health")[1])["sessions"] <= 16
    wait_for(lambda: server.told("sessions") == 5)
    assert server.told("evicted_total") == 55
    assert server.post("/events", session="s59", item="i1")[1] == {"events": 2}
    assert server.post("/events", session="s1", item="i1")[1] == {"events": 1}


def test_a_model_is_reloaded_without_a_dropped_request(serve, model_file, tmp_path):
    copy = tmp_path / "model.safetensors"
    copy.write_bytes(model_file.read_bytes())
    server, statuses, stop = serve(copy, "--sweep", 0.2), [], threading.Event()

    def keep_asking():
        while not stop.is_set():
            statuses.append(server.post("/recommend", session="s", item="i1", k=2)[0])

    asking = threading.Thread(target=keep_asking)
    asking.start()
    try:
        assert server.post("/reload") == (200, {"items": len(ITEMS)})
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: server.told("reloads_total") == 2)
        ASARSSequenceModel.load(model_file).save(copy)
        wait_for(lambda: server.told("reloads_total") == 3)
    finally:
        stop.set()
        asking.join()
    assert set(statuses) == {200}
    copy.write_bytes(b"no model")
    status, answer = server.post("/reload")
    assert status == 400
    assert "path must be a whole file" in answer["error"]
    assert server.post("/recommend", session="s", k=2)[0] == 200, "the old model goes on"


def test_the_system_deals_connections_out_among_workers():
    connections, uvicorn = (importlib.import_module(name) for name in ("serving.connections", "uvicorn"))
    with contextlib.ExitStack() as opened:
        first = opened.enter_context(connections.bind_socket(uvicorn.Config("serve:app", port=0)))
        workers = [opened.enter_context(pickle.loads(pickle.dumps(first))) for _ in range(2)]
        for worker in workers:
            assert worker.getsockname() == first.getsockname()
            assert worker.proto == socket.IPPROTO_TCP  # by which asyncio knows that answers may go at once
            worker.listen(100)
            worker.setblocking(False)
        for _ in range(60):
            opened.enter_context(socket.create_connection(first.getsockname()))
        for worker in workers:
            opened.enter_context(worker.accept()[0])  # BlockingIOError where there is none


def test_several_workers_share_sessions_and_only_with_a_file(serve, model_file, tmp_path, capsys):
    server = serve(model_file, "--workers", 2, "--state", tmp_path / "sessions.db")
    for number in range(1, 31):  # each on a connection of its own, so on either worker
        assert server.post("/events", session="one", item=ITEMS[number % 12])[1] == {"events": number}
    server.end()
    with pytest.raises(SystemExit):
        importlib.import_module("serve").main(["model", "--workers", "2"])
    assert "--workers must be 1 without --state" in capsys.readouterr().err
