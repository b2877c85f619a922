"""What a model keeps of users between sessions: what moves it, what leaves it, and that no session sees a later one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from spotlight_asars import ASARSSequenceModel, SessionInteractions
from spotlight_asars._spotlight import spotlight_sequence_mrr_score
from spotlight_asars.evaluation import evaluate, sequence_mrr_score
from spotlight_asars.events import DAY
from spotlight_asars.representations import REPRESENTATIONS
from spotlight_asars.sessions.channels import Channels

USERS, ITEMS = 4, 12


def make_sessions(number=40, seed=0, first=0.0):
    """Sessions of 1 to 4 events, of users who have several in any order of rows; some are of unknown users."""
    draw = np.random.RandomState(seed)
    rows = draw.randint(1, ITEMS, (number, 4))
    rows[np.arange(4) < draw.randint(0, 4, number)[:, None]] = 0
    return SessionInteractions(
        rows,
        draw.randint(-1, USERS, number),
        ITEMS,
        dwell_times=draw.rand(number, 4) * 400,
        num_users=USERS,
        started=(draw.permutation(number) + first) * DAY * 1.7,
    )


def split(sessions, later):
    """The last `later` sessions by time, apart from those before."""
    order = np.argsort(sessions.started)
    return sessions.take(order[:-later]), sessions.take(order[-later:])


def quick(representation="dynamics", **changes):
    sizes = {"embedding_dim": 5, "hidden_dim": 7, "user_dim": 3, "batch_size": 6, "n_iter": 2, "random_state": 0}
    return ASARSSequenceModel(representation=representation, **{**sizes, **changes})


def of_users_alone():
    """Options of a model whose memories are those of single users."""
    return {"transitions": False, "neighbours": False}


def users_of(model):
    return model._fitted.users


KEEPS = [("dynamics", False), ("time_dynamics", False), ("gru4rec", True), ("dynamics", True)]
keeping = pytest.mark.parametrize(("representation", "history"), KEEPS)


@keeping
def test_update_moves_the_users_of_its_sessions_and_no_other_and_trains_nothing(representation, history):
    model = quick(representation, history=history, n_iter=8, learning_rate=0.1, **of_users_alone())
    model.fit(make_sessions())
    at = {"started": 99 * DAY}
    before = [model.predict([1, 2], user_ids=user, **at) for user in range(-1, USERS)]
    weights = {name: weight.clone() for name, weight in model._net.named_parameters()}
    later = SessionInteractions([[3, 4]], [2], ITEMS, started=[90 * DAY])
    assert model.update(later) is model
    after = [model.predict([1, 2], user_ids=user, **at) for user in range(-1, USERS)]
    for user, (then, now) in enumerate(zip(before, after, strict=True), start=-1):
        assert np.array_equal(then, now) == (user != 2), user
    for name, weight in model._net.named_parameters():
        assert torch.equal(weight, weights[name])


@keeping
def test_a_rolled_evaluation_scores_each_session_after_the_users_earlier_ones(representation, history):
    train, test = split(make_sessions(60), later=25)
    model = quick(representation, history=history, n_iter=20, learning_rate=0.2, **of_users_alone()).fit(train)
    before = model.predict(test.sequences)
    still, rolled = evaluate(model, test), evaluate(model, test, roll_history=True)
    np.testing.assert_array_equal(model.predict(test.sequences), before, err_msg="the model is afterwards as before")
    by_hand = []
    for row in range(len(test)):  # in the order of time
        alone = test.take(np.array([row]))
        if alone.lengths[0] >= 2:
            by_hand.append(evaluate(model, alone).ranks)
        model.update(alone)
    np.testing.assert_array_equal(rolled.ranks, np.concatenate(by_hand))
    assert (rolled.ranks != still.ranks).any()


def test_a_rolled_evaluation_remembers_no_session_of_other_users():
    train, test = split(make_sessions(60), later=25)
    model = quick("gru4rec", n_iter=5).fit(train)
    transitions, neighbours = model._fitted.transitions, model._fitted.neighbours
    with model.preserved_user_state() as roll:
        roll(test)
        assert (model._fitted.transitions, model._fitted.neighbours) == (transitions, neighbours)
        assert len(users_of(model).memory) > len(quick("gru4rec", n_iter=0).fit(train)._fitted.users.memory)


def test_all_that_update_does_is_undone_after_the_block():
    train, test = split(make_sessions(60), later=25)
    model = quick("gru4rec", n_iter=5).fit(train)
    wider = SessionInteractions([[3, ITEMS, ITEMS + 1]], [1], ITEMS + 2, started=[200 * DAY])
    again = SessionInteractions([[5, ITEMS, ITEMS + 1]], [1], ITEMS + 2, started=[201 * DAY])
    for before in (lambda: None, lambda: model.update(wider)):
        before()
        expected, optimizer = model.predict(test.sequences), model._optimizer
        with model.preserved_user_state():
            model.update(again)
            assert model.num_items == ITEMS + 2
            assert not np.array_equal(model.predict(test.sequences)[:, :ITEMS], expected[:, :ITEMS])
        np.testing.assert_array_equal(model.predict(test.sequences), expected)
        assert model._optimizer is optimizer


def test_updates_one_by_one_are_updates_at_once():
    train, later = split(make_sessions(), later=8)
    once, one_by_one = quick().fit(train).update(later), quick().fit(train)
    for row in range(8):
        one_by_one.update(later.take(np.array([row])))
    for name in ("state", "final"):
        kept, expected = (getattr(users_of(model).drift, name) for model in (one_by_one, once))
        torch.testing.assert_close(kept, expected)


def test_fit_leaves_the_drift_after_the_training_sessions():
    sessions = make_sessions()
    users = users_of(quick().fit(sessions))
    kept = users.drift.state.clone()
    assert kept[1:].any(dim=1).all()
    assert not kept[0].any(), "the unknown user has none"
    users.start_drift(sessions)
    assert torch.equal(users.drift.state, kept)


def test_update_refuses_unfitted_models():
    with pytest.raises(RuntimeError, match=r"^update needs a fitted model; call fit first$"):
        quick().update(SessionInteractions([[1, 3]], [0]))


def test_other_representations_have_nothing_to_update(sessions):
    model = quick("time_user", history=False, **of_users_alone()).fit(sessions)
    before = model.predict(sessions.sequences)
    np.testing.assert_array_equal(model.update(sessions).predict(sessions.sequences), before)


def test_rolling_needs_a_model_that_can_be_updated():
    class Constant:
        def predict(self, sequence):
            return np.zeros(ITEMS)

    with pytest.raises(ValueError, match="roll_history must be False for a model without update; got True"):
        evaluate(Constant(), make_sessions(), roll_history=True)


@pytest.mark.parametrize("representation", REPRESENTATIONS)
def test_every_representation_learns_each_term_of_a_history(representation):
    model = quick(representation, loss="bpr", num_negative_samples=5).fit(make_sessions())
    test = make_sessions(seed=1)
    np.testing.assert_allclose(sequence_mrr_score(model, test), spotlight_sequence_mrr_score(model, test))
    weights = model.memory_weights()
    assert all(weights[name] for name in ("seen", "times", "sessions_ago", "time_ago", "dwell"))
    assert all(weights[name] for name in ("here", "steps_ago", "last"))


def test_later_sessions_change_no_score_of_earlier_ones():
    train, later = make_sessions(), make_sessions(seed=2, first=100)
    model = quick("gru4rec", loss="bpr", **of_users_alone()).fit(train)
    before = model.predict(train.sequences), model.predict(later.sequences[:, :2])
    model.update(later)
    np.testing.assert_array_equal(model.predict(train.sequences), before[0])
    model.update(make_sessions(seed=3))
    assert not np.array_equal(model.predict(later.sequences[:, :2]), before[1]), "earlier ones do"


def test_training_recalls_no_session_that_starts_later():
    sessions = make_sessions()
    first = np.argsort(sessions.started)[:20]
    changed, late = sessions.items.copy(), np.ones(len(sessions.items), dtype=bool)
    late[sessions.places(first)] = False
    changed[late] = changed[late] % (ITEMS - 1) + 1
    other = SessionInteractions.from_ragged(
        changed, sessions.offsets, sessions.user_ids, ITEMS, started=sessions.started, num_users=USERS
    )
    items = []
    for log in (sessions, other):
        users = users_of(quick("gru4rec", n_iter=0).fit(log))
        channels = Channels(torch.from_numpy(log.user_ids[first]), None, torch.from_numpy(log.started[first]))
        items.append(users.recall(channels, training=True).history.items)
    assert torch.equal(*items)
    assert items[0].any()


def test_sessions_of_unknown_start_have_a_history_when_predicting_but_not_in_training():
    sessions = make_sessions()
    timeless = SessionInteractions.from_ragged(
        sessions.items, sessions.offsets, sessions.user_ids, ITEMS, num_users=USERS
    )
    users, channels = users_of(quick("gru4rec").fit(timeless)), Channels(torch.arange(USERS))
    assert users.recall(channels).history.items.any()
    assert not users.recall(channels, training=True).history.items.any()
