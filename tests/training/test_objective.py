"""A mini-batch teaches every prefix of its sessions, and never that an item the user has seen is wrong."""

from __future__ import annotations

import copy
from collections import Counter
from itertools import product

import contracts
import numpy as np
import pytest
import torch
from numpy.random import RandomState
from simulated_device import SIMULATED, simulated_device
from torch import nn
from torch.nn.functional import cross_entropy

from spotlight_asars import SessionInteractions
from spotlight_asars.losses import LOSSES
from spotlight_asars.memory import Memory, with_recall
from spotlight_asars.representations import REPRESENTATIONS, ASARSNet, build
from spotlight_asars.runtime import devices
from spotlight_asars.runtime.distributed import ALONE, Processes
from spotlight_asars.sampling import HOST, SAMPLERS, Draw, Seen
from spotlight_asars.sessions.batching import SessionsOnDevice
from spotlight_asars.sessions.channels import Channels
from spotlight_asars.sessions.hiding import hide_channels, hide_events
from spotlight_asars.training import objective
from spotlight_asars.training.acceleration import Accelerated
from spotlight_asars.training.objective import NextItemObjective

ITEMS, USERS, NEGATIVES = 13, 5, 11
BLUEPRINT = contracts.BLUEPRINT._replace(num_items=ITEMS, num_users=USERS)
SPOTLIGHTS = ("pooling", "cnn", "lstm", "mixture")
OURS = [name for name in REPRESENTATIONS if name not in SPOTLIGHTS]


def log(sessions=17, seed=0):
    """Sessions of 0 to 6 events, some users unknown, some dwell unknown."""
    draw = RandomState(seed)
    rows = draw.randint(1, ITEMS, (sessions, 6))
    rows[np.arange(6) < draw.randint(0, 7, sessions)[:, None]] = 0
    rows[0] = [0, 0, 0, 0, 2, 2]
    dwell = np.where(draw.rand(sessions, 6) < 0.8, draw.rand(sessions, 6) * 100, np.nan)
    users = draw.randint(-1, USERS, sessions)
    return SessionInteractions(rows, users, ITEMS, dwell_times=dwell, num_users=USERS)


def make_net(name, **changes):
    torch.manual_seed(1)
    net = build(name, BLUEPRINT._replace(**changes)).double()
    if isinstance(net, ASARSNet):
        net.add_known_users(torch.arange(USERS - 1).repeat(2))
    return net


def make_objective(sessions, loss, sampler="local", seed=3, dropout=0.0):
    loss = LOSSES.get(loss, loss)
    return NextItemObjective(
        loss, sessions, SAMPLERS[sampler], NEGATIVES, RandomState(seed), user_dropout=dropout, dwell_dropout=dropout
    )


def batch_of(sessions, rows, whole=None):
    return SessionsOnDevice(sessions, HOST).batch(np.asarray(rows), whole=whole)


def drawn_by(sessions, sampler, events, seed=3):
    """What an objective of this seed draws for its first batch."""
    return SAMPLERS[sampler](sessions, HOST)(NEGATIVES, Draw(RandomState(seed).randint(2**31)), events)


def excluded(sessions, rows, drawn):
    return Seen(sessions).excludes(rows, torch.from_numpy(rows), drawn)


class Labels(nn.Module):
    """A net whose scores are ids: 100 * row + item for a target, the item for all others."""

    def states(self, items, channels=None):
        rows = torch.arange(len(items), dtype=torch.float64)
        return rows[:, None, None].expand(*items.shape, 1)

    def score(self, states, targets):
        return 100 * states[:, 0] + targets

    def score_items(self, states, item_ids=None):
        items = torch.arange(ITEMS) if item_ids is None else item_ids
        return 100 * states + items


