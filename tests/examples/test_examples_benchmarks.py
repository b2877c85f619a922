"""Each benchmark runs at a tiny size, and what it compares is alike."""

from __future__ import annotations

import csv
import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.random import RandomState

BENCHMARKS = Path(__file__).resolve().parents[2] / "examples" / "benchmarks"
WITH_TARGETS = {
    "training": 5,
    "time_user": 2,
    "step": 2,
    "triangle": 4,
    "ranking": 6,
    "preparation": 4,
    "resident_memory": 2,
    "peak_memory": 5,
    "latency": 2,
}
pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is measured by Linux's account")


@pytest.fixture
def load(monkeypatch):
    """Imports a benchmark as if it were run from its folder; what it would run in a child runs here."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    results = importlib.import_module("results")
    monkeypatch.setattr(results, "in_child", lambda function, *arguments: function(*arguments))
    yield importlib.import_module
    for path in BENCHMARKS.glob("*.py"):
        sys.modules.pop(path.stem, None)


@pytest.mark.parametrize("name", WITH_TARGETS)
def test_a_benchmark_gives_its_results(load, name):
    module = load(name)
    results = module.measure(**module.SMALL)
    assert len(results) == WITH_TARGETS[name]
    assert all(result.what and len(result.cells) == len(load("results").HEAD) for result in results)
    if "memory" not in name:
        assert all(result.figure > 0 for result in results)


def test_all_benchmarks_with_targets_are_run(load):
    assert set(WITH_TARGETS) <= set(load("run_all").BENCHMARKS)


@pytest.mark.parametrize(
    ("figure", "target", "met"), [(10.0, ">= 10", "yes"), (9.9, ">= 10", "no"), (1.3, "<= 1.25", "no"), (1.0, "", "")]
)
def test_a_target_is_met_or_not(load, figure, target, met):
    assert load("results").Result("a", "b", "1", "2", figure, target).met == met


def test_sessions_are_as_asked_for(load):
    module = load("click_sessions")
    log = module.click_sessions(20_000, 100)
    assert log.lengths.min() == 2
    assert log.lengths.mean() == pytest.approx(5, rel=0.02)
    assert log.items.max() < log.num_items == 100
    assert (np.diff(log.started) >= 0).all()
    assert module.padded_rows(log).sequences.shape == (20_000, 50)
    np.testing.assert_array_equal(module.padded_rows(log).sequences, log.sequences)
    assert module.targets(log) == len(log.items) - len(log)


def test_the_bare_parts_compute_the_same_loss_in_both_forms(load):
    step = load("step")
    log = load("click_sessions").click_sessions(300, 50)
    net = step.BareNet(50)
    for batch in step.prepared(log, RandomState(0)):
        assert net.loss(batch, packed=True).item() == pytest.approx(net.loss(batch, packed=False).item(), rel=1e-5)


def test_the_full_triangle_is_the_triangle(load):
    score, value, mask = torch.randn(2, 40), torch.randn(2, 40, 3), torch.ones(2, 40, dtype=torch.bool)
    triangle = load("triangle")
    full = triangle.full_triangle(score, value, mask)
    torch.testing.assert_close(full, triangle.triangle_attention(score, value, mask))


def test_a_peak_is_seen_after_memory_was_given_back(load):
    memory_use = load("memory_use")
    memory_use.forget_peak()
    before = memory_use.held()
    passing = np.ones(20_000_000)
    assert memory_use.held() > before + 150
    del passing
    assert memory_use.peak() > before + 150


def test_models_are_measured_and_drawn(load, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    models = load("models")
    costs = models.measure_models(**models.SMALL)
    assert {cost.name for cost in costs} == {"time_user", "pooling"}
    assert costs[0].speed >= costs[1].speed
    models.plot(costs, tmp_path / "models.png")
    assert (tmp_path / "models.png").stat().st_size > 1000
    models.main(["--sessions", "20", "--items", "30", "--repeats", "1", "--only", "lstm"])
    assert "Spotlight" in capsys.readouterr().out


@pytest.mark.parametrize("suffix", ["md", "csv"])
def test_the_table_is_written(load, tmp_path, suffix):
    out = tmp_path / f"table.{suffix}"
    load("run_all").main(["--small", "--only", "triangle", "step", "--repeats", "1", "--out", str(out)])
    written = out.read_text()
    for word in ("n x n triangle", "its bare parts, packed", "<= 1.25x", "python examples/benchmarks/step.py"):
        assert word in written
    if suffix == "csv":
        assert len({len(row) for row in csv.reader(written.splitlines())}) == 1


def test_a_benchmark_that_fails_has_its_error_in_the_table(load, monkeypatch):
    run_all, triangle = load("run_all"), load("triangle")
    monkeypatch.setattr(triangle, "measure", lambda: 1 / 0)
    (result,) = run_all.run("triangle")
    assert "ZeroDivisionError" in result.ours


def test_out_must_be_a_table(load, capsys):
    with pytest.raises(SystemExit):
        load("run_all").main(["--out", "table.txt"])
    assert "got table.txt" in capsys.readouterr().err


def test_a_child_is_another_process(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    results = importlib.import_module("results")
    try:
        assert results.in_child(divmod, 7, 2) == (3, 1)
    finally:
        for path in BENCHMARKS.glob("*.py"):
            sys.modules.pop(path.stem, None)
