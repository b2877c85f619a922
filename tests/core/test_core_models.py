"""Nets and models of the core: what is refused, how options act, and what a further fit does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from library import ITEMS, NETS, factorization_model, load, log, sequence_model
from torch import nn

LIB = load("spotlight_asars._core")
HISTORY = np.array([3, 1, 4])


@pytest.fixture(scope="module")
def train():
    return log(LIB).to_sequence(max_sequence_length=6)


# --- nets


@pytest.mark.parametrize("name", NETS)
def test_a_step_sees_neither_its_own_item_nor_the_future(name):
    net = NETS[name](LIB)
    a, b = torch.tensor([[2, 3, 5, 7, 11]]), torch.tensor([[2, 3, 13, 17, 19]])
    every_a, final_a = net.user_representation(a)
    every_b, final_b = net.user_representation(b)
    torch.testing.assert_close(every_a[..., :3], every_b[..., :3])
    assert not torch.allclose(every_a[..., 3:], every_b[..., 3:])
    assert not torch.allclose(final_a, final_b)


def test_cnn_knows_two_nonlinearities():
    with pytest.raises(ValueError, match=r"nonlinearity must be one of \['relu', 'tanh'\]; got 'elu'"):
        LIB.CNNNet(ITEMS, nonlinearity="elu")


def test_cnn_repeats_a_number_for_every_layer():
    net = LIB.CNNNet(ITEMS, 4, kernel_width=2, dilation=(1, 3), num_layers=2)
    assert (net.kernel_width, net.dilation) == ((2, 2), (1, 3))
    assert [layer.dilation for layer in net.cnn_layers] == [(1, 1), (3, 1)]


def test_nets_take_embedding_layers():
    users, items = nn.Embedding(5, 8), nn.Embedding(ITEMS, 8)
    for net in (LIB.PoolNet, LIB.LSTMNet, LIB.CNNNet, LIB.MixtureLSTMNet):
        assert net(ITEMS, 8, item_embedding_layer=items).item_embeddings is items
    bilinear = LIB.BilinearNet(5, ITEMS, 8, user_embedding_layer=users, item_embedding_layer=items)
    assert (bilinear.user_embeddings, bilinear.item_embeddings) == (users, items)


def test_bloom_has_a_seed_for_every_hash_function():
    with pytest.raises(ValueError, match="num_hash_functions must be at most 24; got 25"):
        LIB.BloomEmbedding(10, 4, num_hash_functions=25)
    assert repr(LIB.BloomEmbedding(10, 4)).startswith("<BloomEmbedding (compression_ratio: 0.2): Scaled")


# --- models


@pytest.mark.parametrize("option", ["loss", "representation"])
def test_unknown_names_are_refused(option):
    with pytest.raises(AssertionError, match=f"{option} must be .*; got 'nonsense'"):
        LIB.ImplicitSequenceModel(**{option: "nonsense"})


def test_unknown_items_are_refused(train):
    model = sequence_model(LIB)
    model.fit(train)
    for arguments in ([np.array([1, 99])], [HISTORY, np.array([[99]])]):
        with pytest.raises(ValueError, match=f"item ids must be below {ITEMS}, .*; got 99"):
            model.predict(*arguments)
    with pytest.raises(ValueError, match="got 99"):
        model.fit(LIB.SequenceInteractions(np.array([[1, 99]])))


def test_factorization_refuses_unknown_users_and_items():
    model = factorization_model(LIB)
    model.fit(log(LIB))
    with pytest.raises(ValueError, match=r"user ids must be below 12, .*; got 12"):
        model.predict(12)
    with pytest.raises(ValueError, match=r"item ids must be below 23, .*; got 23"):
        model.predict(1, np.array([1, 23]))


def test_scores_of_chosen_items_are_those_among_all(train):
    model = sequence_model(LIB, representation="mixture")
    model.fit(train)
    chosen = np.array([[7], [0], [7], [22]])
    np.testing.assert_allclose(model.predict(HISTORY, chosen), model.predict(HISTORY)[chosen[:, 0]], rtol=1e-5)
    np.testing.assert_allclose(model.predict(HISTORY, chosen[:1]), model.predict(HISTORY)[[7]], rtol=1e-5)


@pytest.mark.parametrize("make", [sequence_model, factorization_model])
def test_a_further_fit_goes_on(make, train):
    interactions = train if make is sequence_model else log(LIB)
    model = make(LIB)
    assert repr(model) == f"<{type(model).__name__}: [uninitialised]>"
    model.fit(interactions)
    net, optimizer, before = model._net, model._optimizer, model.predict(3)
    model.fit(interactions)
    assert (model._net, model._optimizer) == (net, optimizer)
    assert not np.allclose(model.predict(3), before)
    assert repr(model) == f"<{type(model).__name__}: {net!r}>"


def test_a_module_replaces_the_net(train):
    for model, net, interactions in (
        (sequence_model, LIB.PoolNet(ITEMS, 5), train),
        (factorization_model, LIB.BilinearNet(12, ITEMS, 4), log(LIB)),
    ):
        model = model(LIB, representation=net)
        model.fit(interactions)
        assert model._net is net


@pytest.mark.parametrize("value", [float("nan"), 0.0])
def test_a_degenerate_loss_stops_training(train, value):
    model = sequence_model(LIB)
    model._initialize(train)
    model._loss_func = lambda positive, negative, mask: (positive * value).sum()
    with pytest.raises(ValueError, match=f"loss of an epoch must be a number other than 0; got {value}"):
        model.fit(train)


def test_verbose_prints_one_line_an_epoch(train, capsys):
    sequence_model(LIB, n_iter=3).fit(train, verbose=True)
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(": loss ")[0] for line in lines] == ["Epoch 0", "Epoch 1", "Epoch 2"]
    assert all(float(line.partition(": loss ")[2]) > 0 for line in lines)


# --- tools


def test_minibatch_slices_all_inputs_alike():
    assert list(LIB.minibatch([1, 2, 3], batch_size=2)) == [[1, 2], [3]]
    assert list(LIB.minibatch([1, 2, 3], "abc", batch_size=2)) == [([1, 2], "ab"), ([3], "c")]


def test_shuffle_needs_arrays_of_one_length():
    with pytest.raises(ValueError, match=r"arrays must all have one length; got \[2, 3\]"):
        LIB.shuffle(np.arange(2), np.arange(3))


@pytest.mark.parametrize("name", ["regression", "poisson", "logistic"])
def test_targets_of_a_loss_must_not_ask_for_a_gradient(name):
    with pytest.raises(ValueError, match="observed_ratings must not require a gradient; got requires_grad=True"):
        getattr(LIB, f"{name}_loss")(torch.ones(2, requires_grad=True), torch.ones(2))
