"""What the memory adds to the scores: the formula, item by item, on every representation; and what it learns."""

from __future__ import annotations

import numpy as np
import pytest
import reference
import torch
from contracts import BATCH, BLUEPRINT, ITEMS, TIME, random_batch
from torch import nn

from spotlight_asars import ASARSSequenceModel, SessionInteractions, to_sessions
from spotlight_asars._spotlight import PADDING_IDX, spotlight_sequence_mrr_score
from spotlight_asars.datasets.synthetic import generate_sessions
from spotlight_asars.evaluation import evaluate, sequence_mrr_score
from spotlight_asars.losses import LOSSES
from spotlight_asars.memory import with_recall
from spotlight_asars.memory.history_terms import EARLIER_TERMS, SESSION_TERMS
from spotlight_asars.representations import REPRESENTATIONS, build
from spotlight_asars.sessions.batching import make_batch
from spotlight_asars.sessions.channels import Channels, History

HISTORIES = [  # {item: (times, sessions ago, seconds ago, dwell)} of each row of a batch
    {4: (3, 1, 100.0, 9.5), 7: (1, 2, 90000.0, np.nan), 10: (2, 5, np.nan, 0.0)},
    {1: (1, 1, 0.0, 70.0)},
]


def as_history(histories):
    rows = np.repeat(np.arange(len(histories)), [len(one) for one in histories])
    flat = np.array([(item, *values) for one in histories for item, values in one.items()])
    names = ("items", *History._fields[1:])
    history = History.from_flat(rows, len(histories), **dict(zip(names, flat.T, strict=True)))
    return History(history.items, *(column.double() for column in history[1:]))


def make_net(name="time_user", at_random=True):
    torch.manual_seed(0)
    net = with_recall(build(name, BLUEPRINT), history=True, transitions=False).double()
    if at_random:
        for weight in net.terms.parameters():
            nn.init.normal_(weight, std=0.7)
    return net


def remembering_batch(seed=0):
    """A batch of primes in which items repeat, and its users have histories."""
    items, channels = random_batch(seed=seed)
    items = items % 4 + 1
    return items, channels._replace(history=as_history(HISTORIES))


def selected(net, items, channels):
    """States of all steps, (batch * time), as the objective selects them."""
    return net.states(items, channels)[torch.ones(items.shape, dtype=torch.bool)]


@pytest.mark.parametrize("name", REPRESENTATIONS)
def test_every_items_score_has_the_terms_of_the_formula(name):
    net, (items, channels) = make_net(name), remembering_batch()
    states = selected(net, items, channels)
    scores = net.score_items(states).detach().numpy()
    expected = net.net.score_items(states.values).detach().numpy()
    for place, (row, step) in enumerate(np.ndindex(BATCH, TIME)):
        viewed = items[row, : step + 1].tolist()
        state = states.values[place].flatten().detach().numpy()
        for item, term in reference.memory_terms(net, state, viewed, HISTORIES[row]).items():
            expected[place, item] += term
    np.testing.assert_allclose(scores, expected, rtol=1e-12)


@pytest.mark.parametrize("history", [True, False])
def test_one_item_some_items_and_the_catalogue_get_the_same_scores(history):
    net, (items, channels) = make_net(), remembering_batch()
    states = selected(net, items, channels if history else channels._replace(history=None))
    catalogue = net.score_items(states)
    targets = torch.arange(BATCH * TIME) % (ITEMS - 1) + 1
    torch.testing.assert_close(net.score(states, targets), catalogue.gather(1, targets[:, None])[:, 0])
    for some in ([4, 2, 4, 10], [9], [4, 4]):
        torch.testing.assert_close(net.score_items(states, torch.tensor(some)), catalogue[:, some])


@pytest.mark.parametrize("name", REPRESENTATIONS)
def test_at_first_the_memory_is_silent(name):
    net, (items, channels) = make_net(name, at_random=False), remembering_batch()
    states = selected(net, items, channels)
    torch.testing.assert_close(net.score_items(states), net.net.score_items(states.values))


def test_padding_anywhere_changes_no_score():
    net, (items, channels) = make_net(), remembering_batch()
    places = torch.tensor([2, 3, 5, 6, 9])
    wide, dwell = torch.zeros(BATCH, 12, dtype=torch.int64), torch.full((BATCH, 12), torch.nan, dtype=torch.float64)
    wide[:, places], dwell[:, places] = items, channels.dwell_times
    padded = net.states(wide, channels._replace(dwell_times=dwell))
    for step, place in enumerate(places):
        expected = net.score_items(net.states(items, channels)[:, step])
        torch.testing.assert_close(net.score_items(padded[:, place]), expected)
    torch.testing.assert_close(net.score_items(padded[:, -1]), expected)


def test_a_batch_gives_what_its_rows_give():
    net, (items, channels) = make_net(), remembering_batch()
    together = net.score_items(net.states(items, channels)[:, -1])
    for row in range(BATCH):
        alone = slice(row, row + 1)
        states = net.states(items[alone], channels.rows(alone))
        torch.testing.assert_close(net.score_items(states[:, -1])[0], together[row])


