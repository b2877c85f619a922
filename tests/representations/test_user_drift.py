"""Inter-session dynamics (eqs. 11-14) against a stepper that goes user by user and session by session."""

from __future__ import annotations

import numpy as np
import pytest
import reference
import torch
from contracts import BLUEPRINT
from torch import nn

from spotlight_asars import ASARSSequenceModel, SessionInteractions, to_sessions
from spotlight_asars.datasets.synthetic import generate_sessions
from spotlight_asars.evaluation import evaluate
from spotlight_asars.representations import ASARSNet
from spotlight_asars.sessions.batching import make_batch, user_parallel_batches

CPU = torch.device("cpu")
DAY = 86400.0
USERS = 4


def make_sessions(number=23, seed=0):
    """Sessions of 1 to 4 events, of users who have several in any order of rows; some are of unknown users."""
    draw = np.random.RandomState(seed)
    rows = draw.randint(1, BLUEPRINT.num_items, (number, 4))
    rows[np.arange(4) < draw.randint(0, 4, number)[:, None]] = 0
    return SessionInteractions(
        rows,
        draw.randint(-1, USERS, number),
        BLUEPRINT.num_items,
        dwell_times=draw.rand(number, 4) * 400,
        num_users=USERS,
        started=draw.permutation(number) * DAY * 1.7 + 1e9,
    )


def make_net(sessions, **switches):
    torch.manual_seed(0)
    net = ASARSNet(**{**BLUEPRINT._asdict(), "num_users": USERS, "user": "cat", "drift": True, **switches})
    for weight in net.parameters():
        nn.init.normal_(weight, std=0.5)
    net.item_embeddings.weight.data[0] = 0
    net.double().add_known_users(torch.from_numpy(sessions.user_ids), torch.from_numpy(sessions.started))
    return net


def rows_of(sessions, user):
    rows = np.flatnonzero(sessions.user_ids == user)
    return rows[np.argsort(sessions.started[rows])]


def session_of(sessions, row):
    at = slice(sessions.offsets[row], sessions.offsets[row + 1])
    return sessions.items[at].tolist(), sessions.flat_dwell_times[at].tolist(), sessions.started[row]


def states_by_hand(net, sessions):
    """State after the last event of each session, with the drift of all the user's sessions before it."""
    states = {}
    for user in range(USERS):
        rows = rows_of(sessions, user)
        told = [session_of(sessions, row) for row in rows]
        mean = np.mean([started for *_, started in told]) if told else 0.0
        for row, (items, dwell, _), drift in zip(rows, told, reference.drifts(net, user + 1, told, mean), strict=True):
            states[row] = reference.asars_state(net, items, dwell, user + 1, drift)
    return states


SWITCHES = [{}, {"time": "att"}, {"user": "att", "time": "cat"}, {"cell": "gru", "offset": False}]


@pytest.mark.parametrize("switches", SWITCHES, ids=str)
@pytest.mark.parametrize("batch_size", [50, 9])
def test_whole_users_in_one_pass_are_users_session_by_session(switches, batch_size):
    sessions = make_sessions()
    net = make_net(sessions, **switches).train()
    expected, found = states_by_hand(net, sessions), {}
    for batch in user_parallel_batches(sessions, batch_size, CPU, np.random.RandomState(0)):
        states = net.states(batch.items, batch.channels)[:, -1].detach().numpy()
        found.update(zip(batch.rows.tolist(), states, strict=True))
    assert set(found) == set(range(len(sessions)))
    for row, state in expected.items():
        np.testing.assert_allclose(found[row], state, rtol=1e-9)


