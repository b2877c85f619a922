"""Chunk by chunk the loss and its gradients are those of the whole matrix of scores."""

from __future__ import annotations

import weakref
from types import SimpleNamespace

import contracts
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.random import RandomState
from torch import nn

from spotlight_asars import ASARSSequenceModel, SessionInteractions
from spotlight_asars.losses import Loss, cross_entropy_loss, cross_entropy_over_catalogue
from spotlight_asars.memory import with_recall
from spotlight_asars.representations import REPRESENTATIONS, build
from spotlight_asars.runtime import devices
from spotlight_asars.training import chunked_loss, objective
from spotlight_asars.training.acceleration import Accelerated
from spotlight_asars.training.chunked_loss import mean_in_chunks

ITEMS = contracts.ITEMS
CPU = torch.device("cpu")


def squares(scores, targets):
    """A loss of one's own."""
    own = scores.gather(1, targets.unsqueeze(1))
    return ((scores[:, 1:] - own + 1) ** 2).mean()


def torchs(scores, targets):
    return F.cross_entropy(scores[:, 1:], targets - 1)


LOSSES = {"cross entropy": (cross_entropy_over_catalogue, torchs), "own": (squares, squares)}  # and over the whole


def make_net(name="gru4rec", recall=True, **changes):
    """A net whose every weight has an effect."""
    torch.manual_seed(1)
    net = with_recall(build(name, contracts.BLUEPRINT._replace(**changes)), ITEMS, history=recall, transitions=False)
    net = net.double()
    for weights in net.parameters():
        nn.init.normal_(weights, std=0.3)
    return net


def states_and_targets(net):
    items, channels = contracts.random_batch()
    items[0, :2] = 0
    row, step = (items[:, :-1] != 0).nonzero(as_tuple=True)
    return net.states(items[:, :-1], channels.steps(slice(-1)))[row, step], items[row, step + 1]


def gradients(net, value):
    net.zero_grad()
    value.backward()
    return {name: weights.grad for name, weights in net.named_parameters()}


@pytest.mark.parametrize("at_once", [1, 3, 100])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("recall", [True, False])
@pytest.mark.parametrize("name", REPRESENTATIONS)
def test_chunks_teach_what_the_whole_teaches(name, recall, loss, at_once):
    ours, whole = LOSSES[loss]
    net = make_net(name, recall)
    states, targets = states_and_targets(net)
    expected = whole(net.score_items(states), targets)
    expected_gradients = gradients(net, 3 * expected)
    value = mean_in_chunks(ours, net, states_and_targets(net)[0], targets, at_once)
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(gradients(net, 3 * value), expected_gradients, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("name", ["gru4rec", "cnn"])
def test_weights_that_are_not_trained_take_no_gradient(name):
    net, free = make_net(name), make_net(name)
    (net.net if name == "gru4rec" else net.net.net).item_embeddings.weight.requires_grad_(False)
    found, expected = (
        gradients(each, mean_in_chunks(cross_entropy_over_catalogue, each, *states_and_targets(each), at_once=3))
        for each in (net, free)
    )
    expected = {weights: None if "item_embeddings" in weights else expected[weights] for weights in expected}
    assert any(gradient is not None for gradient in expected.values())
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_net_without_weights_to_train_gives_gradients_to_the_states_alone(loss):
    ours, whole = LOSSES[loss]
    net = make_net(recall=False).requires_grad_(False)
    states, targets = states_and_targets(net)
    states = states.requires_grad_()
    found = torch.autograd.grad(mean_in_chunks(ours, net, states, targets, 3), states)
    torch.testing.assert_close(found, torch.autograd.grad(whole(net.score_items(states), targets), states))
    assert not mean_in_chunks(ours, net, states.detach(), targets, 3).requires_grad


@pytest.mark.parametrize("loss", LOSSES)
def test_without_gradients_the_value_is_the_same(loss):
    net = make_net()
    states, targets = states_and_targets(net)
    with torch.no_grad():
        value = mean_in_chunks(LOSSES[loss][0], net, states, targets, 3)
    assert not value.requires_grad
    torch.testing.assert_close(value, mean_in_chunks(LOSSES[loss][0], net, states, targets, 3).detach())


@pytest.mark.parametrize("loss", LOSSES)
def test_no_targets_cost_nothing(loss):
    net = make_net()
    states, targets = states_and_targets(net)
    value = mean_in_chunks(LOSSES[loss][0], net, states[:0], targets[:0], 3)
    assert value == 0
    assert not any(gradient.any() for gradient in gradients(net, value).values() if gradient is not None)


def test_gradients_can_be_asked_for_once():
    value = mean_in_chunks(squares, net := make_net(), *states_and_targets(net), 3)
    value.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="asked for only once"):
        value.backward()


