"""What every baseline must satisfy, as functions of a maker or of a fitted model; data to test the equations on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from scipy.stats import rankdata

from spotlight_asars import SessionInteractions
from spotlight_asars._spotlight import SequenceInteractions, spotlight_sequence_mrr_score
from spotlight_asars.evaluation import evaluate, sequence_mrr_score
from spotlight_asars.events import DAY
from spotlight_asars.recommending import NEVER
from spotlight_asars.sessions.channels import Channels

ITEMS, USERS, LONGEST, SESSIONS = 13, 5, 7, 41  # primes: no axis can pass for another


def random_sessions(seed=0, sessions=SESSIONS, repeats=True):
    """Sessions of 1 to 7 events of known and unknown users, with dwell times and starts."""
    draw = np.random.RandomState(seed)
    rows = np.zeros((sessions, LONGEST), dtype=np.int64)
    for row, length in zip(rows, draw.randint(1, LONGEST + 1, sessions), strict=True):
        row[-length:] = draw.choice(np.arange(1, ITEMS), length, replace=repeats)
    return SessionInteractions(
        rows,
        user_ids=draw.randint(-1, USERS, sessions),
        num_items=ITEMS,
        num_users=USERS,
        dwell_times=draw.gamma(2.0, 30.0, rows.shape),
        started=draw.permutation(sessions) * 40000.0,
    )


ROWS = st.lists(st.integers(1, 8), min_size=1, max_size=6)  # a session or a prefix
LOGS = st.lists(ROWS, min_size=1, max_size=8)
TIMED_LOGS = st.lists(st.tuples(ROWS, st.integers(0, 6), st.integers(-1, 2)), min_size=1, max_size=12).map(
    lambda log: [list(column) for column in zip(*log, strict=True)]
)  # sessions, their starts [days] and users


def sessions_of(rows, started=None, users=None):
    """Sessions from lists, their starts [days] and users."""
    offsets = np.cumsum([0, *map(len, rows)])
    starts = None if started is None else np.array(started) * DAY
    return SessionInteractions.from_ragged(np.concatenate(rows), offsets, users, ITEMS, num_users=USERS, started=starts)


def scores_of(model, prefix, user=-1, dwell=None):
    """Scores as the equation gives them, before ties are broken: float64 (items,)."""
    channels = Channels(torch.tensor([user]), None if dwell is None else torch.tensor([dwell], dtype=torch.float64))
    return model.scores(model.states(torch.tensor([prefix]), channels)[:, -1])[0]


def assert_scores(model, prefix, by_hand, user=-1, dwell=None):
    """The scores after a prefix are those of a dictionary, and 0 for all other items."""
    wanted = [by_hand.get(item, 0.0) for item in range(ITEMS)]
    np.testing.assert_allclose(scores_of(model, prefix, user, dwell), wanted, rtol=0, atol=1e-10)


def batch_of(seed=1):
    """Full rows with their channels, as tensors."""
    draw = np.random.RandomState(seed)
    items = torch.from_numpy(draw.randint(1, ITEMS, (3, LONGEST)))
    return items, Channels(torch.tensor([0, -1, 3]), torch.from_numpy(draw.gamma(2.0, 30.0, items.shape)))


def all_scores(model, items, channels):
    """Scores after every step, (batch, time, items)."""
    mask = torch.ones(items.shape, dtype=torch.bool)
    return model.score_catalogue(model.states(items, channels)[mask]).view(*items.shape, ITEMS)


def check_options(make):
    """Parameters are those of the constructor, and setting one makes the model anew, not fitted."""
    model = make().fit(random_sessions())
    params = model.get_params()
    assert type(model)(**params).get_params() == params
    assert model.set_params() is model
    assert model.get_params() == params
    with pytest.raises(RuntimeError, match="needs a fitted model; call fit first"):
        model.predict([1])


def check_not_fitted(make):
    """Predictions, recommendations and evaluations need ``fit``."""
    for call in (
        lambda model: model.predict([1]),
        lambda model: model.recommend([[1]]),
        lambda model: model.num_items,
        lambda model: evaluate(model, random_sessions()),
    ):
        with pytest.raises(RuntimeError, match="needs a fitted model; call fit first"):
            call(make())


def check_fit(make):
    """``fit`` returns the model, accepts Spotlight's plain sequences, and gives the same scores twice."""
    sessions = random_sessions()
    model = make()
    assert model.fit(sessions) is model
    np.testing.assert_array_equal(model.predict([3, 1]), make().fit(sessions).predict([3, 1]))
    plain = SequenceInteractions(np.array(sessions.sequences), np.maximum(sessions.user_ids, 0), ITEMS)
    assert make().fit(plain, verbose=False).predict([3, 1]).shape == (ITEMS,)


