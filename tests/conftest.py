"""Shared by all tests: marks left out by default, the header, paths of real logs, and a small log."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import torch

from spotlight_asars import SPOTLIGHT, EventLog, SessionInteractions

LEFT_OUT = ("slow", "fuzz", "packaging", "spark")

hypothesis.settings.register_profile("default", deadline=None, max_examples=40, derandomize=True)
hypothesis.settings.load_profile("default")
if "PYTEST_XDIST_WORKER" in os.environ:
    torch.set_num_threads(1)  # the workers share the cores


def pytest_report_header(config):
    return f"spotlight: {SPOTLIGHT}"


def pytest_collection_modifyitems(config, items):
    """Leave the tests out that take long, unless a mark expression asks for something else."""
    if not config.getoption("-m"):
        left_out = [item for item in items if any(item.get_closest_marker(mark) for mark in LEFT_OUT)]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(autouse=True)
def no_core_under_spotlights_name():
    """Undo ``install_as_spotlight`` after each test."""
    yield
    for name, module in list(sys.modules.items()) if "spotlight" in sys.modules else ():
        if name.partition(".")[0] == "spotlight" and module.__name__.startswith("spotlight_asars._core"):
            del sys.modules[name]


@pytest.fixture
def data_folder():
    """The folder of real logs; a test that needs it is skipped where it is not."""
    folder = os.environ.get("SPOTLIGHT_ASARS_DATA")
    if not folder:
        pytest.skip("SPOTLIGHT_ASARS_DATA names no folder of real logs")
    return Path(folder)


@pytest.fixture
def load_benchmark(monkeypatch):
    """Imports a module of ``examples/benchmarks`` as if it were run from its folder."""
    folder = Path(__file__).parent.parent / "examples" / "benchmarks"
    monkeypatch.syspath_prepend(str(folder))
    yield importlib.import_module
    for path in folder.glob("*.py"):
        sys.modules.pop(path.stem, None)


@pytest.fixture
def six_events():
    """Ann reads two stories, sleeps, and returns to the first; Bob reads one and goes on to another.

    ======  =====  ===========
    user    item   timestamp
    ======  =====  ===========
    ann     story  0, 40
    ann     poem   100
    ann     story  10000
    bob     poem   50
    bob     story  80
    ======  =====  ===========
    """
    import pandas as pd

    return pd.DataFrame(
        {
            "user_id": ["bob", "ann", "ann", "ann", "ann", "bob"],
            "item_id": ["poem", "story", "story", "poem", "story", "story"],
            "timestamp": [50, 0, 40, 100, 10000, 80],
        }
    )


@pytest.fixture
def log(six_events):
    return EventLog.from_frame(six_events)


@pytest.fixture
def sessions():
    """Four sessions of three users, one of them unknown, with dwell times."""
    return SessionInteractions(
        np.array([[0, 0, 1, 2], [3, 1, 2, 4], [0, 2, 3, 1], [0, 0, 0, 4]]),
        user_ids=[0, 1, -1, 0],
        dwell_times=[[0, 0, 5, np.nan], [9, 1, 70, np.nan], [0, 33, 2, np.nan], [0, 0, 0, np.nan]],
        num_items=6,
        num_users=3,
    )