class Rows:
    """States of one's own kind, of which nothing is known but that they are indexed."""

    def __init__(self, rows):
        self.rows = rows

    def __getitem__(self, key):
        return Rows(self.rows[key])


def test_states_of_ones_own_kind_are_differentiated_by_torch():
    net = make_net(recall=False)
    states, targets = states_and_targets(net)
    unknown = SimpleNamespace(parameters=net.parameters, score_items=lambda states: net.score_items(states.rows))
    expected = gradients(net, torchs(net.score_items(states), targets))
    value = mean_in_chunks(cross_entropy_over_catalogue, unknown, Rows(states_and_targets(net)[0]), targets, 3)
    torch.testing.assert_close(gradients(net, value), expected)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_scores_of_a_part_are_gone_before_the_next(loss):
    net, made = make_net(recall=False), []

    def score_items(states):
        assert all(scores() is None for scores in made)
        scores = net.score_items(states)
        made.append(weakref.ref(scores))
        return scores

    watched = SimpleNamespace(parameters=net.parameters, score_items=score_items)
    mean_in_chunks(LOSSES[loss][0], watched, *states_and_targets(net), 2)
    assert len(made) > 1


def test_scores_that_a_net_keeps_or_needs_again_stay_as_they_are():
    weight = nn.Parameter(torch.randn(ITEMS, 3, dtype=torch.float64))
    kept = []

    def score_items(states):
        kept.append((states @ weight.T).tanh())  # whose gradient is made from its result
        return kept[-1]

    net = SimpleNamespace(parameters=lambda: iter([weight]), score_items=score_items)
    states, targets = torch.randn(5, 3, dtype=torch.float64), torch.tensor([1, 2, 10, 4, 4])
    value = mean_in_chunks(cross_entropy_over_catalogue, net, states, targets, 2)
    scores = (states @ weight.T).tanh()
    torch.testing.assert_close(torch.cat(kept), scores)
    torch.testing.assert_close(torch.autograd.grad(value, weight), torch.autograd.grad(torchs(scores, targets), weight))


def test_half_precision_gives_about_the_same():
    net = make_net().float()
    states, targets = states_and_targets(net)
    plain = gradients(net, mean_in_chunks(cross_entropy_over_catalogue, net, states, targets, 3))
    half = Accelerated(net, CPU, autocast=True, compile=False)
    value = mean_in_chunks(cross_entropy_over_catalogue, half, states_and_targets(half)[0], targets, 3)
    assert value.dtype == torch.float32
    torch.testing.assert_close(gradients(net, value), plain, rtol=0.1, atol=0.02)


@pytest.mark.parametrize(
    "loss", ["cross_entropy", Loss(cross_entropy_loss, "targets", over_catalogue=squares)], ids=["cross entropy", "own"]
)
@pytest.mark.parametrize("representation", ["time_user", "dynamics", "mixture"])
def test_a_fit_in_chunks_is_a_fit_of_the_whole(representation, loss, monkeypatch):
    draw = RandomState(0)
    train = SessionInteractions(
        draw.randint(1, ITEMS, (12, 5)), draw.randint(0, 4, 12), ITEMS, started=np.arange(12) * 1e4
    )

    def weights(mean):
        monkeypatch.setattr(objective, "mean_in_chunks", mean)
        sizes = {"batch_size": 4, "embedding_dim": 4, "hidden_dim": 5, "user_dim": 3, "time_dim": 3}
        model = ASARSSequenceModel(loss, representation, n_iter=2, random_state=0, **sizes).fit(train, validation=0.2)
        return model.epochs, dict(model._net.named_parameters())

    def over_the_whole(loss, net, states, targets, at_once, weights=None):
        whole = torchs if loss is cross_entropy_over_catalogue else loss
        return whole(net.score_items(states), targets)

    monkeypatch.setattr(devices, "SCORES_AT_ONCE", 1)
    monkeypatch.setattr(objective, "LEAST_ROWS", 3)
    (epochs, found), (expected_epochs, expected) = weights(chunked_loss.mean_in_chunks), weights(over_the_whole)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(epochs, expected_epochs, rtol=1e-5)