@pytest.mark.parametrize("pieces", [1, 3, 100])
def test_kept_states_are_where_the_next_session_starts(pieces):
    sessions = make_sessions()
    order = np.argsort(sessions.started)
    earlier, later = sessions.take(order[:-6]), sessions.take(order[-6:])
    net = make_net(sessions, time="att").eval()
    net.drift.mean_time.nan_to_num_(0.0)
    expected = states_by_hand(net, sessions)
    for batch in user_parallel_batches(earlier, pieces, CPU):
        net.roll(batch.items, batch.channels)
    seen = set()
    for place in range(len(later)):
        user = later.user_ids[place]
        if user < 0 or user in seen:  # only a user's first later session comes right after the earlier ones
            continue
        seen.add(user)
        batch = make_batch(later, np.array([place]), CPU)
        state = net.states(batch.items, batch.channels)[0, -1].detach().numpy()
        np.testing.assert_allclose(
            state, expected[order[-6:][place]], rtol=1e-6
        )  # the kept states are float32 at first
    assert len(seen) >= 3


def test_a_session_sees_nothing_of_later_ones():
    sessions = make_sessions()
    net = make_net(sessions, time="att").train()

    def states(given):
        found = {}
        for batch in user_parallel_batches(given, 50, CPU):
            found.update(zip(batch.rows.tolist(), net.states(batch.items, batch.channels).detach(), strict=True))
        return found

    before = states(sessions)
    for changed in range(len(sessions)):
        items = sessions.items.copy()
        at = slice(sessions.offsets[changed], sessions.offsets[changed + 1])
        items[at] = items[at] % (BLUEPRINT.num_items - 1) + 1
        other = SessionInteractions.from_ragged(
            items,
            sessions.offsets,
            sessions.user_ids,
            sessions.num_items,
            dwell_times=sessions.flat_dwell_times,
            num_users=USERS,
            started=sessions.started,
        )
        after = states(other)
        for row in range(len(sessions)):
            same_user = sessions.user_ids[row] == sessions.user_ids[changed] >= 0
            follows = same_user and sessions.started[row] > sessions.started[changed]
            if row != changed:
                assert torch.equal(after[row], before[row]) != follows, (changed, row)


def test_a_session_whose_user_is_hidden_drifts_like_one_of_an_unknown_user():
    sessions = make_sessions()
    net = make_net(sessions).train()
    (batch,) = user_parallel_batches(sessions, 50, CPU)
    hidden = batch.channels._replace(user_ids=torch.full_like(batch.channels.user_ids, -1))
    states = net.states(batch.items, hidden)
    fresh = make_net(sessions).eval()
    torch.testing.assert_close(states, fresh.states(batch.items, hidden._replace(chain=None)))


def test_the_deviation_is_timesvds():
    drift = make_net(make_sessions()).drift
    rows, started = torch.tensor([1, 1, 0, 1]), torch.tensor([0.0, 10 * DAY, 5.0, torch.nan]).double()
    drift.mean_time[1] = 2 * DAY
    expected = [reference.deviation(0.0, 2 * DAY), reference.deviation(10 * DAY, 2 * DAY), 0.0, 0.0]
    np.testing.assert_allclose(drift.deviation(rows, started), expected, rtol=1e-6)
    assert not drift.deviation(rows, None).any()


def quick(representation="dynamics", **changes):
    sizes = {"embedding_dim": 5, "hidden_dim": 7, "user_dim": 3, "batch_size": 6, "n_iter": 2, "random_state": 0}
    return ASARSSequenceModel(representation=representation, **{**sizes, **changes})


@pytest.mark.parametrize("representation", ["dynamics", "time_dynamics"])
def test_update_moves_the_users_whose_sessions_it_is_given_and_no_other(representation):
    sessions = make_sessions()
    model = quick(representation).fit(sessions)
    start = 1e9 + 60 * DAY
    before = [model.predict([1, 2], user_ids=user, started=start) for user in range(-1, USERS)]
    weights = {name: weight.clone() for name, weight in model._net.named_parameters()}
    later = SessionInteractions([[3, 4]], [2], BLUEPRINT.num_items, started=[1e9 + 50 * DAY])
    assert model.update(later) is model
    after = [model.predict([1, 2], user_ids=user, started=start) for user in range(-1, USERS)]
    for user, (then, now) in enumerate(zip(before, after, strict=True), start=-1):
        assert np.array_equal(then, now) == (user != 2), user
    for name, weight in model._net.named_parameters():
        assert torch.equal(weight, weights[name]), "no training"


