"""The examples of one story each, run as a user would run them, at small sizes."""

from __future__ import annotations

import importlib
import re

import pandas as pd
import pytest

from spotlight_asars.datasets.synthetic import generate_sessions

SMALL = {"num_users": 20, "num_items": 30, "num_sessions": 200}


@pytest.fixture
def load(monkeypatch):
    """Imports an example whose synthetic log is small."""

    def load(name, **sizes):
        module = importlib.import_module(name)
        monkeypatch.setattr(module, "generate_sessions", lambda **_: generate_sessions(**SMALL | sizes, random_state=0))
        return module

    return load


@pytest.fixture
def clicks(tmp_path):
    """A file of the small log, with columns of its own."""
    log = generate_sessions(**SMALL, random_state=0)
    who, what = ([f"{letter}{one}" for one in ids] for letter, ids in (("u", log.user_ids), ("i", log.item_ids)))
    frame = pd.DataFrame({"who": who, "what": what, "t": log.timestamps, "shelf": log.item_ids % 4, "looked": 7.0})
    frame.to_csv(tmp_path / "clicks.csv.gz", index=False)
    columns = ["--user", "who", "--item", "what", "--timestamp", "t", "--dwell", "looked"]
    return ["--events", str(tmp_path / "clicks.csv.gz"), *columns]


def test_quickstart_compares_models_on_a_synthetic_log(load, capsys):
    quickstart = load("quickstart")
    quickstart.main(["--epochs", "1"])
    out, err = capsys.readouterr()
    assert all(word in out for word in ("GRU4REC", "ASARS", "MRR@20", "Recall@20", "seconds", "seed 0", "torch"))
    assert out.count("  after ") == quickstart.SESSIONS_SHOWN
    assert "batch" in err, "a progress bar"


def test_quickstart_reads_columns_by_name_and_prints_raw_ids(load, capsys, clicks):
    load("quickstart").main([*clicks, "--epochs", "1"])
    out = capsys.readouterr().out
    assert "read " in out
    assert ": i" in out


def test_analyse_log_prints_the_table_of_a_synthetic_log(load, capsys):
    load("analyse_log").main([])
    out = capsys.readouterr().out
    assert all(word in out for word in ("synthetic log, seed 0", "idle for 3600 s", "numpy", "n-th most frequent"))
    assert "category" not in out


def test_analyse_log_hands_columns_and_options_on_and_draws_the_figure(load, capsys, clicks, tmp_path):
    options = [
        "--inactivity",
        "100",
        "--session-support",
        "2",
        "--earlier",
        "3",
        "--plot",
        str(tmp_path / "figure.png"),
    ]
    load("analyse_log").main([*clicks, "--category", "shelf", *options])
    out = capsys.readouterr().out
    assert "idle for 100 s; those of fewer than 2 events are left out" in out
    assert "category, first n together" in out
    assert "with at least 3 before them" in out
    table = dict(line.rsplit(maxsplit=1) for line in out.split("\n\n")[1].splitlines())
    assert (table["their median [s]"], table["sessions of one event [%]"]) == ("7", "0.0")
    assert (tmp_path / "figure.png").read_bytes()[1:4] == b"PNG"


def test_compare_variants_prints_a_row_for_each_setting(load, capsys):
    options = ["--variants", "gru4rec", "time_cat", "--memories", "none", "both", "--seeds", "2", "--epochs", "1"]
    load("compare_variants").main(options)
    table, learned = capsys.readouterr().out.split("learned weights")
    rows = [line.split() for line in table.splitlines() if re.search(r"0\.\d{4}", line)]
    memories = [("none", "unknown"), ("both", "unknown")]
    trained = [[variant, memory, dwell] for variant in ("gru4rec", "time_cat") for memory, dwell in memories]
    assert [row[:3] for row in rows] == [["sequential_rules", "-", "-"], ["vsknn", "-", "-"], *trained]
    assert all(0 < float(row[3]) < 1 for row in rows)
    assert learned.count("together") == 2 * (6 + 1), "two variants with both memories, six weights and a scale each"


def test_nightly_keeps_up_with_new_items_where_a_model_that_stays_does_not(load, capsys):
    options = ["--nights", "4", "--refit", "2", "--anew", "4", "--epochs", "3"]
    load("nightly", num_sessions=1000).main(options)
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    days = [row for row in rows if len(row) == 6 and row[0].isdecimal()]
    assert [int(row[0]) for row in days] == [7, 8, 9, 10]
    assert int(days[-1][2]) > 0, "new items have come"
    assert len({*days[0][3:]}) == 1, "all three start alike"
    (total,) = (row for row in rows if row[:1] == ["all"])
    assert float(total[2]) < float(total[3])


def test_nightly_reads_a_log_of_raw_ids(load, clicks, capsys):
    load("nightly").main([*clicks[:-2], "--nights", "1", "--epochs", "1"])
    assert re.search(r"^ *all +\d+ +0\.\d{4}", capsys.readouterr().out, re.M)


def test_nearest_neighbours_finds_what_the_products_find(load, capsys):
    pytest.importorskip("usearch")
    load("nearest_neighbours", num_items=60).main(["--epochs", "1", "--candidates", "59", "--top", "5"])
    out = capsys.readouterr().out
    near, found = map(float, re.findall(r"([\d.]+)% of the 5", out))
    assert min(near, found) > 90


def test_train_distributed_trains_on_one_process_without_torchrun_and_goes_on_from_a_checkpoint(
    load, capsys, monkeypatch, tmp_path
):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    for _ in range(2):
        load("train_distributed").main(["--epochs", "1", "--checkpoint", str(tmp_path / "run")])
    first, second = (line.split()[:3] for line in capsys.readouterr().out.splitlines() if line.split()[:1] == ["1"])
    assert first == second
    assert 0 < float(first[1]) < float(first[2]) < 1
