"""Each benchmark runs at a tiny size, and what it compares is alike."""

from __future__ import annotations

import csv
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

NAMES = ("training", "step", "features", "triangle", "ranking", "preparation", "preparation_at_scale", "latency")
MEMORY = ("resident_memory", "peak_memory")
LINUX = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is measured by Linux's account")


@pytest.fixture
def load(load_benchmark, monkeypatch):
    """Imports a module of the benchmarks; what would run in a process of its own runs here."""
    for name in ("harness", "run_all"):
        monkeypatch.setattr(load_benchmark(name), "in_child", lambda function, *arguments: function(*arguments))
    return load_benchmark


@pytest.mark.parametrize("name", [*NAMES, *(pytest.param(name, marks=LINUX) for name in MEMORY)])
def test_a_benchmark_gives_its_rows(load, name):
    rows = load("run_all").measured(name, small=True, sizes={}, repeats=None)
    assert rows
    assert all(len(row) == len(load("harness").HEAD) and row[4].endswith("x") for row in rows)


def test_every_benchmark_is_tested(load):
    assert {*NAMES, *MEMORY, "gpu"} == {*load("run_all").BENCHMARKS}


@pytest.mark.parametrize(
    ("one", "target", "met"), [(10.0, ">= 10", "yes"), (9.9, ">= 10", "no"), (1.3, "<= 1.25", "no"), (1.0, "", "")]
)
def test_a_row_says_whether_the_target_is_met(load, one, target, met):
    contestants = {"ours": (lambda: one, None), "theirs": (lambda: 1.0, None)}
    comparison = load("harness").Comparison("what", "MB", contestants, {("ours", "theirs"): target})
    (row,) = load("harness").rows_of(comparison, repeats=1)
    assert row == ["what: ours", "theirs", f"{one:.3g} MB", "1 MB", f"{one:.3g}x", target, met]


def test_contestants_take_turns_and_show_median_and_percentile_of_many_runs(load, monkeypatch):
    turns = []
    work = {name: (lambda name=name: turns.append(name), 2) for name in "ab"}
    clock = iter(np.arange(88.0))  # [s], a second for each run
    monkeypatch.setattr(load("harness").time, "process_time", lambda: next(clock))
    (row,) = load("harness").rows_of(load("harness").Comparison("", "ms", work, {("a", "b"): ""}), repeats=20)
    assert turns == ["a", "b"] * 22, "two turns to warm up"
    assert row[2] == "500 / 500 ms"


def test_the_bare_parts_compute_the_same_loss_in_both_forms(load):
    items = torch.tensor([[3, 1, 2, 0], [4, 4, 0, 0], [1, 2, 3, 4]])
    net, negatives = load("step").BareNet(5), torch.tensor([1, 4])
    torch.testing.assert_close(net(items, negatives, packed=True), net(items, negatives, packed=False))


def test_the_full_triangle_is_the_triangle(load):
    score, value, mask = torch.randn(2, 40), torch.randn(2, 40, 3), torch.ones(2, 40, dtype=torch.bool)
    speed = load("speed")
    torch.testing.assert_close(speed.full_triangle(score, value, mask), speed.triangle_attention(score, value, mask))


@pytest.mark.parametrize("text", [False, True])
def test_both_contestants_prepare_the_same_sessions(load, text):
    module, table = load("preparation"), pd.DataFrame(load("data").click_log(20_000, text=text))
    ours, theirs = module.prepared(table), module.prepared_by_group_bys(table)
    assert ours.user_ids.tolist() == theirs.user.tolist()
    assert ours.started.tolist() == theirs.started.tolist()
    assert ours.items.tolist() == np.concatenate(theirs["items"].to_numpy()).tolist()
    np.testing.assert_array_equal(ours.flat_dwell_times, np.concatenate(theirs["dwell"].to_numpy()))


def test_the_parts_of_a_log_follow_each_other_in_time(load):
    parts = [load("data").click_log(3000, part, parts=3)["timestamp"] for part in range(3)]
    assert all((np.diff(part) >= 0).all() for part in parts)
    assert [part[0] for part in parts] == sorted(part[0] for part in parts)


def test_sessions_have_the_length_and_the_catalogue_asked_for(load):
    log = load("data").click_sessions(20_000, 100)
    assert log.lengths.min() == 2
    assert log.lengths.mean() == pytest.approx(5, rel=0.02)
    assert log.items.max() < log.num_items == 100
    assert load("data").padded_rows(log).sequences.shape == (20_000, 50)
    assert load("data").targets(log) == len(log.items) - len(log)


def test_what_a_gpu_is_measured_by_is_measured_on_a_cpu(load):
    costs = [
        load("gpu").cost_of("time_user, hinge, state of 100", what, 30, 20, 8, False) for what in load("gpu").UNITS
    ]
    training, ranking, busy = costs
    assert training > 0
    assert ranking > 0
    assert busy >= 0, "no kernel of a GPU runs"


@pytest.mark.parametrize("suffix", ["md", "csv"])
def test_the_table_is_written_and_has_the_error_of_a_benchmark_that_fails(load, tmp_path, suffix, capsys):
    out, bad = tmp_path / f"table.{suffix}", ["--set", "size=3"]
    load("run_all").main(["--small", "--only", "triangle", "--out", str(out)])
    written = out.read_text()
    assert all(word in written for word in ("n x n", ">= 50", "length 50"))
    assert suffix == "md" or len({len(row) for row in csv.reader(written.splitlines())}) == 1
    load("run_all").main(["--small", "--only", "triangle", *bad, "--out", str(out)])
    assert "triangle: TypeError" in out.read_text()
    assert "Is triangle attention linear" in capsys.readouterr().out


def test_out_must_be_a_table(load, capsys):
    with pytest.raises(SystemExit):
        load("run_all").main(["--out", "table.txt"])
    assert "--out must end in .md or .csv; got table.txt" in capsys.readouterr().err


def test_a_server_is_loaded_by_wrk_and_without_it_the_benchmark_says_how_to_get_it(load_benchmark, monkeypatch, capsys):
    serving = load_benchmark("serving")
    monkeypatch.setattr(serving.shutil, "which", lambda name: None)
    with pytest.raises(SystemExit, match="apt-get install wrk"):
        serving.main([])


@pytest.mark.skipif(shutil.which("wrk") is None, reason="needs wrk: apt-get install wrk")
def test_the_table_of_a_server_has_rates_and_latencies(load_benchmark, monkeypatch, capsys):
    pytest.importorskip("uvicorn")
    serving = load_benchmark("serving")
    monkeypatch.setattr(serving, "SESSIONS", 300)
    serving.main(["--items", "50", "--workers", "1", "--connections", "2", "--seconds", "1"])
    *_, row, published = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"examples/serve\.py +50 +1 +2 +[\d,.]+ +[\d.]+ ms( +[\d.]+[mu]?s){3} +0", row.strip())
    assert "1,000" in published
