"""The three extensions for returning users against loops; updates of histories."""

from __future__ import annotations

import numpy as np
import pytest
import reference_baselines as reference
from contracts_baselines import ROWS, TIMED_LOGS, assert_scores, sessions_of
from hypothesis import given
from hypothesis import strategies as st

from spotlight_asars import SessionInteractions
from spotlight_asars.baselines import UserVSKNN
from spotlight_asars.evaluation import evaluate


@given(
    TIMED_LOGS,
    ROWS,
    st.integers(-1, 2),
    st.integers(1, 5),
    st.integers(0, 4),
    st.sampled_from([0.0, 0.7]),
    st.sampled_from([0.0, 0.3]),
    st.integers(1, 3),
)
def test_user_vsknn(log, prefix, user, k, extend, boost, reminders, remind_sessions):
    options = {"k": k, "sample_size": 6, "weighting": "div", "weighting_score": "div"}
    by_hand = reference.user_vsknn(*log, prefix, user, extend, boost, reminders, remind_sessions, **options, rarity=1.0)
    model = UserVSKNN(
        **options,
        idf=1.0,
        repeats="allowed",
        extend_session_length=extend,
        boost_own_sessions=boost,
        reminders=reminders,
        remind_sessions=remind_sessions,
    )
    assert_scores(model.fit(sessions_of(*log)), prefix, by_hand, user)


def test_update_extends_histories_and_evaluation_undoes_it():
    train = SessionInteractions([[1, 2], [3, 4]], user_ids=[0, 1], num_items=7, started=[0, 1])
    later = SessionInteractions([[5, 6]], user_ids=[0], num_items=7, num_users=2, started=[2])
    model = UserVSKNN(reminders=1.0).fit(train)
    before = model.predict([3], user_ids=0)
    assert before[5] < 0 < before[1]
    evaluate(model, SessionInteractions([[5, 6], [6, 1]], user_ids=[0, 0], num_items=7), roll_history=True)
    np.testing.assert_array_equal(model.predict([3], user_ids=0), before)
    after = model.update(later).predict([3], user_ids=0)
    assert after[5] > after[1] > 0
    with pytest.raises(ValueError, match="sessions must have item ids below 7, as in the first call of fit; got 9"):
        model.update(SessionInteractions([[9, 6]]))
    with pytest.raises(RuntimeError, match="update needs a fitted model; call fit first"):
        UserVSKNN().update(later)