def test_later_events_change_no_earlier_score():
    net, (items, channels) = make_net(), remembering_batch()
    for step in range(1, TIME):
        changed = items.clone()
        changed[:, step:] = changed[:, step:] % (ITEMS - 1) + 1
        for before in range(step):
            one, other = (net.score_items(net.states(rows, channels)[:, before]) for rows in (items, changed))
            torch.testing.assert_close(one, other)


def test_an_empty_row_has_the_terms_of_its_users_history_alone():
    net, (items, channels) = make_net(), remembering_batch()
    state, touched, value = net.states(torch.zeros_like(items), channels._replace(dwell_times=None))[:, -1].score_terms
    for row in range(BATCH):
        assert set(touched[(state == row) & (touched != 0)].tolist()) == set(HISTORIES[row])
    assert not value[touched == 0].any()


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


def test_the_items_that_the_memory_touches_are_told_with_their_rows():
    net, (items, channels) = make_net(), remembering_batch()
    states = selected(net, items, channels)
    distinct, hits = states.recalled_items()
    expected = [HISTORIES[row].keys() | set(items[row, : step + 1].tolist()) for row, step in np.ndindex(BATCH, TIME)]
    assert [set(distinct[hit].tolist()) for hit in hits] == expected
    assert distinct.tolist() == sorted(set().union(*expected))
    nothing = net.states(torch.zeros(1, 1, dtype=torch.int64))[:, -1]
    assert [len(part.flatten()) for part in nothing.recalled_items()] == [0, 0]


@pytest.mark.parametrize("share", [1.0, 0.3, 0.0])
def test_pairs_of_a_state_and_an_item_have_the_scores_of_the_whole_catalogue(share):
    net, (items, channels) = make_net(), remembering_batch()
    states = selected(net, items, channels)
    scores, (distinct, hits) = net.score_items(states), states.recalled_items()
    expected = torch.zeros_like(scores, dtype=torch.bool)
    expected[:, distinct] = hits
    chosen = torch.rand(scores.shape, generator=torch.Generator().manual_seed(0)) < share
    state, item = (part.flip(0) for part in chosen.nonzero().T)  # in any order
    pairs, recalled = net.score_pairs(states, state, item)
    torch.testing.assert_close(pairs, scores[state, item])
    real = item != PADDING_IDX
    assert torch.equal(recalled[real], expected[state, item][real])


def some_sessions(size=60, num_items=12, seed=0):
    draw = np.random.RandomState(seed)
    items = draw.randint(1, num_items, (size, 6))
    items[draw.rand(size) < 0.4, :2] = 0
    dwell = draw.gamma(2, 20, items.shape)
    started = draw.permutation(size) * 5e4
    return SessionInteractions(items, draw.randint(-1, 8, size), num_items, dwell_times=dwell, started=started)


@pytest.mark.parametrize("representation", REPRESENTATIONS)
@pytest.mark.parametrize("loss", ["bpr", "cross_entropy", "sampled_softmax"])
def test_it_serves_every_representation(representation, loss):
    train, test = some_sessions(), some_sessions(seed=1)
    model = ASARSSequenceModel(loss, representation, n_iter=2, random_state=0, num_negative_samples=5).fit(train)
    weights = model.memory_weights()
    assert all(weights[name] for name in (*EARLIER_TERMS, *SESSION_TERMS)), "each has been learned"
    np.testing.assert_allclose(sequence_mrr_score(model, test), spotlight_sequence_mrr_score(model, test))
    assert evaluate(model, test)["recall@10"] > 0


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_learns_that_items_repeat_or_that_they_do_not(loss):
    """Each user goes round their own five items for ever; or never comes to the same item again."""
    own = np.arange(200).reshape(40, 5) + 1
    for repeats in (True, False):
        order = np.random.RandomState(0).rand(40, 4, 5).argsort(axis=2)
        order = np.take_along_axis(own[:, None].repeat(4, axis=1), order, axis=2)  # (user, session, time)
        rows = order if repeats else order[:, 0].reshape(40, 1, 5)
        sessions = SessionInteractions(
            rows.reshape(-1, 5),
            np.repeat(np.arange(40), rows.shape[1]),
            num_items=201,
            started=np.tile(np.arange(rows.shape[1]) * 1e6, 40),
        )
        options = {"n_iter": 15, "batch_size": 16, "random_state": 0, "transitions": False}
        model = ASARSSequenceModel(loss, "gru4rec", **options).fit(sessions)
        states = model.encode(torch.from_numpy(rows[:, -1, :-1]), Channels(torch.arange(40)))[:, -1]
        state, items, value = states.score_terms
        added = torch.zeros(40, 201).index_put((state, items), value, accumulate=True)
        viewed = torch.zeros(40, 201, dtype=torch.bool).scatter(1, torch.from_numpy(rows[:, -1, :-1]), True)
        left = torch.from_numpy(rows[:, -1, -1])
        best = added[torch.arange(40), left].mean() if repeats else 0.0
        assert added[viewed].mean() < best, "no item comes twice in a session"
        assert not repeats or best > 0.1, "the one of the user's items that is left"


