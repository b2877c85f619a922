"""Pytest plugin: upstream's tests run on the built-in core, with MovieLens read from a local file.

Load it with ``-p upstream_on_core``. The environment variable SPOTLIGHT_ASARS_DATA names the folder that
holds ``ml-100k/events.csv.gz``: user_id,item_id,timestamp,category,rating.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path

import numpy as np

from spotlight_asars._core.datasets import movielens
from spotlight_asars._core.interactions import Interactions
from spotlight_asars._spotlight import SPOTLIGHT, install_as_spotlight


@functools.cache
def ratings():
    """User ids, item ids, ratings and timestamps, sorted by time within each user."""
    path = Path(os.environ["SPOTLIGHT_ASARS_DATA"]) / "ml-100k" / "events.csv.gz"
    return np.loadtxt(path, delimiter=",", skiprows=1, usecols=(0, 1, 4, 2)).T


def get_movielens_dataset(variant="100K"):
    assert variant == "100K", f"only 100K is available; got {variant!r}"
    user_ids, item_ids, stars, timestamps = ratings()
    return Interactions(
        user_ids.astype(np.int32),
        item_ids.astype(np.int32),
        stars.astype(np.float32),
        timestamps.astype(np.int32),
    )


def pytest_configure(config):
    if SPOTLIGHT != "builtin":
        raise RuntimeError(f"SPOTLIGHT must be 'builtin' to test the core; got {SPOTLIGHT!r}")
    install_as_spotlight()
    movielens.get_movielens_dataset = get_movielens_dataset
