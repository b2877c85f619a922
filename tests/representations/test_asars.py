"""The network against the paper's equations, one event at a time, and the contracts of every representation."""

from __future__ import annotations

from contextlib import nullcontext
from itertools import product

import contracts
import numpy as np
import pytest
import reference
import torch
from contracts import BATCH, BLUEPRINT, DIM, ITEMS, TIME, random_batch
from torch import nn

from spotlight_asars._spotlight import ImplicitSequenceModel, LSTMNet
from spotlight_asars.events.item_features import FeatureSizes
from spotlight_asars.representations import REPRESENTATIONS, ASARSNet, SpotlightNet, build
from spotlight_asars.sessions.channels import Channels

SPOTLIGHTS = ("pooling", "cnn", "lstm", "mixture")
OURS = tuple(name for name in REPRESENTATIONS if name not in SPOTLIGHTS)


def in_another_bin(dwell):
    return torch.where(dwell < 60, 350.0, 5.0).to(dwell.dtype)


def make_net(name, **changes):
    torch.manual_seed(1)
    net = build(name, BLUEPRINT._replace(**changes)).double()
    if isinstance(net, ASARSNet):
        net.add_known_users(torch.arange(BLUEPRINT.num_users - 1).repeat(2))  # two sessions make a user known
    return net


