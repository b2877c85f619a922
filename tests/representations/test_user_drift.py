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
from spotlight_asars.events import DAY
from spotlight_asars.representations import ASARSNet
from spotlight_asars.sessions.batching import SessionsOnDevice
from spotlight_asars.sessions.passes import user_parallel_batches

CPU = torch.device("cpu")
USERS = 4


def of_whole_users(sessions, batch_size, random=None):
    return user_parallel_batches(sessions, batch_size, SessionsOnDevice(sessions, CPU), random)


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
        contents = [session_of(sessions, row) for row in rows]
        mean = np.mean([started for *_, started in contents]) if contents else 0.0
        drifts = reference.drifts(net, user + 1, contents, mean)
        for row, (items, dwell, _), drift in zip(rows, contents, drifts, strict=True):
            states[row] = reference.asars_state(net, items, dwell, user + 1, drift)
    return states


SWITCHES = [{}, {"time": "att"}, {"user": "att", "time": "cat"}, {"cell": "gru", "offset": False}]


@pytest.mark.parametrize("switches", SWITCHES, ids=str)
@pytest.mark.parametrize("batch_size", [50, 9])
def test_whole_users_in_one_pass_are_users_session_by_session(switches, batch_size):
    sessions = make_sessions()
    net = make_net(sessions, **switches).train()
    expected, found = states_by_hand(net, sessions), {}
    for batch in of_whole_users(sessions, batch_size, np.random.RandomState(0)):
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
    for batch in of_whole_users(earlier, pieces):
        net.roll(batch.items, batch.channels)
    seen = set()
    for place in range(len(later)):
        user = later.user_ids[place]
        if user < 0 or user in seen:  # only a user's first later session comes right after the earlier ones
            continue
        seen.add(user)
        batch = SessionsOnDevice(later, CPU).batch(np.array([place]))
        state = net.states(batch.items, batch.channels)[0, -1].detach().numpy()
        np.testing.assert_allclose(
            state, expected[order[-6:][place]], rtol=1e-6
        )  # the kept states are float32 at first
    assert len(seen) >= 3


def test_a_session_sees_nothing_of_later_ones():
    sessions = make_sessions()
    net = make_net(sessions, time="att").train()

    def states(sessions):
        (batch,) = of_whole_users(sessions, 50)
        return dict(zip(batch.rows.tolist(), net.states(batch.items, batch.channels).detach(), strict=True))

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
    (batch,) = of_whole_users(sessions, 50)
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


def test_dynamics_win_where_taste_drifts_from_session_to_session():
    log = generate_sessions(
        num_users=30,
        num_items=30,
        num_sessions=700,
        session_length=4,
        predictability=0.0,
        dwell_effect=0.0,
        user_effect=0.0,
        drift_effect=0.9,
        random_state=0,
    )
    train, test = (to_sessions(part) for part in log.split_by_time(test_fraction=0.2))
    options = {"n_iter": 6, "batch_size": 32, "learning_rate": 0.03, "history": False, "transitions": False}
    recall = {}
    for representation in ("gru4rec", "user_cat", "dynamics"):
        model = ASARSSequenceModel(representation=representation, random_state=0, **options).fit(train)
        recall[representation] = evaluate(model, test, k=3, roll_history=True)["recall@3"]
    assert recall["dynamics"] > max(recall["gru4rec"], recall["user_cat"]) + 0.15, recall