def test_updates_one_by_one_are_updates_at_once():
    sessions = make_sessions()
    order = np.argsort(sessions.started)
    later = sessions.take(order[-8:])
    once, step_by_step = (quick().fit(sessions.take(order[:-8])) for _ in range(2))
    once.update(later)
    for row in range(8):
        step_by_step.update(later.take(np.array([row])))
    torch.testing.assert_close(step_by_step._users.drift.state, once._users.drift.state)
    torch.testing.assert_close(step_by_step._users.drift.final, once._users.drift.final)


def test_fit_leaves_the_states_after_the_training_sessions():
    sessions = make_sessions()
    model = quick().fit(sessions)
    kept = model._users.drift.state.clone()
    assert kept[1:].any(dim=1).all()
    assert not kept[0].any(), "the unknown user has none"
    model._users.start_drift(sessions)
    assert torch.equal(model._users.drift.state, kept)


def test_update_refuses_unknown_items_and_unfitted_models():
    later = SessionInteractions([[1, 99]], [0])
    with pytest.raises(RuntimeError, match=r"^update needs a fitted model; call fit first$"):
        quick().update(later)
    with pytest.raises(ValueError, match=r"sessions must have item ids below 11, as in the first call of fit; got 99"):
        quick().fit(make_sessions()).update(later)


def test_other_representations_have_nothing_to_update(sessions):
    model = quick("time_user", history=False).fit(sessions)
    before = model.predict(sessions.sequences)
    np.testing.assert_array_equal(model.update(sessions).predict(sessions.sequences), before)


def test_a_rolled_evaluation_scores_each_session_after_the_users_earlier_ones():
    sessions = make_sessions(40)
    order = np.argsort(sessions.started)
    test = sessions.take(order[-18:])
    model = quick(n_iter=20, learning_rate=0.3).fit(sessions.take(order[:-18]))
    before = model._users.drift.state.clone()
    report = evaluate(model, test, roll_history=True)
    assert torch.equal(model._users.drift.state, before), "the model is afterwards as before"

    expected = {}
    for row in np.argsort(test.started):
        alone = test.take(np.array([row]))
        if alone.lengths[0] >= 2:
            expected[row] = evaluate(model, alone).ranks
        model.update(alone)
    np.testing.assert_array_equal(report.ranks, np.concatenate([expected[row] for row in sorted(expected)]))
    assert (report.ranks != evaluate(model, test).ranks).any()


def test_rolling_needs_a_model_that_can_be_updated():
    class Constant:
        def predict(self, sequence):
            return np.zeros(BLUEPRINT.num_items)

    with pytest.raises(ValueError, match="roll_history must be False for a model without update; got True"):
        evaluate(Constant(), make_sessions(), roll_history=True)


def test_dynamics_win_where_taste_drifts_from_session_to_session():
    log = generate_sessions(
        num_users=100,
        num_items=60,
        num_sessions=4000,
        session_length=4,
        predictability=0.0,
        dwell_effect=0.0,
        user_effect=0.0,
        drift_effect=0.9,
        random_state=0,
    )
    train_log, test_log = log.split_by_time(test_fraction=0.1)
    train, test = to_sessions(train_log), to_sessions(test_log)
    recall = {}
    for representation in ("gru4rec", "user_cat", "dynamics"):
        options = {"n_iter": 15, "batch_size": 64, "history": False, "transitions": False, "random_state": 0}
        model = ASARSSequenceModel(representation=representation, **options).fit(train)
        recall[representation] = evaluate(model, test, k=6, roll_history=True)["recall@6"]
    assert recall["dynamics"] > max(recall["gru4rec"], recall["user_cat"]) + 0.05, recall
