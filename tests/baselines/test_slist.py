"""SLIST against a dense solve by loops; what stays out of the solve."""

from __future__ import annotations

import numpy as np
import pytest
import reference_baselines as reference
from contracts_baselines import ITEMS, ROWS, TIMED_LOGS, random_sessions, scores_of, sessions_of
from hypothesis import given
from hypothesis import strategies as st

from spotlight_asars import SessionInteractions
from spotlight_asars.baselines import SLIST, slist

DECAY = st.sampled_from([0.5, 2.0, np.inf])


@given(
    TIMED_LOGS,
    ROWS,
    st.sampled_from([0.0, 0.3, 1.0]),
    st.sampled_from([0.1, 10.0]),
    DECAY,
    DECAY,
    DECAY,
    st.integers(1, 3),
)
def test_slist(log, prefix, alpha, regularization, recency_decay, gap_decay, position_decay, min_support):
    options = alpha, regularization, recency_decay, gap_decay, position_decay, min_support
    model = SLIST(*options, repeats="allowed").fit(sessions_of(*log))
    by_hand = reference.slist(*log[:2], prefix, ITEMS, *options)
    np.testing.assert_allclose(scores_of(model, prefix), by_hand, rtol=0, atol=2 * slist.NUDGE)


def test_chunks_change_nothing(monkeypatch):
    sessions = random_sessions()
    whole = SLIST().fit(sessions).predict([3, 1])
    monkeypatch.setattr(slist, "MOST_ENTRIES", 16)
    np.testing.assert_allclose(SLIST().fit(sessions).predict([3, 1]), whole, rtol=1e-5)


def test_without_evidence_items_are_in_the_order_of_popularity():
    scores = SLIST().fit(SessionInteractions([[1, 2], [3, 2]], num_items=5)).predict([0])
    assert scores[2] > scores[1] == scores[3] > scores[4]


def test_a_solve_that_does_not_fit_is_refused(monkeypatch):
    monkeypatch.setattr(slist, "MOST_ITEMS", 2)
    sessions = SessionInteractions([[1, 2, 3], [0, 2, 3], [0, 0, 4]])
    rule = "min_support must be 2 or more, so that 2 items or fewer are to be solved for; got 1"
    with pytest.raises(ValueError, match=rule):
        SLIST().fit(sessions)
    assert SLIST(min_support=2).fit(sessions).predict([2]).argmax() == 3
