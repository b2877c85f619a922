"""The extensions for returning users against loops, for each kind of session neighbours; updates of histories."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import reference_baselines as reference
from contracts_baselines import ROWS, TIMED_LOGS, assert_scores, random_sessions, sessions_of
from hypothesis import given
from hypothesis import strategies as st

from spotlight_asars import SessionInteractions
from spotlight_asars.baselines import STAN, VSKNN, VSTAN, SessionKNN, UserVSKNN, vsknn_ebr
from spotlight_asars.evaluation import evaluate

K, SAMPLE = 3, 6
KINDS = {  # how each is made, and its scores by hand
    "session_knn": (partial(SessionKNN, K, SAMPLE), partial(reference.session_knn, k=K, sample_size=SAMPLE)),
    "vsknn": (
        partial(VSKNN, K, SAMPLE, "div", "div", 1.0),
        partial(reference.vsknn, k=K, sample_size=SAMPLE, weighting="div", weighting_score="div", rarity=1.0),
    ),
    "stan": (
        partial(STAN, K, SAMPLE, 1.5, 3.0, 2.0),
        partial(reference.stan, k=K, sample_size=SAMPLE, l1=1.5, l2=3.0, l3=2.0),
    ),
    "vstan": (
        partial(VSTAN, K, SAMPLE, 1.5, 3.0, 2.0, 0.5, 1.0),
        partial(reference.stan, k=K, sample_size=SAMPLE, l1=1.5, l2=3.0, l3=2.0, l4=0.5, rarity=1.0),
    ),
}


@pytest.mark.parametrize("kind", KINDS)
@given(
    TIMED_LOGS,
    ROWS,
    st.integers(-1, 2),
    st.integers(0, 4),
    st.sampled_from([0.0, 0.7]),
    st.sampled_from([0.0, 0.3]),
    st.integers(1, 3),
    st.sampled_from([0.0, 0.5]),
)
def test_extend_boost_and_remind(kind, log, prefix, user, extend, boost, reminders, remind_sessions, similar):
    make, by_hand = KINDS[kind]
    options = extend, boost, reminders, remind_sessions, similar

    def score(longer, factor):
        return by_hand(*log[:2], longer, factor=factor)

    names = "extend_session_length", "boost_own_sessions", "reminders", "remind_sessions", "similar_reminders"
    model = make(repeats="allowed", **dict(zip(names, options, strict=True))).fit(sessions_of(*log))
    assert_scores(model, prefix, reference.session_aware(score, *log, prefix, user, *options), user)


def test_excluded_items_stay_excluded_whatever_is_reminded():
    sessions = SessionInteractions([[1, 2, 3], [1, 2, 4]], user_ids=[0, 0])
    plain, reminding = VSKNN().fit(sessions), VSKNN(reminders=2.0, similar_reminders=2.0).fit(sessions)
    scores = reminding.predict([1, 2], user_ids=0)
    np.testing.assert_array_equal(scores[:3], plain.predict([1, 2], user_ids=0)[:3])
    assert min(scores[3:]) > 1


@pytest.mark.parametrize("make", [SessionKNN, VSKNN, STAN, VSTAN])
def test_users_make_no_difference_by_default(make):
    sessions = random_sessions()
    model = make().fit(sessions)
    np.testing.assert_array_equal(model.predict([3, 1], user_ids=0), model.predict([3, 1]))


def test_user_vsknn_is_a_setting():
    assert UserVSKNN is vsknn_ebr
    chosen = {"extend_session_length": 3, "boost_own_sessions": 0.5, "reminders": 0.2, "remind_sessions": 6}
    assert UserVSKNN().get_params() == {**VSKNN().get_params(), **chosen}


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
