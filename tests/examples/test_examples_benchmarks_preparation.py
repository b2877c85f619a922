"""The benchmarks of preparation run at small sizes, and compare like with like."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest


@pytest.mark.parametrize("text", [False, True])
def test_both_contestants_make_the_same_sessions(load_benchmark, text):
    module = load_benchmark("preparation")
    table = pd.DataFrame(load_benchmark("click_log").click_log(20_000, text=text))
    ours, theirs = module.prepared(table), module.prepared_by_group_bys(table)
    assert ours.user_ids.tolist() == theirs.user.tolist()
    assert ours.started.tolist() == theirs.started.tolist()
    assert ours.items.tolist() == np.concatenate(theirs["items"].to_numpy()).tolist()
    np.testing.assert_array_equal(ours.flat_dwell_times, np.concatenate(theirs["dwell"].to_numpy()))
    assert ours.lengths.tolist() == theirs["items"].str.len().tolist()


def test_the_parts_of_a_log_follow_each_other_in_time(load_benchmark):
    parts = [load_benchmark("click_log").click_log(3000, part=part, parts=3) for part in range(3)]
    starts = [part["timestamp"].min() for part in parts]
    assert starts == sorted(starts)
    assert all(len(part["user_id"]) == 1000 for part in parts)
    assert all((np.diff(part["timestamp"]) >= 0).all() for part in parts)


def test_the_comparison_prints_sizes_times_and_versions(load_benchmark, capsys):
    load_benchmark("preparation").main(["--events", "3000", "--repeats", "1"])
    out = capsys.readouterr().out
    for word in ("3000 events", "EventLog, strings", "group-bys, integers", "cpu [s]", "pandas", "GB"):
        assert word in out


@pytest.mark.parametrize("engine", ["memory", "polars", "duckdb"])
def test_an_engine_is_timed_on_a_log_on_disk(load_benchmark, capsys, tmp_path, engine):
    pytest.importorskip("polars" if engine == "memory" else engine)
    arguments = ["--engine", engine, "--events", "3000", "--events-per-shard", "1000", "--folder", str(tmp_path)]
    load_benchmark("preparation_at_scale").main(arguments)
    out = capsys.readouterr().out
    for word in (engine, "3e+03", "peak [GB]", "narwhals"):
        assert word in out
    assert [path.name for path in tmp_path.iterdir()] == ["clicks-3000"]
