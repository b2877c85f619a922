"""``examples/analyse_log.py`` as a user would run it, at small sizes."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from spotlight_asars.datasets.synthetic import generate_sessions

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "analyse_log.py"
SMALL = {"num_users": 20, "num_items": 30, "num_sessions": 200}


@pytest.fixture
def example(monkeypatch):
    spec = importlib.util.spec_from_file_location("analyse_log", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "generate_sessions", lambda **options: generate_sessions(**SMALL, **options))
    return module


@pytest.fixture
def clicks(tmp_path):
    """A file of the small synthetic log, with columns of its own."""
    import pandas as pd

    log = generate_sessions(**SMALL, random_state=0)
    frame = pd.DataFrame({"who": log.user_ids, "what": log.item_ids, "t": log.timestamps, "shelf": log.item_ids % 4})
    frame["looked"] = 7.0
    path = tmp_path / "clicks.csv.gz"
    frame.to_csv(path, index=False)
    return ["--events", str(path), "--user", "who", "--item", "what", "--timestamp", "t"]


def numbers_in(out):
    """The first table of the output, by name."""
    return dict(line.rsplit(maxsplit=1) for line in out.split("\n\n")[1].splitlines())


def test_it_prints_the_table_of_a_synthetic_log(example, capsys):
    example.main([])
    out, _ = capsys.readouterr()
    for words in ("synthetic log, seed 0", "idle for 3600 s", "numpy", "sessions per user, mean", "n-th most frequent"):
        assert words in out
    assert "category" not in out
    assert "figure" not in out


def test_it_reads_columns_of_ones_own_and_draws_the_figure(example, capsys, clicks, tmp_path):
    pytest.importorskip("matplotlib")
    figure = tmp_path / "figure.png"
    example.main([*clicks, "--dwell", "looked", "--category", "shelf", "--plot", str(figure)])
    out, _ = capsys.readouterr()
    assert f"read {clicks[1]}" in out
    assert "category, first n together" in out
    assert numbers_in(out)["their median [s]"] == "7"
    assert f"figure in {figure}" in out
    assert figure.read_bytes().startswith(b"\x89PNG")


def test_its_options_reach_the_analysis(example, capsys, clicks):
    example.main([*clicks, "--inactivity", "100", "--session-support", "2", "--earlier", "3"])
    out, _ = capsys.readouterr()
    assert "idle for 100 s; those of fewer than 2 events are left out" in out
    assert numbers_in(out)["sessions of one event [%]"] == "0.0"
    assert "with at least 3 before them" in out