class Pairs:
    """A loss that keeps what it is given: {(row, target, other, counts), ...} and how many there are."""

    def __call__(self, positive, negative, mask):
        rows, targets = (positive // 100).long(), (positive % 100).long()
        assert negative.shape == mask.shape
        self.number, self.targets = negative.numel(), list(zip(rows.tolist(), targets.tolist(), strict=True))
        self.counted = {
            (row, target, int(other) % 100)
            for place, (row, target) in enumerate(self.targets)
            for other, counts in zip(negative[:, place], mask[:, place], strict=True)
            if counts
        }
        self.drawn = set((negative[:, 0].long() % 100).tolist())
        return positive.sum()


def targets_by_hand(sessions, rows):
    events = [sessions.items[sessions.offsets[row] : sessions.offsets[row + 1]].tolist() for row in rows]
    return [(place, item) for place, items in enumerate(events) for item in items[1:]]


def histories_by_hand(sessions):
    """The items of every session's user; those of the session where the user is unknown."""
    events = [set(items.tolist()) for items in np.split(sessions.items, sessions.offsets[1:-1])]
    users = [-1] * len(events) if sessions.user_ids is None else sessions.user_ids.tolist()
    return [
        set().union(*(others for others, other in zip(events, users, strict=True) if other == user >= 0), own)
        for own, user in zip(events, users, strict=True)
    ]


@pytest.mark.parametrize("users", [True, False])
@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("seed", range(5))
def test_what_counts_is_every_drawn_item_that_the_user_has_not_seen(seed, sampler, users):
    sessions = log(seed=seed)
    if not users:
        sessions = SessionInteractions(np.asarray(sessions.sequences), num_items=ITEMS)
    pairs, histories = Pairs(), histories_by_hand(sessions)
    for rows in np.array_split(RandomState(seed).permutation(len(sessions)), 3):
        make_objective(sessions, pairs, sampler, seed)(Labels(), batch_of(sessions, rows))
        assert pairs.targets == targets_by_hand(sessions, rows)
        assert pairs.number == NEGATIVES * len(pairs.targets)
        expected = {(row, target, item) for row, target in pairs.targets for item in pairs.drawn - histories[rows[row]]}
        assert pairs.counted == expected
        for row, target, item in pairs.counted:
            assert item not in {0, target} | histories[rows[row]]


def test_over_the_catalogue_every_item_but_the_target_and_padding_counts():
    sessions, rows, given = log(), np.arange(len(log())), []

    class Net(Labels):
        def score_items(self, states, item_ids=None):
            given.append(torch.randn(len(states), ITEMS, dtype=torch.float64))
            return given[-1]

    loss = make_objective(sessions, LOSSES["cross_entropy"])(Net(), batch_of(sessions, rows))
    scores = given[0].numpy()
    by_hand = [
        np.log(np.exp(scores[place, 1:]).sum()) - scores[place, target]
        for place, (_, target) in enumerate(targets_by_hand(sessions, rows))
    ]
    assert loss.item() == pytest.approx(np.mean(by_hand), rel=1e-12)


def test_a_sampler_is_given_the_events_of_the_mini_batch():
    sessions, pools = log(), []

    def sampler(training_log, device):
        assert (training_log, device) == (sessions, HOST)

        def sample(count, draw, events):
            pools.append(events)
            return 1 + (draw.uniform(count) * (ITEMS - 1)).long()

        return sample

    rows = np.array([4, 0, 11])
    taught = NextItemObjective(LOSSES["bpr"], sessions, sampler, NEGATIVES, RandomState(0))
    taught(make_net("gru4rec"), batch_of(sessions, rows))
    events = np.concatenate([sessions.items[sessions.offsets[row] : sessions.offsets[row + 1]] for row in rows])
    assert len(pools) == 1
    np.testing.assert_array_equal(pools[0], events)


@pytest.mark.parametrize("at_once", [1, 4 * ITEMS + 1, 2**22])  # scores: a target by itself, four of them, all
@pytest.mark.parametrize("name", REPRESENTATIONS)
def test_cross_entropy_is_torchs_over_all_items_but_padding(name, at_once, monkeypatch):
    monkeypatch.setattr(devices, "SCORES_AT_ONCE", at_once)
    monkeypatch.setattr(objective, "LEAST_ROWS", 1)
    sessions, net = log(), make_net(name)
    batch = batch_of(sessions, np.arange(len(sessions)))
    value = make_objective(sessions, "cross_entropy")(net, batch)

    real = batch.items[:, :-1] != 0
    states = net.states(batch.items[:, :-1], batch.channels.steps(slice(-1)))[real]
    logits, targets = net.score_items(states)[:, 1:], batch.items[:, 1:][real] - 1
    torch.testing.assert_close(value, cross_entropy(logits, targets), rtol=1e-12, atol=0)


def prefixes(sessions, rows):
    """Every prefix of two events or more as a row of its own, and which of `rows` each comes from."""
    matrix, dwell, users, places = [], [], [], []
    width = sessions.max_sequence_length
    for place, row in enumerate(rows):
        start, end = sessions.offsets[row : row + 2]
        for stop in range(start + 2, end + 1):
            padding = [0] * (width - (stop - start))
            matrix.append(padding + sessions.items[start:stop].tolist())
            dwell.append(padding + sessions.flat_dwell_times[start:stop].tolist())
            users.append(sessions.user_ids[row])
            places.append(place)
    alone = SessionInteractions(matrix, users, ITEMS, dwell_times=dwell, num_users=USERS)
    return alone, places


def one_by_one(net, loss, sessions, rows, drawn):
    """The loss of `rows`, each prefix scored alone."""
    unseen = ~excluded(sessions, rows, drawn)
    positive, negative, mask = [], [], []
    alone, places = prefixes(sessions, rows)
    for row, place in enumerate(places):
        prefix = batch_of(alone, [row])
        items, channels = prefix.items, prefix.channels
        state, target = net.states(items[:, :-1], channels.steps(slice(-1)))[:, -1], items[:, -1]
        positive.append(net.score(state, target)[0])
        if LOSSES[loss].over_catalogue:
            negative.append(net.score_items(state)[0])
            mask.append(~torch.isin(torch.arange(ITEMS), torch.tensor([0, target])))
        else:
            negative.append(net.score_items(state, drawn)[0])
            mask.append(drawn != target if LOSSES[loss].corrects_log_q else unseen[place])
    mask = torch.stack(mask, dim=1)
    return LOSSES[loss](torch.stack(positive), torch.stack(negative, dim=1), mask=mask)


def gradients(net, value):
    net.zero_grad()
    value.backward()
    return {name: weights.grad.clone() for name, weights in net.named_parameters() if weights.grad is not None}


def passes():
    """Every loss with three nets, every net with two losses; with -m slow each with all."""
    for name, loss, last_dwell in product(OURS, LOSSES, ("unknown", "observed")):
        chosen = loss in ("cross_entropy", "bpr") or (name in ("gru4rec", "time_user", "time_transformer"))
        chosen = chosen and (last_dwell == "unknown" or loss == "cross_entropy")
        yield pytest.param(name, loss, last_dwell, marks=() if chosen else pytest.mark.slow)


@pytest.mark.parametrize(("name", "loss", "last_dwell"), list(passes()))
def test_one_pass_teaches_what_all_prefixes_teach_one_by_one(name, loss, last_dwell):
    sessions, net = log(), make_net(name, last_dwell=last_dwell)
    rows = np.array([9, 0, 3, 16, 5])
    batch = batch_of(sessions, rows)
    drawn = drawn_by(sessions, "uniform", batch.whole.events)
    together = make_objective(sessions, loss, "uniform", seed=3)(net, batch)
    alone = one_by_one(net, loss, sessions, rows, drawn)
    torch.testing.assert_close(together, alone, rtol=1e-12, atol=0)
    torch.testing.assert_close(gradients(net, together), gradients(net, alone), rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize(
    "loss", [name for name, loss in LOSSES.items() if not (loss.over_catalogue or loss.corrects_log_q)]
)
def test_a_user_who_has_seen_everything_teaches_nothing(loss):
    everything = np.arange(1, ITEMS)
    rows = np.zeros((3, ITEMS - 1), dtype=int)
    rows[0], rows[1, -3:], rows[2, -2:] = everything, [4, 2, 4], [7, 8]
    sessions = SessionInteractions(rows, user_ids=[0, 1, 0], num_items=ITEMS, num_users=USERS)
    net = make_net("time_user")

    def taught(chosen):
        net.zero_grad()
        value = make_objective(sessions, loss, "uniform")(net, batch_of(sessions, np.array(chosen)))
        value.backward()
        return value.item(), net.users.embedding.weight.grad.abs().sum(dim=1)

    value, gradient = taught([0, 1, 2])
    assert value == pytest.approx(taught([1])[0], rel=1e-12)
    assert gradient[1 + 0] == 0 < gradient[1 + 1]
    value, gradient = taught([0, 2])
    assert value == 0
    assert not gradient.any()


@pytest.mark.parametrize("loss", LOSSES)
def test_sessions_of_one_event_teach_nothing(loss):
    sessions = SessionInteractions([[0, 0, 3], [0, 2, 4], [0, 0, 5]], num_items=ITEMS)
    net = make_net("gru4rec")
    both = make_objective(sessions, loss, "uniform")(net, batch_of(sessions, np.array([0, 1, 2])))
    one = make_objective(sessions, loss, "uniform")(net, batch_of(sessions, np.array([1])))
    torch.testing.assert_close(both, one, rtol=1e-12, atol=0)


def test_the_same_seed_draws_the_same_negatives():
    sessions, net = log(), make_net("gru4rec")
    batch = batch_of(sessions, np.arange(len(sessions)))
    first, again, other = (make_objective(sessions, "bpr", seed=seed)(net, batch) for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_sampled_softmax_is_corrected_by_the_chance_of_a_draw_and_compares_what_was_compared_though_seen(sampler):
    sessions, net = log(), make_net("gru4rec")
    batch = batch_of(sessions, np.arange(len(sessions)))
    events = batch.items[batch.items != 0]
    drawn = drawn_by(sessions, sampler, events)
    log_q = SAMPLERS[sampler](sessions, HOST).log_probability(torch.arange(ITEMS), events)

    real = batch.items[:, :-1] != 0
    states, targets = net.states(batch.items[:, :-1], batch.channels.steps(slice(-1)))[real], batch.items[:, 1:][real]
    scores = net.score_items(states) - log_q
    total = 0.0
    for score, target in zip(scores, targets, strict=True):
        others = [score[item].item() for item in drawn if item != target]
        total += np.log(sum(np.exp(others)) + np.exp(score[target].item())) - score[target].item()
    value = make_objective(sessions, "sampled_softmax", sampler)(net, batch)
    assert value.item() == pytest.approx(total / len(targets), rel=1e-12)


def test_sampled_softmax_refuses_a_sampler_that_does_not_know_its_chances():
    def sampler(sessions, device):
        return lambda count, draw, events: torch.ones(count, dtype=torch.int64)

    with pytest.raises(
        ValueError, match=r"negative_sampling must give samples that know their log_prob.*; got <function"
    ):
        NextItemObjective(LOSSES["sampled_softmax"], log(), sampler, NEGATIVES, RandomState(0))


def test_hidden_events_are_as_if_not_seen_but_still_to_be_predicted():
    items = torch.randint(1, ITEMS, (3000, 4))
    torch.manual_seed(0)
    hidden = hide_events(items, 0.3)
    assert (hidden == 0).double().mean().item() == pytest.approx(0.3, abs=0.02)
    assert torch.equal(hidden[hidden != 0], items[hidden != 0])
    assert hide_events(items, 0.0) is items

    sessions, net = log(), make_net("time_user")
    batch = batch_of(sessions, np.arange(len(sessions)))
    torch.manual_seed(1)
    viewed = hide_events(batch.items, 0.5)
    torch.manual_seed(1)
    objective_of = NextItemObjective(
        LOSSES["cross_entropy"], sessions, SAMPLERS["local"], NEGATIVES, RandomState(0), event_dropout=0.5
    )
    value = objective_of(net, batch)
    real = batch.items[:, :-1] != 0
    states = net.states(viewed[:, :-1], batch.channels.steps(slice(-1)))[real]
    logits, targets = net.score_items(states)[:, 1:], batch.items[:, 1:][real] - 1
    torch.testing.assert_close(value, cross_entropy(logits, targets))


def test_by_targets_a_click_counts_the_same_in_a_short_session_and_in_a_long_one():
    sessions, net = log(), make_net("gru4rec")
    weighed = NextItemObjective(
        LOSSES["cross_entropy"], sessions, SAMPLERS["local"], NEGATIVES, RandomState(0), by_targets=True
    )
    rows = np.flatnonzero(sessions.lengths >= 2)
    by_length = rows[np.argsort(sessions.lengths[rows], kind="stable")]
    batches = [batch_of(sessions, chunk) for chunk in by_length.reshape(-1, 1)]
    together = make_objective(sessions, "cross_entropy")(net, batch_of(sessions, by_length))
    torch.testing.assert_close(torch.stack([weighed(net, batch) for batch in batches]).mean(), together)


def channels(rows=4000, time=3):
    return Channels(torch.arange(rows), torch.ones(rows, time, dtype=torch.float64))


def test_no_channel_is_hidden_at_share_0_and_none_is_left_near_1():
    given = channels()
    assert hide_channels(given, 0.0, 0.0) == given
    users, dwell, *_ = hide_channels(given, 1 - 1e-9, 1 - 1e-9)
    assert (users == -1).all()
    assert dwell.isnan().all()
    assert torch.equal(given.user_ids, torch.arange(4000))  # hidden in a copy
    assert (given.dwell_times == 1).all()


def test_users_and_dwell_are_hidden_by_rows_and_independently():
    torch.manual_seed(0)
    users, dwell, *_ = hide_channels(channels(), 0.3, 0.3)
    no_user, no_dwell = users == -1, dwell.isnan()
    assert torch.equal(no_dwell.all(dim=1), no_dwell.any(dim=1))
    for share, expected in ((no_user, 0.3), (no_dwell[:, 0], 0.3), (no_user & no_dwell[:, 0], 0.09)):
        assert share.double().mean().item() == pytest.approx(expected, abs=0.03)
    assert torch.equal(users[~no_user], torch.arange(4000)[~no_user])
    assert (users.dtype, dwell.dtype) == (torch.int64, torch.float64)


def test_a_channel_that_is_unknown_throughout_stays_so():
    assert hide_channels(Channels(), 0.5, 0.5) == Channels()
    assert hide_channels(channels()._replace(dwell_times=None), 0.5, 0.5).dwell_times is None
    assert hide_channels(channels()._replace(user_ids=None), 0.5, 0.5).user_ids is None


def test_hidden_channels_reach_the_net():
    sessions, net = log(), make_net("time_user")
    batch = batch_of(sessions, np.arange(len(sessions)))
    hidden = make_objective(sessions, "cross_entropy", dropout=1 - 1e-9)(net, batch)
    without = make_objective(sessions, "cross_entropy")(net, batch._replace(channels=Channels()))
    assert hidden == without != make_objective(sessions, "cross_entropy")(net, batch)


def remembering(sessions):
    """A net with the terms of its memories, and a batch of all sessions that has what they hold for it."""
    net = with_recall(make_net("gru4rec"), ITEMS, history=True, transitions=False).double()
    memory = Memory(sessions)

    def recalled(rows):
        batch = batch_of(sessions, rows)
        history = memory.recall(batch.channels.user_ids, batch.channels.started)
        return batch._replace(channels=batch.channels._replace(history=history))

    return net, recalled


def timed_log(seed=0):
    sessions = log(seed=seed)
    return SessionInteractions(
        np.asarray(sessions.sequences),
        sessions.user_ids,
        ITEMS,
        dwell_times=np.asarray(sessions.dwell_times),
        num_users=USERS,
        started=RandomState(seed).permutation(len(sessions)) * 1e5,
    )


def compared_though_seen(sessions, net, batch, negatives, seed):
    """Items that a target is compared with though its user sees them: {(session, events from its end): items}."""
    drawn, masks = [], []

    class Recorded(SAMPLERS["local"]):
        def __call__(self, *args):
            drawn.append(super().__call__(*args))
            return drawn[-1]

    def loss(positive, negative, mask):
        masks.append(mask.T)
        return positive.sum()

    NextItemObjective(loss, sessions, Recorded, negatives, RandomState(seed))(net, batch)
    row, step = batch.viewed
    excluded = Seen(sessions).excludes(batch.rows, batch.numbers, drawn[0])[row]
    assert (masks[0] | excluded).all(), "what nobody has seen is compared with everybody"
    keys = zip(batch.rows[row].tolist(), (batch.items.shape[1] - step).tolist(), strict=True)
    return {key: drawn[0][here].tolist() for key, here in zip(keys, masks[0] & excluded, strict=True)}


def test_seen_items_are_compared_as_often_as_a_uniform_draw_would_find_them_but_never_with_themselves():
    sessions, draws, negatives = timed_log(), 300, 5
    net, recalled = remembering(sessions)
    batch, times = recalled(np.arange(len(sessions))), Counter()
    for seed in range(draws):
        for key, items in compared_though_seen(sessions, net, batch, negatives, seed).items():
            times.update((key, item) for item in items)
    events, histories, expected = batch.whole.events.tolist(), histories_by_hand(sessions), Counter()
    for row, step in zip(*(part.tolist() for part in batch.viewed), strict=True):
        for item in histories[row] - {batch.items[row, step + 1].item()}:
            chance = min(1 / (ITEMS - 1), events.count(item) / len(events))  # a local draw finds rare items less often
            expected[(row, batch.items.shape[1] - step), item] = draws * negatives * chance
    assert times.keys() <= expected.keys()
    difference = [times[key] - expected[key] for key in expected]
    assert np.abs(difference).max() < 5 * np.sqrt(draws * negatives / (ITEMS - 1))
    assert abs(np.sum(difference)) < 0.03 * sum(expected.values())


def test_processes_that_share_a_mini_batch_compare_the_same():
    sessions = timed_log()
    net, recalled = remembering(sessions)
    whole = np.flatnonzero(sessions.lengths >= 2)
    together, events = compared_though_seen(sessions, net, recalled(whole), 7, seed=1), recalled(whole).whole
    for size in (2, 5):
        shared = {}
        for rank in range(size):
            part = recalled(whole[rank::size])._replace(whole=events)
            shared |= compared_though_seen(sessions, net, part, 7, seed=1)
        assert shared == together


@pytest.mark.parametrize("loss", LOSSES)
def test_losses_of_processes_that_share_a_mini_batch_sum_up_to_its_loss(loss, monkeypatch):
    sessions = timed_log()
    net, recalled = remembering(sessions)
    rows, size = np.flatnonzero(sessions.lengths >= 2), 3
    weights = []
    monkeypatch.setattr(objective, "summed", lambda weight: weights.append(weight) or torch.stack(weights).sum())

    def loss_of(part, processes):
        batch = recalled(part)._replace(whole=batch_of(sessions, rows).whole)
        sampler, state = SAMPLERS["uniform"], RandomState(3)
        taught = NextItemObjective(
            LOSSES[loss], sessions, sampler, NEGATIVES, state, by_targets=True, processes=processes
        )
        return taught(net, batch)

    together = loss_of(rows, ALONE)
    shares = [(rows[rank::size], Processes(rank, size)) for rank in range(size)]
    for share in shares:  # to learn the weight of each
        loss_of(*share)
    total = torch.stack(weights).sum() if weights else None
    monkeypatch.setattr(objective, "summed", lambda weight: total)
    torch.testing.assert_close(sum(loss_of(*share) for share in shares), together, rtol=1e-12, atol=0)


def test_a_process_without_a_session_of_a_mini_batch_adds_nothing():
    sessions, net = log(), make_net("gru4rec")
    share = batch_of(sessions, np.empty(0, dtype=np.int64), whole=np.array([0, 3]))
    for loss in LOSSES:
        value = make_objective(sessions, loss)(net, share)
        assert (value.item(), value.requires_grad) == (0.0, False)


@pytest.mark.parametrize("loss", LOSSES)
def test_on_a_device_the_loss_is_the_same_and_waits_for_nothing(loss):
    sessions, net = log(), make_net("gru4rec")
    rows = np.arange(len(sessions))
    on_host = make_objective(sessions, loss)(net, batch_of(sessions, rows))
    with simulated_device() as waits:
        there = copy.deepcopy(net).to(SIMULATED)
        taught = NextItemObjective(
            LOSSES[loss], sessions, SAMPLERS["local"], NEGATIVES, RandomState(3), device=SIMULATED
        )
        batch = SessionsOnDevice(sessions, SIMULATED).batch(rows)
        waits.clear()
        value = taught(there, batch)
        value.backward()
        assert not waits
        assert value.item() == pytest.approx(on_host.item(), rel=1e-12)


@pytest.mark.parametrize("accelerated", [True, False])
def test_a_step_looks_each_item_up_once(accelerated):
    sessions, rows = log(), np.arange(17)
    net = make_net("gru4rec", sparse=True)
    trained = Accelerated(net, HOST, autocast=False, compile=False) if accelerated else net
    make_objective(sessions, "hinge")(trained, batch_of(sessions, rows)).backward()
    drawn = drawn_by(sessions, "local", batch_of(sessions, rows).whole.events)
    items = np.unique(np.r_[sessions.items, drawn])  # padding has no gradient
    assert net.item_embeddings.weight.grad._indices().flatten().tolist() == items.tolist()
