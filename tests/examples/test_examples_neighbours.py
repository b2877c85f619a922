"""The example of nearest neighbours runs as a user would run it, at a small size."""

from __future__ import annotations

import re

import pytest
from test_examples_quickstart import load

from spotlight_asars.datasets.synthetic import generate_sessions


def test_an_index_finds_what_the_products_find(capsys, monkeypatch):
    pytest.importorskip("usearch")
    module = load("nearest_neighbours")
    small = {"num_users": 20, "num_items": 60, "num_sessions": 200, "random_state": 0}
    monkeypatch.setattr(module, "generate_sessions", lambda **options: generate_sessions(**small))
    module.main(["--epochs", "1", "--candidates", "59", "--top", "5"])
    out = capsys.readouterr().out
    near, found = map(float, re.findall(r"([\d.]+)% of the 5", out))
    assert near > 90
    assert found > 90
    assert "seed 0, torch" in out
