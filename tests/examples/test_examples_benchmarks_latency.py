"""The benchmark of latency runs at small sizes, on answers of the right shape."""

from __future__ import annotations


def test_every_contestant_answers(load_benchmark):
    work = load_benchmark("latency").contestants(num_items=50, events=400, k=5)
    bare, asked, stepped = (work[name] for name in work)
    assert bare().indices.shape == (1, 5)
    for question in (asked, stepped):
        found = question()
        assert found.items.shape == found.scores.shape == (1, 5)


def test_sessions_are_of_the_whole_catalogue(load_benchmark):
    sessions = load_benchmark("latency").sessions_of(num_items=50, events=400)
    assert sessions.num_items == 50
    assert set(sessions.items.tolist()) <= set(range(1, 50))
    assert sessions.lengths.min() >= 2


def test_latencies_are_quantiles_of_single_calls_after_the_warm_up(load_benchmark, monkeypatch):
    timing = load_benchmark("timing")
    walls = iter([9.0, 9.0, *range(1, 21)])  # [s]
    monkeypatch.setattr(timing, "timed", lambda work: timing.Seconds(next(walls), 0.0))
    assert timing.latencies({"one": lambda: None}, calls=20) == {"one": (10500.0, 19050.0)}


def test_the_benchmark_prints_quantiles_and_versions(load_benchmark, capsys):
    load_benchmark("latency").main(["--items", "50", "90", "--events", "300", "--calls", "3"])
    out = capsys.readouterr().out
    for word in ("p50 / p95 of live session", "model.recommend, one session; 90 items", " ms", "torch"):
        assert word in out
