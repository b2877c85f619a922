"""Terms of the users' histories in the score: the formula, item by item, on every representation; what they learn."""

from __future__ import annotations

import numpy as np
import pytest
import reference
import torch
from contracts import BATCH, BLUEPRINT, ITEMS, TIME, random_batch
from torch import nn

from spotlight_asars import ASARSSequenceModel, SessionInteractions, to_sessions
from spotlight_asars.datasets.synthetic import generate_sessions
from spotlight_asars.evaluation import evaluate
from spotlight_asars.losses import LOSSES
from spotlight_asars.memory import Memory, with_recall
from spotlight_asars.representations import REPRESENTATIONS, build
from spotlight_asars.sessions.channels import Channels, History

HISTORIES = [  # {item: (times, sessions ago, seconds ago, dwell)} of each row of a batch
    {4: (3, 1, 100.0, 9.5), 7: (1, 2, 90000.0, np.nan), 10: (2, 5, np.nan, 0.0)},
    {1: (1, 1, 0.0, 70.0)},
]


def as_history(histories):
    row = torch.arange(len(histories)).repeat_interleave(torch.tensor([len(one) for one in histories]))
    items, *columns = torch.tensor([(item, *values) for one in histories for item, values in one.items()]).double().T
    return History(items.long(), *columns, kinds=torch.zeros_like(row)).padded(row, len(histories))


def make_net(name="time_user", at_random=True):
    torch.manual_seed(0)
    net = with_recall(build(name, BLUEPRINT), ITEMS, history=True, transitions=False).double()
    if at_random:
        for weight in net.terms.parameters():
            nn.init.normal_(weight, std=0.7)
    return net


def remembering_batch():
    """A batch in which items repeat, and whose users have histories."""
    items, channels = random_batch()
    return items % 4 + 1, channels._replace(history=as_history(HISTORIES))


@pytest.mark.parametrize("name", REPRESENTATIONS)
def test_every_items_score_has_the_terms_of_the_formula(name):
    net, (items, channels) = make_net(name), remembering_batch()
    states = net.states(items, channels)[torch.ones(items.shape, dtype=torch.bool)]
    scores = net.score_items(states).detach().numpy()
    expected = net.net.score_items(states.values).detach().numpy()
    for place, (row, step) in enumerate(np.ndindex(BATCH, TIME)):
        viewed = items[row, : step + 1].tolist()
        state = states.values[place].flatten().detach().numpy()
        for item, term in reference.memory_terms(net, state, viewed, HISTORIES[row]).items():
            expected[place, item] += term
    np.testing.assert_allclose(scores, expected, rtol=1e-12)


def test_an_untrained_memory_changes_no_score():
    net, (items, channels) = make_net(at_random=False), remembering_batch()
    states = net.states(items, channels)[:, -1]
    torch.testing.assert_close(net.score_items(states), net.net.score_items(states.values))


def test_an_empty_row_has_the_terms_of_its_users_history_alone():
    net, (items, channels) = make_net(), remembering_batch()
    states = net.states(torch.zeros_like(items), channels._replace(dwell_times=None))
    here, earlier = states[:, -1].score_terms
    assert not here.items.any()
    for row, history in zip(earlier.row[:, 0], HISTORIES, strict=True):
        items, terms = earlier.items[row], earlier.values[row]
        assert set(items[items != 0].tolist()) == set(history)
        assert not terms[items == 0].any()


def test_every_weight_gets_the_gradient_that_finite_differences_find():
    net, (items, channels) = make_net("gru4rec"), remembering_batch()

    def scores(earlier, here, log_decay):
        weights = {"terms.0.earlier": earlier, "terms.0.here": here, "terms.0.log_decay": log_decay}
        return torch.func.functional_call(net, weights, (items, channels), strict=False)

    net.forward = lambda items, channels: net.score_items(net.states(items, channels)[:, -1])
    weights = (net.terms[0].earlier, net.terms[0].here, net.terms[0].log_decay)
    assert torch.autograd.gradcheck(scores, tuple(weight.detach().requires_grad_() for weight in weights))
    net.forward(items, channels).pow(2).sum().backward()
    assert all(weight.grad.all() for weight in net.terms.parameters())


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_learns_that_items_repeat_or_that_they_do_not(loss):
    """Each user repeats their own five items in every session; or never views an item twice."""
    users = np.arange(USERS := 40)
    own = np.arange(USERS * 5).reshape(USERS, 1, 5) + 1
    order = np.random.RandomState(0).rand(USERS, 4, 5).argsort(axis=2)
    for repeats, rows in ((True, np.take_along_axis(own, order, axis=2)), (False, own)):  # (user, session, time)
        count = rows.shape[1]
        sessions = SessionInteractions(
            rows.reshape(-1, 5), np.repeat(users, count), started=np.tile(np.arange(count) * 1e6, USERS)
        )
        model = ASARSSequenceModel(
            loss, "gru4rec", 64, n_iter=6, batch_size=16, learning_rate=0.03, transitions=False, random_state=0
        ).fit(sessions)
        history = Memory(sessions).recall(torch.from_numpy(users), torch.full((USERS,), np.nan).double())
        viewed, left = torch.from_numpy(rows[:, -1, :-1]), torch.from_numpy(rows[:, -1, -1])
        states = model._net.eval().states(viewed, Channels(torch.from_numpy(users), history=history))[:, -1]
        terms = torch.zeros(USERS, sessions.num_items)
        for kind in states.score_terms:
            terms = kind.added_to(terms)
        if repeats:
            assert terms.gather(1, left[:, None]).mean() > terms.gather(1, viewed).mean() + 1, "the item that is left"
        else:
            assert terms.gather(1, viewed).mean() < -0.1, "no item comes twice"


def planted(**knobs):
    knobs = {"predictability": 0.0, "dwell_effect": 0.0, "user_effect": 0.0, **knobs}
    log = generate_sessions(num_users=50, num_items=100, num_sessions=400, random_state=0, **knobs)
    return tuple(to_sessions(part) for part in log.split_by_time(test_fraction=0.3))


def recall(data, history, k=5, **options):
    train, test = data
    options = {"representation": "gru4rec", "n_iter": 4, "batch_size": 32, "random_state": 0, **options}
    return evaluate(ASARSSequenceModel(history=history, **options).fit(train), test, k=k, roll_history=True)[
        f"recall@{k}"
    ]


@pytest.mark.parametrize("representation", ["gru4rec", "time_user"])
def test_it_wins_where_items_repeat_and_does_no_harm_where_they_do_not(representation):
    for gain, knobs in ((0.08, {"repeat_effect": 0.7}), (-0.02, {"predictability": 0.7})):
        data = planted(**knobs)
        with_it, without = (recall(data, history, representation=representation) for history in (True, False))
        assert with_it > without + gain, knobs


def test_where_no_user_sees_an_item_twice_seen_items_are_pushed_down():
    draw = np.random.RandomState(0)
    rows = np.stack([draw.permutation(60)[:40] for _ in range(60)]).reshape(60 * 5, 8) + 1
    users, started = np.repeat(np.arange(60), 5), np.tile(np.arange(5) * 1e5, 60)
    sessions = SessionInteractions(rows, users, started=started, num_items=61)
    last = started == started.max()
    data = sessions.take(np.flatnonzero(~last)), sessions.take(np.flatnonzero(last))
    assert recall(data, history=True, k=20, n_iter=8, learning_rate=0.03) > 0.7
    assert recall(data, history=False, k=20, n_iter=8, learning_rate=0.03) < 0.5
