"""The neighbours of sessions against loops over dictionaries, and how they are found."""

from __future__ import annotations

import numpy as np
import pytest
import reference_baselines as reference
import torch
from hypothesis import given
from hypothesis import strategies as st

from spotlight_asars import SessionInteractions
from spotlight_asars.baselines import STAN, VSKNN, VSTAN, SessionKNN, UserVSKNN
from spotlight_asars.baselines import neighbours as neighbours_module
from spotlight_asars.baselines import session_knn as session_knn_module
from spotlight_asars.baselines.decays import POSITION_WEIGHTS, STEP_WEIGHTS
from spotlight_asars.baselines.histories import Histories
from spotlight_asars.baselines.neighbours import DAY, Pairs, best_pairs
from spotlight_asars.baselines.repeats import Repeats
from spotlight_asars.evaluation import evaluate
from spotlight_asars.recommending.recommender import NEVER
from spotlight_asars.sessions.channels import Channels

ITEMS, USERS = 9, 3
rows = st.lists(st.integers(1, ITEMS - 1), min_size=1, max_size=6)
logs = st.lists(st.tuples(rows, st.integers(0, 6), st.integers(-1, USERS - 1)), min_size=1, max_size=12)
small = st.integers(1, 5)
dwells = st.lists(st.sampled_from([0.0, 5.0, 30.0, np.nan]), min_size=6, max_size=6)


def sessions_of(log):
    """Sessions, their starts [days] and users."""
    train, started, users = (list(column) for column in zip(*log, strict=True))
    padded = np.array([[0] * (6 - len(row)) + row for row in train])
    starts = np.array(started) * DAY
    sessions = SessionInteractions(padded, num_items=ITEMS, user_ids=users, num_users=USERS, started=starts)
    return sessions, train, started, users


def check_against(by_hand, model, sessions, prefix, user=-1, dwell=None):
    model.fit(sessions)
    channels = Channels(torch.tensor([user]), None if dwell is None else torch.tensor([dwell], dtype=torch.float64))
    scores = model.scores(model.encode(torch.tensor([prefix]), channels)[:, -1])[0]
    wanted = np.array([by_hand.get(item, 0.0) for item in range(ITEMS)])
    np.testing.assert_allclose(scores, wanted, rtol=0, atol=1e-10)


@given(logs, rows, small, st.one_of(st.none(), small))
def test_session_knn(log, prefix, k, sample_size):
    sessions, train, started, _ = sessions_of(log)
    by_hand = reference.session_knn(train, started, prefix, k, sample_size)
    check_against(by_hand, SessionKNN(k, sample_size, repeats="allowed"), sessions, prefix)


@given(
    logs,
    rows,
    small,
    st.one_of(st.none(), small),
    st.sampled_from(sorted(POSITION_WEIGHTS)),
    st.sampled_from(sorted(STEP_WEIGHTS)),
    st.sampled_from([0.0, 1.0, 5.0]),
    st.one_of(st.none(), dwells),
)
def test_vsknn(log, prefix, k, sample_size, weighting, weighting_score, idf, dwell):
    sessions, train, started, _ = sessions_of(log)
    dwell = None if dwell is None else dwell[: len(prefix)]
    by_hand = reference.vsknn(train, started, prefix, k, sample_size, weighting, weighting_score, idf, dwell)
    model = VSKNN(k, sample_size, weighting, weighting_score, idf, dwell=dwell is not None, repeats="allowed")
    check_against(by_hand, model, sessions, prefix, dwell=dwell)


@given(logs, rows, small, st.one_of(st.none(), small), st.sampled_from([0.5, 2.0, np.inf]))
def test_stan(log, prefix, k, sample_size, decay):
    sessions, train, started, _ = sessions_of(log)
    by_hand = reference.stan(train, started, prefix, k, sample_size, decay, 3.0, decay + 1)
    check_against(by_hand, STAN(k, sample_size, decay, 3.0, decay + 1, repeats="allowed"), sessions, prefix)