def check_shapes(model):
    """One row gives (items,), more give (session, items); candidates keep their order; padding scores ``NEVER``."""
    one, two = model.predict([3, 1]), model.predict([[0, 3, 1], [2, 2, 5]])
    assert one.dtype == np.float32
    assert one.shape == (ITEMS,)
    assert two.shape == (2, ITEMS)
    np.testing.assert_allclose(two[0], one, rtol=1e-5, atol=1e-5)
    assert one[0] == np.float32(NEVER)
    assert np.isfinite(one).all()
    np.testing.assert_allclose(model.predict([3, 1], item_ids=[4, 0, 2]), one[[4, 0, 2]], rtol=1e-5)
    assert model.predict([0, 0]).shape == (ITEMS,)  # an empty session
    states = model.states(*batch_of())
    assert states.shape[:2] == (3, LONGEST)
    assert model.score_catalogue(states[:, -1]).shape == (3, ITEMS)
    assert model.score_catalogue(states[:, -1][1:2], torch.tensor([5, 4])).shape == (1, 2)


def check_recommend(model):
    """The best items are those that ``predict`` scores highest, and never excluded ones."""
    rows = np.array([[0, 3, 1], [2, 2, 5]])
    items, scores = model.recommend(rows, k=4)
    predicted = model.predict(rows)
    np.testing.assert_allclose(np.take_along_axis(predicted, items, axis=1), scores, rtol=1e-6)
    np.testing.assert_allclose(scores, -np.sort(-predicted, axis=1)[:, :4], rtol=1e-6)
    unseen = model.recommend(rows, k=ITEMS, exclude_seen=True).items
    assert not {1, 3} & set(unseen[0].tolist())


def check_batched(model):
    """A batch equals one by one, in any order; and batched evaluation equals prefix by prefix."""
    items, channels = batch_of()
    together = all_scores(model, items, channels)
    for row in range(3):
        alone = all_scores(model, items[[row]], channels.rows(slice(row, row + 1)))
        torch.testing.assert_close(alone[0], together[row], rtol=1e-4, atol=1e-4)
    test = random_sessions(seed=2)

    class OneByOne:
        num_items = _num_items = ITEMS
        predict = staticmethod(model.predict)

    np.testing.assert_allclose(evaluate(model, test).ranks, evaluate(OneByOne, test).ranks)
    if hasattr(model, "rank_targets"):
        states, targets = model.states(items, channels)[:, -1], torch.tensor([1, 5, 12])
        scores = model.score_catalogue(states).numpy()
        wanted = [rankdata(-row)[target] for row, target in zip(scores, targets, strict=True)]
        np.testing.assert_array_equal(model.rank_targets(states, targets), wanted)


def check_spotlights_evaluator(model):
    """Spotlight's unchanged ``sequence_mrr_score`` runs and agrees with ours."""
    test = random_sessions(seed=2)
    for exclude in (False, True):
        theirs = spotlight_sequence_mrr_score(model, test, exclude_preceding=exclude)
        np.testing.assert_allclose(sequence_mrr_score(model, test, exclude_preceding=exclude), theirs)


def check_causal(model):
    """No score changes with later events, later dwell, or the dwell of the last event, which is not over yet."""
    items, (users, dwell, *_) = batch_of()
    before = all_scores(model, items, Channels(users, dwell))
    for step in range(1, LONGEST):
        changed, longer = items.clone(), dwell.clone()
        changed[:, step:] = changed[:, step:] % (ITEMS - 1) + 1
        longer[:, step - 1 :] += 500
        after = all_scores(model, changed, Channels(users, longer))
        torch.testing.assert_close(after[:, :step], before[:, :step], rtol=1e-4, atol=1e-4)


def check_padding_is_nothing(model):
    """Padding on the left, on the right or in between changes no score."""
    items, (users, dwell, *_) = batch_of()
    plain = all_scores(model, items, Channels(users, dwell))
    places = torch.tensor([2, 3, 5, 6, 9, 10, 12])
    wide = torch.zeros(3, 15, dtype=torch.int64)
    wide_dwell = torch.full((3, 15), 77.0, dtype=dwell.dtype)
    wide[:, places], wide_dwell[:, places] = items, dwell
    padded = all_scores(model, wide, Channels(users, wide_dwell))
    torch.testing.assert_close(padded[:, places], plain, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(padded[:, -1], plain[:, -1], rtol=1e-4, atol=1e-4)


def check_channels_are_optional(model):
    """No channels, unknown ones, and a user that training did not meet are all the same."""
    items, _ = batch_of()
    unknown = Channels(torch.full((3,), -1), torch.full(items.shape, torch.nan, dtype=torch.float64))
    torch.testing.assert_close(all_scores(model, items, None), all_scores(model, items, unknown))
    stranger = model.predict([3, 1], user_ids=USERS + 90)
    np.testing.assert_array_equal(stranger, model.predict([3, 1]))


OF_A_MAKER = (check_options, check_not_fitted, check_fit)
OF_A_FITTED_MODEL = (
    check_shapes,
    check_recommend,
    check_batched,
    check_spotlights_evaluator,
    check_causal,
    check_padding_is_nothing,
    check_channels_are_optional,
)
