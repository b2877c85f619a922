"""The examples run as a user would run them, at small sizes."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from spotlight_asars.datasets.synthetic import generate_sessions

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def load(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def quickstart(monkeypatch):
    module = load("quickstart")
    small = {"num_users": 20, "num_items": 30, "num_sessions": 200}
    monkeypatch.setattr(module, "generate_sessions", lambda **options: generate_sessions(**small, **options))
    return module


def test_quickstart_compares_two_models_on_a_synthetic_log(quickstart, capsys):
    quickstart.main(["--epochs", "1"])
    out, err = capsys.readouterr()
    for word in ("GRU4REC", "ASARS", "MRR@20", "Recall@20", "seconds", "seed 0", "torch"):
        assert word in out
    assert out.count("  after ") == quickstart.SESSIONS_SHOWN
    assert "batch" in err, "a progress bar"


def test_quickstart_reads_a_log_with_columns_of_ones_own(quickstart, capsys, tmp_path):
    import pandas as pd

    log = generate_sessions(num_users=20, num_items=30, num_sessions=200, random_state=0)
    frame = pd.DataFrame(
        {
            "who": [f"u{user}" for user in log.user_ids],
            "what": [f"i{item}" for item in log.item_ids],
            "t": log.timestamps,
        }
    )
    frame["looked"] = 7.0
    frame.to_csv(tmp_path / "clicks.csv.gz", index=False)
    columns = ["--user", "who", "--item", "what", "--timestamp", "t", "--dwell", "looked"]
    quickstart.main(["--events", str(tmp_path / "clicks.csv.gz"), *columns, "--epochs", "1"])
    out, _ = capsys.readouterr()
    assert "read " in out
    assert ": i" in out, "raw ids come out"


def test_compare_variants_prints_a_row_for_each_setting(capsys, monkeypatch):
    module = load("compare_variants")
    small = {"num_users": 20, "num_items": 30, "num_sessions": 200, "random_state": 0}
    monkeypatch.setattr(module, "generate_sessions", lambda **options: generate_sessions(**small))
    module.main(["--variants", "gru4rec", "time_cat", "--memories", "none", "both", "--seeds", "2", "--epochs", "1"])
    table, learned = capsys.readouterr().out.split("learned weights")
    rows = [line.split() for line in table.splitlines() if "±" in line]
    memories = [("none", "unknown"), ("both", "unknown")]
    trained = [[variant, memory, dwell] for variant in ("gru4rec", "time_cat") for memory, dwell in memories]
    assert [row[:3] for row in rows] == [["sequential_rules", "-", "-"], ["vsknn", "-", "-"], *trained]
    assert all(0 < float(row[3]) < 1 for row in rows)
    assert learned.count("together") == 4, "two variants with both memories, a weight and a scale each"


def test_train_distributed_trains_on_one_process_without_torchrun(capsys, monkeypatch, tmp_path):
    module = load("train_distributed")
    small = {"num_users": 20, "num_items": 30, "num_sessions": 200, "random_state": 0}
    monkeypatch.setattr(module, "generate_sessions", lambda **options: generate_sessions(**small))
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    for _ in range(2):
        module.main(["--epochs", "1", "--checkpoint", str(tmp_path / "run")])
    first, second = (line.split()[:3] for line in capsys.readouterr().out.splitlines() if line.split()[:1] == ["1"])
    assert first == second
    assert 0 < float(first[1]) < float(first[2]) < 1