@given(logs, rows, small, st.one_of(st.none(), small), st.sampled_from([0.5, 2.0, np.inf]))
def test_vstan(log, prefix, k, sample_size, decay):
    sessions, train, started, _ = sessions_of(log)
    by_hand = reference.stan(train, started, prefix, k, sample_size, 1.5, 3.0, decay, decay + 1, rarity=2.0)
    model = VSTAN(k, sample_size, 1.5, 3.0, decay, decay + 1, idf=2.0, repeats="allowed")
    check_against(by_hand, model, sessions, prefix)


@given(
    logs,
    rows,
    st.integers(-1, USERS - 1),
    small,
    st.integers(0, 4),
    st.sampled_from([0.0, 0.7]),
    st.sampled_from([0.0, 0.3]),
    st.integers(1, 3),
)
def test_user_vsknn(log, prefix, user, k, extend, boost, reminders, remind_sessions):
    sessions, train, started, users = sessions_of(log)
    options = {"k": k, "sample_size": 6, "weighting": "div", "weighting_score": "div"}
    by_hand = reference.user_vsknn(
        train, started, users, prefix, user, extend, boost, reminders, remind_sessions, **options, rarity=1.0
    )
    model = UserVSKNN(
        **options,
        idf=1.0,
        repeats="allowed",
        extend_session_length=extend,
        boost_own_sessions=boost,
        reminders=reminders,
        remind_sessions=remind_sessions,
    )
    check_against(by_hand, model, sessions, prefix, user)


def random_pairs(draw, num_rows):
    counts = draw.randint(0, 9, num_rows)
    row = np.repeat(np.arange(num_rows), counts)
    return Pairs(row, np.arange(len(row)), draw.randint(0, 4, len(row)) / 4)  # many ties


@pytest.mark.parametrize("k", [1, 3, 8, 20])
def test_the_best_pairs_are_the_first_of_a_stable_sort(k):
    pairs = random_pairs(np.random.RandomState(k), 40)
    best = best_pairs(pairs, 40, k)
    for row in range(40):
        mine = pairs.session[pairs.row == row]
        wanted = mine[np.argsort(-pairs.similarity[pairs.row == row], kind="stable")][:k]
        np.testing.assert_array_equal(best.session[best.row == row], np.sort(wanted))


def test_chunks_change_nothing(monkeypatch):
    draw = np.random.RandomState(0)
    log = [(draw.randint(1, ITEMS, 6).tolist(), i, i % USERS) for i in range(30)]
    sessions, *_ = sessions_of(log)
    batch = torch.from_numpy(draw.randint(1, ITEMS, (7, 6)))
    for model in (SessionKNN(k=4), VSKNN(k=4), STAN(k=4), VSTAN(k=4), UserVSKNN(k=4)):
        model.fit(sessions)
        whole = model.scores(model.encode(batch, Channels(torch.arange(7) % USERS))[:, -1])
        with monkeypatch.context() as patch:
            for module in (neighbours_module, session_knn_module):
                patch.setattr(module, "MOST_NUMBERS", 16)
            patch.setattr(session_knn_module, "in_chunks", lambda costs, limit=5: neighbours_module.in_chunks(costs, 5))
            parts = model.scores(model.encode(batch, Channels(torch.arange(7) % USERS))[:, -1])
        np.testing.assert_array_equal(parts, whole)


def test_sessions_of_unknown_start_are_taken_as_given():
    """The one given later is the more recent one."""
    sessions = SessionInteractions([[1, 2], [1, 3]])
    assert SessionKNN(sample_size=1).fit(sessions).predict([1]).argmax() == 3
    assert STAN(sample_size=1).fit(sessions).predict([1]).argmax() == 3


