"""The paper's subsets have the paper's supports, and what it leaves open is as documented."""

from __future__ import annotations

import numpy as np
import pytest

from spotlight_asars import EventLog
from spotlight_asars.datasets import PAPER_SUBSETS, generate_sessions, paper_subset


@pytest.fixture(scope="module")
def log():
    """Users with 25 sessions on average, items of very different popularity."""
    drawn = generate_sessions(num_users=40, num_items=300, num_sessions=1000, session_length=4, random_state=0)
    rare = np.random.RandomState(0).zipf(1.3, len(drawn)) % 300 + 1
    return EventLog(drawn.user_ids, rare, drawn.timestamps)


@pytest.mark.parametrize("name", PAPER_SUBSETS)
def test_every_support_holds_in_what_is_left(log, name):
    subset = PAPER_SUBSETS[name]
    left = paper_subset(log, name)
    sessions = left.session_ids()
    first = np.flatnonzero(np.diff(sessions, prepend=-1))
    assert 0 < len(left) < len(log)
    assert np.bincount(left.item_ids)[1:].min() >= subset.item
    assert np.bincount(sessions).min() >= subset.session == 2
    assert np.bincount(left.user_ids[first]).min() >= subset.user


def test_supports_of_table_1():
    printed = {name: (s.session, s.item, s.user) for name, s in PAPER_SUBSETS.items() if s.table}
    assert printed == {
        "movielens_sparse": (2, 10, 10),
        "recsys15_dense": (2, 20, 1),
        "tianchi_sparse": (2, 10, 10),
        "ecommerce_dense": (2, 20, 20),
    }


def test_supports_of_the_readings():
    supports = {"sparse": (2, 10, 10), "dense": (2, 20, 20)}
    for name, subset in PAPER_SUBSETS.items():
        data, kind = name.split("_")
        session, item, user = supports[kind]
        assert (subset.session, subset.item, subset.user) == (session, item, 1 if data == "recsys15" else user)


def test_sessions_are_cut_where_asked(log):
    with pytest.raises(ValueError, match=r"^filter_support must leave events of the \d+ given; got \{'item': 10"):
        paper_subset(log, "movielens_sparse", inactivity=0.001)


def test_another_name_is_refused(log):
    with pytest.raises(ValueError, match=r"^name must be one of \['movielens_sparse', .*\]; got 'tianchi'$"):
        paper_subset(log, "tianchi")