def test_an_event_of_a_later_session_changes_no_score():
    train, later = some_sessions(), some_sessions(seed=2)
    later = SessionInteractions.from_ragged(
        later.items, later.offsets, later.user_ids, 12, started=later.started + 1e7, num_users=8
    )
    model = ASARSSequenceModel("bpr", n_iter=2, random_state=0).fit(train)
    before = model.predict(train.sequences), evaluate(model, train).ranks
    model.update(later)
    np.testing.assert_array_equal(model.predict(train.sequences), before[0])
    np.testing.assert_array_equal(evaluate(model, train).ranks, before[1])
    now = [model.predict(later.sequences[:, :2])]
    model.update(some_sessions(seed=3))
    assert not np.array_equal(model.predict(later.sequences[:, :2]), now[0]), "earlier ones do"


def test_training_sees_no_session_that_begins_later():
    """The losses on the earliest sessions are the same, whatever comes after them."""
    sessions = some_sessions()
    first = np.argsort(sessions.started)[:20]
    changed = sessions.items.copy()
    late = np.ones(len(changed), dtype=bool)
    late[sessions.places(first)] = False
    changed[late] = changed[late] % 11 + 1
    other = SessionInteractions.from_ragged(
        changed,
        sessions.offsets,
        sessions.user_ids,
        12,
        dwell_times=sessions.flat_dwell_times,
        started=sessions.started,
        num_users=8,
    )
    recalled = []
    for log in (sessions, other):
        model = ASARSSequenceModel(n_iter=0, random_state=0).fit(log)
        batch = make_batch(log, first, model.device)
        recalled.append(model._users.recall(batch.channels, training=True).history)
    for one, again in zip(*recalled, strict=True):
        torch.testing.assert_close(one, again, equal_nan=True)
    assert recalled[0].items.any()


def test_sessions_of_unknown_start_have_a_history_when_predicting_but_not_in_training():
    sessions = some_sessions()
    timeless = SessionInteractions.from_ragged(sessions.items, sessions.offsets, sessions.user_ids, 12, num_users=8)
    model = ASARSSequenceModel(n_iter=1, random_state=0).fit(timeless)
    assert set(model.memory_weights().values()) >= {0.0}
    channels = Channels(torch.arange(8))
    assert model._users.recall(channels).history.items.any()
    assert not model._users.recall(channels, training=True).history.items.any()


def test_test_sessions_start_from_the_training_history_and_roll_forward_if_asked():
    sessions = some_sessions(200)
    order = np.argsort(sessions.started)
    train, test = sessions.take(order[:150]), sessions.take(order[150:])
    model = ASARSSequenceModel("bpr", n_iter=3, random_state=0).fit(train)
    memory = model._users.memory
    still, rolled = evaluate(model, test), evaluate(model, test, roll_history=True)
    assert model._users.memory is memory, "the model is afterwards as before"
    assert not np.array_equal(still.ranks, rolled.ranks)
    by_hand = []
    for row in range(len(test)):  # the test is in the order of time
        one = test.take(np.array([row]))
        by_hand.append(evaluate(model, one).ranks)
        model.update(one)
    np.testing.assert_array_equal(np.concatenate(by_hand), rolled.ranks)


def planted(**knobs):
    knobs = {"predictability": 0.0, "dwell_effect": 0.0, "user_effect": 0.0, **knobs}
    log = generate_sessions(num_users=50, num_items=100, num_sessions=800, random_state=0, **knobs)
    return tuple(to_sessions(part) for part in log.split_by_time(test_fraction=0.2))


def recall(data, k=5, **options):
    train, test = data
    options = {"n_iter": 6, "batch_size": 32, "random_state": 0, **options}
    return evaluate(ASARSSequenceModel(**options).fit(train), test, k=k, roll_history=True)[f"recall@{k}"]


def test_it_wins_where_items_repeat_and_does_no_harm_where_they_do_not():
    repeating, other = planted(repeat_effect=0.7), planted(predictability=0.7)
    for representation in ("gru4rec", "time_user"):
        with_it, without = (recall(repeating, representation=representation, history=on) for on in (True, False))
        assert with_it > without + 0.07, representation
        with_it, without = (recall(other, representation=representation, history=on) for on in (True, False))
        assert with_it > without - 0.02, representation


def test_where_no_user_sees_an_item_twice_seen_items_are_pushed_down():
    draw = np.random.RandomState(0)
    rows = np.stack([draw.permutation(60)[:40] for _ in range(60)]).reshape(60 * 5, 8) + 1
    users, started = np.repeat(np.arange(60), 5), np.tile(np.arange(5) * 1e5, 60)
    sessions = SessionInteractions(rows, users, started=started, num_items=61)
    last = started == started.max()
    train, test = sessions.take(np.flatnonzero(~last)), sessions.take(np.flatnonzero(last))
    assert recall((train, test), k=20, representation="gru4rec", history=True, n_iter=15) > 0.7
    assert recall((train, test), k=20, representation="gru4rec", history=False, n_iter=15) < 0.5