@pytest.mark.parametrize("check", contracts.EVERY_NET, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", REPRESENTATIONS)
def test_every_representation_keeps_the_contract(name, check):
    check(make_net(name))


@pytest.mark.parametrize("check", contracts.OUR_NETS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", OURS)
def test_our_representations_keep_the_contract_of_padding(name, check):
    check(make_net(name))


def test_left_padding_moves_spotlights_lstm_but_none_of_our_representations():
    items, _ = random_batch()
    padded = torch.cat([torch.zeros(BATCH, 2, dtype=torch.int64), items], dim=1)
    lstm = make_net("lstm")
    assert not torch.allclose(lstm.net.user_representation(padded)[1], lstm.net.user_representation(items)[1])
    for name in REPRESENTATIONS:
        net = make_net(name)
        torch.testing.assert_close(net.states(padded)[:, -1], net.states(items)[:, -1])


def randomised(net):
    """Every weight at random, also those that start at zero, so that each has its effect."""
    torch.manual_seed(2)
    for weight in net.parameters():
        nn.init.normal_(weight, std=0.5)
    net.item_embeddings.weight.data[0] = 0
    return net.double()


SWITCHES = [
    *({"user": user, "time": time} for user, time in product([None, "cat", "att"], [None, "att", "cat"])),
    *({"user": "cat", "time": "att", "attention": "causal", "residual": residual} for residual in (True, False)),
    *({"user": "att", "time": "att", "residual": False, "cell": cell} for cell in ("lstm", "gru")),
    *({"time": time, "time_encoding": "continuous", "dwell_scale": [3.0, 1.5]} for time in ("att", "cat")),
    *({"user": user, "time": "att", "offset": True} for user in (None, "cat")),
]


@pytest.mark.parametrize("last_dwell", ["unknown", "observed"])
@pytest.mark.parametrize("switches", SWITCHES, ids=lambda switches: "-".join(map(str, switches.values())))
def test_states_and_scores_are_the_papers_equations(switches, last_dwell):
    sizes = BLUEPRINT._replace(last_dwell=last_dwell)._asdict()
    net = randomised(ASARSNet(**{**sizes, **switches}))
    net.add_known_users(torch.tensor([3, 3]))
    items, (_, dwell, *_) = random_batch()
    dwell[1, 2] = torch.nan
    users = torch.tensor([3, 5])  # of whom the second is unknown
    states = net.states(items, Channels(users, dwell)).detach()
    for row, embedding in ((0, 4), (1, 0)):
        for step in range(TIME):
            viewed, seconds = items[row, : step + 1].tolist(), dwell[row, : step + 1].tolist()
            by_hand = reference.asars_state(net, viewed, seconds, embedding)
            np.testing.assert_allclose(states[row, step], by_hand, rtol=1e-9)
    every, _ = net.user_representation(items, Channels(users, dwell))
    np.testing.assert_allclose(every[0, :, 0].detach(), reference.asars_state(net, [], [], 4), rtol=1e-9)
    scores = net.score_items(states[0]).detach()
    np.testing.assert_allclose(scores[-1], reference.item_scores(net, states[0, -1].numpy()), rtol=1e-9)
    torch.testing.assert_close(net.score(states[0], items[1]).detach(), scores.gather(1, items[1][:, None])[:, 0])


def test_session_parallel_batches_give_the_same_states():
    """Eqs. 2-4: lanes that take up the next session when one ends, and reset their state, against a row a session."""
    net = make_net("gru4rec")
    sessions = [[1, 2, 3], [4, 5], [6, 7, 8, 9], [10, 1], [2, 3, 4]]
    weights = reference.rnn_weights(reference.weights_of(net), "item_rnn")
    embeddings = net.item_embeddings.weight.detach().numpy()
    waiting, states = list(enumerate(sessions)), {}
    lanes = [waiting.pop(0) for _ in range(2)]
    size = net.item_rnn.hidden_size
    hidden, cell, step = np.zeros((2, size)), np.zeros((2, size)), [0, 0]
    while any(lane is not None for lane in lanes):
        for lane, current in enumerate(lanes):
            if current is None:
                continue
            number, session = current
            hidden[lane], cell[lane] = reference.lstm_step(
                embeddings[session[step[lane]]], hidden[lane], cell[lane], weights
            )
            states[number, step[lane]] = hidden[lane].copy()
            step[lane] += 1
            if step[lane] == len(session):
                lanes[lane] = waiting.pop(0) if waiting else None
                hidden[lane], cell[lane], step[lane] = 0, 0, 0
    rows = torch.tensor([session + [0] * (4 - len(session)) for session in sessions])
    in_rows = net.states(rows).detach().numpy()
    output, bias = net.output.weight.detach().numpy(), net.output.bias.detach().numpy()
    assert len(states) == sum(map(len, sessions))
    for (number, at), state in states.items():
        np.testing.assert_allclose(in_rows[number, at], output @ state + bias, rtol=1e-10)


@pytest.mark.parametrize("name", ["time_att", "time_cat", "time_user", "time_dynamics", "time_transformer"])
def test_the_dwell_of_the_last_viewed_item_is_not_seen_before_the_next_click(name):
    net = make_net(name)
    items, (users, dwell, *_) = random_batch()
    before = net.states(items, Channels(users, dwell))
    for step in range(TIME):
        longer = dwell.clone()
        longer[:, step] = in_another_bin(dwell[:, step])
        after = net.states(items, Channels(users, longer))
        assert torch.equal(after[:, : step + 1], before[:, : step + 1])
        if step + 1 < TIME:
            assert not torch.equal(after[:, step + 1], before[:, step + 1]), "known dwell must count"


@pytest.mark.parametrize("name", ["time_att", "time_user"])
def test_observed_dwell_is_the_papers_setting_and_unknown_is_the_same_with_it_taken_away(name):
    honest, observed = make_net(name), make_net(name, last_dwell="observed")
    observed.load_state_dict(honest.state_dict())
    items, (users, dwell, *_) = random_batch()
    changed = dwell.clone()
    changed[:, -1] = in_another_bin(dwell[:, -1])
    ends = [observed.states(items, Channels(users, seconds))[:, -1] for seconds in (dwell, changed)]
    assert not torch.allclose(*ends)
    changed[:, -1] = torch.nan
    taken_away = observed.states(items, Channels(users, changed))[:, -1]
    torch.testing.assert_close(taken_away, honest.states(items, Channels(users, dwell))[:, -1])


@pytest.mark.parametrize("name", ["user_cat", "user_att", "time_user", "dynamics"])
def test_users_unknown_to_training_share_one_representation(name):
    net = make_net(name)
    items, (_, dwell, *_) = random_batch(batch=1)
    last_known = BLUEPRINT.num_users - 2
    states = [
        net.states(items, Channels(torch.tensor([user]), dwell))
        for user in (-1, last_known + 1, last_known + 2, 10**9, last_known, 0)
    ]
    for unknown in states[1:4]:
        assert torch.equal(unknown, states[0])
    for known in states[4:]:
        assert not torch.allclose(known, states[0])


def test_the_padding_embedding_stays_zero_and_untrained():
    net = make_net("time_user")
    items, channels = random_batch()
    items[0, :3] = 0
    net.score_items(net.states(items, channels)[:, -1], torch.tensor([0, 1])).sum().backward()
    assert not net.item_embeddings.weight[0].any()
    assert not net.item_embeddings.weight.grad[0].any()


@pytest.mark.parametrize(
    "changes", [{}, {"item_neighbours": 2}, {"item_neighbours": 2, "sparse": True}, {"features": 1}]
)
@pytest.mark.parametrize("name", ["time_user", "transformer"])
def test_items_that_are_looked_up_at_once_have_their_scores_and_gradients(name, changes):
    if "features" in changes:
        changes = {"feature_sizes": FeatureSizes(5, 1, 2), "id_dropout": 0.3}
    (items, channels), drawn, found = random_batch(), torch.tensor([3, 1, 3]), []
    for at_once in (True, False):
        net = randomised(make_net(name, **changes))
        if net.item_graph is not None:
            shares = torch.rand(ITEMS, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
            net.item_graph.connect(torch.arange(2 * ITEMS).view(ITEMS, 2) * 7 % ITEMS, shares)
        torch.manual_seed(0)
        with net.looked_up(torch.cat([items.flatten(), drawn])) if at_once else nullcontext():
            kept = None if net.item_features is None else net.item_features.kept()
            states = net.states(items[:, :-1], channels.steps(slice(-1)))
            if at_once and kept is not None:
                assert net.item_features.kept() is kept, "what is looked up knows of one draw"
            scores = net.score(states, items[:, 1:]), net.score_items(states, drawn)
        (scores[0].sin().sum() + scores[1].cos().sum()).backward()
        weights = [weight.grad.to_dense() for weight in net.parameters() if weight.grad is not None]
        found.append((*scores, *weights))
    torch.testing.assert_close(*found)


def test_no_other_items_are_found_among_those_looked_up():
    net, (items, channels) = make_net("gru4rec"), random_batch()
    with net.looked_up(torch.tensor([1, 2])), pytest.raises((IndexError, RuntimeError)):
        net.states(torch.full_like(items, 3), channels)
    assert net.item_vectors(torch.tensor([3])).shape == (1, DIM)


def test_dropout_acts_in_training_only():
    net = make_net("time_user", dropout=0.5)
    items, channels = random_batch()
    assert not torch.equal(net.train().states(items, channels), net.states(items, channels))
    assert torch.equal(net.eval().states(items, channels), net.states(items, channels))


@pytest.mark.parametrize("name", OURS)
def test_spotlights_form_holds_the_same_states(name):
    net = make_net(name)
    items, channels = random_batch()
    items[1, :2] = 0
    every, final = net.user_representation(items, channels)
    states = net.states(items, channels)
    assert every.shape == (BATCH, DIM, TIME)
    assert final.shape == (BATCH, DIM)
    torch.testing.assert_close(every[:, :, 1:], states[:, :-1].transpose(1, 2))
    torch.testing.assert_close(final, states[:, -1])
    targets = random_batch(seed=3)[0]
    torch.testing.assert_close(net(every, targets)[:, 1:], net.score(states[:, :-1], targets[:, 1:]))
    torch.testing.assert_close(net(final, targets[:, :1])[:, 0], net.score(states[:, -1], targets[:, 0]))


@pytest.mark.parametrize("name", OURS)
def test_our_nets_serve_spotlights_own_model(name, sessions):
    net = build(name, BLUEPRINT._replace(num_items=sessions.num_items))
    before = net.item_embeddings.weight.detach().clone()
    options = {"n_iter": 2, "batch_size": 2, "random_state": np.random.RandomState(0)}
    model = ImplicitSequenceModel(loss="adaptive_hinge", representation=net, **options)
    model.fit(sessions)
    assert not torch.equal(net.item_embeddings.weight, before)
    sequence = [0, 3, 1, 2]
    expected = net.score_items(net.states(torch.tensor([sequence]))[:, -1])[0]
    np.testing.assert_allclose(model.predict(np.array(sequence)), expected.detach(), rtol=1e-5)


def test_a_net_of_spotlights_kind_is_wrapped_and_ours_is_not():
    ours = ASARSNet(ITEMS)
    assert build(ours, BLUEPRINT) is ours
    assert isinstance(build(LSTMNet(ITEMS), BLUEPRINT), SpotlightNet)
    assert isinstance(build(lambda blueprint: ASARSNet(blueprint.num_items), BLUEPRINT), ASARSNet)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"user": "dog"}, r"user must be one of \[None, 'cat', 'att'\]; got 'dog'"),
        ({"time": "late"}, r"time must be one of \[None, 'att', 'cat'\]; got 'late'"),
        ({"reader": "eyes"}, r"reader must be one of \['rnn', 'transformer', 'time_transformer'\]; got 'eyes'"),
        ({"cell": "rnn"}, r"cell must be one of \['lstm', 'gru'\]; got 'rnn'"),
        ({"attention": "both"}, r"attention must be one of \['prefix', 'causal'\]; got 'both'"),
        ({"time_encoding": "hours"}, r"time_encoding must be one of \['scott', .*\]; got 'hours'"),
        ({"drift": True}, r"user must be 'cat' or 'att' where the user drifts; got None"),
        ({"last_dwell": "guessed"}, r"last_dwell must be one of \['unknown', 'observed'\]; got 'guessed'"),
    ],
)
def test_an_unknown_switch_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        ASARSNet(ITEMS, **changes)