def test_recent_neighbours_weigh_more_and_old_ones_never_vanish():
    old, new = 0.0, 4000 * DAY
    sessions = SessionInteractions([[1, 2], [1, 3], [4, 5]], started=[old, old + DAY, new])
    scores = STAN(recency_decay=5.0).fit(sessions).predict([1])
    assert scores[3] > scores[2] > 0


@pytest.mark.parametrize(
    ("log", "last", "seen"),
    [
        ([[1, 2, 1], [0, 2, 3]], True, False),
        ([[1, 2, 3], [0, 2, 3]], True, True),
        ([[1, 1, 3], [0, 2, 3]], False, False),
    ],
)
def test_what_never_repeats_is_no_candidate(log, last, seen):
    sessions = SessionInteractions(log)
    assert Repeats.learn(sessions) == Repeats(last, seen)
    scores = SessionKNN().fit(sessions).predict([2, 3])
    assert (scores[3] == np.float32(NEVER)) == last
    assert (scores[2] == np.float32(NEVER)) == seen
    assert (SessionKNN(repeats="allowed").fit(sessions).predict([2, 3])[1:] > NEVER).all()


def test_update_adds_to_histories_and_evaluation_forgets_it():
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


def test_histories_by_hand():
    sessions = SessionInteractions(
        [[0, 1, 2], [3, 4, 5], [0, 0, 6], [0, 7, 8]], user_ids=[1, 0, -1, 1], started=[5, 1, 2, 3]
    )
    histories = Histories.of(sessions)
    users = np.array([1, 0, -1, 9])
    latest = histories.latest_events(users, np.array([3, 1, 2, 2]))
    assert latest.items.tolist() == [8, 1, 2, 5]
    assert latest.row.tolist() == [0, 0, 0, 1]
    assert latest.place.tolist() == [1, 2, 3, 1]
    assert latest.sessions_ago.tolist() == [2, 1, 1, 1]
    assert histories.latest_sessions(users, 1).items.tolist() == [1, 2, 3, 4, 5]
    later = histories.followed_by(Histories.of(SessionInteractions([[9, 9]], user_ids=[1])))
    assert later.latest_sessions(users[:1], 2).items.tolist() == [1, 2, 9, 9]
    nobody = Histories.of(SessionInteractions([[1, 2]]))
    assert len(nobody.latest_sessions(users, 3).items) == 0
    assert len(nobody.latest_events(users, np.ones(4, dtype=np.int64)).items) == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SessionKNN(k=0), "k must be 1 or more; got 0"),
        (lambda: SessionKNN(sample_size=0), "sample_size must be 1 or more; got 0"),
        (lambda: SessionKNN(similarity="sine"), "similarity must be a callable or one of .*; got 'sine'"),
        (lambda: SessionKNN(repeats="never"), "repeats must be one of .*; got 'never'"),
        (lambda: VSKNN(weighting="cubic"), "weighting must be a callable or one of .*; got 'cubic'"),
        (lambda: VSKNN(weighting_score="cubic"), "weighting_score must be a callable or one of .*; got 'cubic'"),
        (lambda: VSKNN(idf=-1), "idf must be 0 or more; got -1"),
        (lambda: STAN(gap_decay=0), "gap_decay must be positive; got 0"),
        (lambda: VSTAN(match_decay=0), "match_decay must be positive; got 0"),
        (lambda: VSTAN(idf=-2), "idf must be 0 or more; got -2"),
        (lambda: UserVSKNN(extend_session_length=-1), "extend_session_length must be 0 or more; got -1"),
        (lambda: UserVSKNN(boost_own_sessions=-1), "boost_own_sessions must be 0 or more; got -1"),
        (lambda: UserVSKNN(reminders=-1), "reminders must be 0 or more; got -1"),
        (lambda: UserVSKNN(remind_sessions=0), "remind_sessions must be 1 or more; got 0"),
    ],
)
def test_options_are_checked(make, message):
    with pytest.raises(ValueError, match=message):
        make()
