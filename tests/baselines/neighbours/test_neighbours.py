"""Item and session neighbours against loops over dictionaries; chunks, and starts of sessions."""

from __future__ import annotations

import numpy as np
import reference_baselines as reference
import torch
from contracts_baselines import ITEMS, LOGS, ROWS, TIMED_LOGS, USERS, assert_scores, sessions_of
from hypothesis import given
from hypothesis import strategies as st

from spotlight_asars import SessionInteractions
from spotlight_asars.baselines import STAN, VSKNN, VSTAN, ItemKNN, SessionKNN, UserVSKNN
from spotlight_asars.baselines.decays import POSITION_WEIGHTS, STEP_WEIGHTS
from spotlight_asars.baselines.neighbours import nearest, session_knn
from spotlight_asars.events import DAY
from spotlight_asars.sessions.channels import Channels

SMALL = st.integers(1, 5)
SAMPLE = st.one_of(st.none(), SMALL)
DECAY = st.sampled_from([0.5, 2.0, np.inf])
DWELL = st.lists(st.sampled_from([0.0, 5.0, 30.0, np.nan]), min_size=6, max_size=6)


@given(LOGS, ROWS, st.sampled_from([0.0, 1.5, 20.0]), st.sampled_from([0.0, 0.3, 0.5, 1.0]))
def test_item_knn(log, prefix, shrinkage, alpha):
    by_hand = reference.item_knn(log, prefix, shrinkage, alpha)
    assert_scores(ItemKNN(shrinkage, alpha).fit(sessions_of(log)), prefix, by_hand)


@given(TIMED_LOGS, ROWS, SMALL, SAMPLE)
def test_session_knn(log, prefix, k, sample_size):
    by_hand = reference.session_knn(*log[:2], prefix, k, sample_size)
    assert_scores(SessionKNN(k, sample_size, repeats="allowed").fit(sessions_of(*log)), prefix, by_hand)


@given(
    TIMED_LOGS,
    ROWS,
    SMALL,
    SAMPLE,
    st.sampled_from(sorted(POSITION_WEIGHTS)),
    st.sampled_from(sorted(STEP_WEIGHTS)),
    st.sampled_from([0.0, 1.0, 5.0]),
    st.one_of(st.none(), DWELL),
)
def test_vsknn(log, prefix, k, sample_size, weighting, weighting_score, idf, dwell):
    dwell = None if dwell is None else dwell[: len(prefix)]
    by_hand = reference.vsknn(*log[:2], prefix, k, sample_size, weighting, weighting_score, idf, dwell)
    model = VSKNN(k, sample_size, weighting, weighting_score, idf, dwell=dwell is not None, repeats="allowed")
    assert_scores(model.fit(sessions_of(*log)), prefix, by_hand, dwell=dwell)


@given(TIMED_LOGS, ROWS, SMALL, SAMPLE, DECAY)
def test_stan(log, prefix, k, sample_size, decay):
    by_hand = reference.stan(*log[:2], prefix, k, sample_size, decay, 3.0, decay + 1)
    model = STAN(k, sample_size, decay, 3.0, decay + 1, repeats="allowed")
    assert_scores(model.fit(sessions_of(*log)), prefix, by_hand)


@given(TIMED_LOGS, ROWS, SMALL, SAMPLE, DECAY)
def test_vstan(log, prefix, k, sample_size, decay):
    by_hand = reference.stan(*log[:2], prefix, k, sample_size, 1.5, 3.0, decay, decay + 1, rarity=2.0)
    model = VSTAN(k, sample_size, 1.5, 3.0, decay, decay + 1, idf=2.0, repeats="allowed")
    assert_scores(model.fit(sessions_of(*log)), prefix, by_hand)


def test_chunks_change_nothing(monkeypatch):
    draw = np.random.RandomState(0)
    sessions = sessions_of(draw.randint(1, ITEMS, (30, 6)).tolist(), np.arange(30), np.arange(30) % USERS)
    batch = torch.from_numpy(draw.randint(1, ITEMS, (7, 6)))
    for model in (SessionKNN(k=4), VSKNN(k=4), STAN(k=4), VSTAN(k=4), UserVSKNN(k=4)):
        prefixes = model.fit(sessions).states(batch, Channels(torch.arange(7) % USERS))[:, -1]
        whole = model.scores(prefixes)
        with monkeypatch.context() as patch:
            for module in (nearest, session_knn):
                patch.setattr(module, "MOST_ENTRIES", 16)
            np.testing.assert_array_equal(model.scores(prefixes), whole)


def test_sessions_of_unknown_start_are_taken_in_their_order():
    """The later in the log is the more recent one."""
    sessions = SessionInteractions([[1, 2], [1, 3]])
    assert SessionKNN(sample_size=1).fit(sessions).predict([1]).argmax() == 3
    assert STAN(sample_size=1).fit(sessions).predict([1]).argmax() == 3


def test_recent_neighbours_weigh_more_and_old_ones_never_vanish():
    sessions = SessionInteractions([[1, 2], [1, 3], [4, 5]], started=[0.0, DAY, 4000 * DAY])
    scores = STAN(recency_decay=5.0).fit(sessions).predict([1])
    assert scores[3] > scores[2] > 0
