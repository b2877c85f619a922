"""Any rules of a request: what comes obeys them, or one of them is named."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from fuzzing import CASES, INTEGERS, ODD, answer, explore
from hypothesis import strategies as st

from spotlight_asars import ASARSSequenceModel, SessionInteractions

ITEMS, ROWS = 6, [[1, 2], [3]]
IDS = st.lists(st.one_of(st.integers(1, ITEMS - 1), INTEGERS), max_size=3)
LISTS = st.lists(IDS | ODD, min_size=1, max_size=3)
BOOSTS = st.dictionaries(st.integers(1, ITEMS - 1), st.floats(-9, 9) | ODD, max_size=3)
NAMES = ("candidates", "exclude", "boosts")


@functools.cache
def fitted():
    sessions = SessionInteractions([[0, 1, 2, 3], [1, 2, 3, 1], [4, 4, 5, 2]], user_ids=[0, 1, 0], num_items=ITEMS)
    return ASARSSequenceModel(n_iter=1, embedding_dim=4, hidden_dim=4, random_state=0).fit(sessions)


def check(candidates, exclude, boosts):
    rules = {"candidates": candidates, "exclude": exclude, "boosts": boosts}
    best = answer(lambda: fitted().recommend(ROWS, 9, **rules), *NAMES)
    if best is None:
        return
    assert best.items.shape == best.scores.shape
    for place, items in enumerate(best.items.tolist()):
        found = {item for item in items if item}
        if candidates is not None:
            assert found <= set(own(candidates, place))
        if exclude is not None:
            assert not found & set(own(exclude, place))
    assert np.isfinite(best.scores).all()


def own(rule, place):
    """The ids of one row, of a rule that was accepted."""
    values = list(rule) if isinstance(rule, (list, tuple, set)) else np.atleast_1d(np.asarray(rule)).tolist()
    if values and isinstance(values[0], (list, tuple, set, np.ndarray)):
        values = list(values[place])
    return [int(value) for value in values]


@pytest.mark.parametrize("cases", CASES)
def test_rules_hold_or_one_of_them_is_named(cases):
    either = st.none() | IDS | LISTS | ODD
    explore(check, cases, st.tuples(either, either, st.none() | BOOSTS | ODD))
