"""Vectors of items that share what their neighbours have learned."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch

from spotlight_asars import ASARSSequenceModel, SessionInteractions
from spotlight_asars.memory import Transitions
from spotlight_asars.representations import item_graph
from spotlight_asars.representations.item_graph import ItemGraph

ITEMS, DIM = 6, 3
SESSIONS = SessionInteractions([[1, 2, 3, 2], [0, 1, 2, 4], [0, 0, 3, 1]], num_items=ITEMS)


def graph_and_embeddings(sparse=False):
    embeddings = torch.randn(ITEMS, DIM, generator=torch.Generator().manual_seed(0)).double()
    embeddings[0] = 0
    graph = ItemGraph(ITEMS, 2, sparse).double()
    graph.connect(*Transitions(SESSIONS).nearest(2))
    with torch.no_grad():
        graph.gain.fill_(0.7)
    return graph, embeddings.requires_grad_()


def by_hand(embeddings, gain):
    """The formula, from the counts G of pairs in the same session over the root of the item's count."""
    counts, rows = np.zeros((ITEMS, ITEMS)), [[1, 2, 3, 2], [1, 2, 4], [3, 1]]
    for row in rows:
        for one, first in enumerate(row):
            for other, second in enumerate(row):
                counts[first, second] += (one != other) & (first != second)
    occurs = np.bincount(np.concatenate(rows), minlength=ITEMS)
    vectors = embeddings.detach().numpy().copy()
    for item in range(1, ITEMS):
        shares = counts[item] / np.sqrt(max(occurs[item], 1))
        nearest = [k for k in np.argsort(-shares, kind="stable")[:2] if shares[k] > 0]
        for k in nearest:
            vectors[item] += gain * shares[k] / shares[nearest].sum() * embeddings.detach().numpy()[k]
    return vectors


@pytest.mark.parametrize("many", [0, 100])
@pytest.mark.parametrize("training", [True, False])
def test_vectors_are_those_of_the_formula(training, many, monkeypatch):
    monkeypatch.setattr(item_graph, "MANY", many)
    graph, embeddings = graph_and_embeddings()
    graph.train(training)
    expected, ids = by_hand(embeddings, 0.7), torch.tensor([[2, 0], [5, 2]])
    for grad in (True, False):
        with torch.set_grad_enabled(grad):
            np.testing.assert_allclose(graph(embeddings).detach(), expected, rtol=1e-6)
            np.testing.assert_allclose(graph(embeddings, ids).detach(), expected[ids], rtol=1e-6)


@pytest.mark.parametrize("ids", [None, torch.tensor([[2, 0], [5, 2]])])
def test_gradients_are_those_that_finite_differences_find(ids):
    graph, embeddings = graph_and_embeddings()
    assert torch.autograd.gradcheck(lambda weight, gain: graph(weight, ids), (embeddings, graph.gain))
    neighbours, shares = graph.neighbours.flip(0).clone(), graph.shares.flip(0).clone()
    graph.connect(neighbours, shares)  # the way back follows
    assert torch.autograd.gradcheck(lambda weight, gain: graph(weight, ids), (embeddings, graph.gain))


def test_vectors_that_are_kept_follow_every_change():
    graph, embeddings = graph_and_embeddings()
    graph.eval()
    with torch.no_grad():
        for change in (lambda: embeddings[1:].mul_(2), lambda: graph.gain.fill_(-1.0)):
            before = graph(embeddings)
            assert graph(embeddings) is before, "they are kept"
            change()
            np.testing.assert_allclose(graph(embeddings), by_hand(embeddings, float(graph.gain)), rtol=1e-6)
        graph.connect(torch.zeros(ITEMS, 2, dtype=torch.int32), torch.zeros(ITEMS, 2))
        assert torch.equal(graph(embeddings), embeddings)
    assert pickle.loads(pickle.dumps(graph))._table is None
    assert copy.deepcopy(graph)._table is None


@pytest.mark.parametrize("sparse", [True, False])
def test_gradients_are_those_of_the_formula(sparse):
    graph, embeddings = graph_and_embeddings(sparse)
    ids = torch.tensor([[2, 3, 2], [0, 5, 1]])
    weight = torch.randn(2, 3, DIM, generator=torch.Generator().manual_seed(1)).double()
    (graph(embeddings, ids) * weight).sum().backward()
    assert embeddings.grad.is_sparse == sparse
    if sparse:
        assert embeddings.grad._indices().tolist() == [[0, 1, 2, 3, 5]], "an optimizer need not add rows up"
    found, of_gain = embeddings.grad.to_dense(), graph.gain.grad.clone()
    dense = embeddings.detach().clone().requires_grad_()
    gain, matrix = torch.tensor(0.7, dtype=torch.float64, requires_grad=True), torch.zeros(ITEMS, ITEMS).double()
    matrix.index_put_(
        (torch.arange(ITEMS).unsqueeze(1), graph.neighbours.long()), graph.shares.double(), accumulate=True
    )
    ((dense + gain * matrix @ dense)[ids] * weight).sum().backward()
    torch.testing.assert_close(found, dense.grad)
    torch.testing.assert_close(of_gain, gain.grad)


def test_items_without_pairs_have_their_own_vector():
    neighbours, shares = Transitions(SESSIONS).nearest(3)
    assert neighbours[5].tolist() == [0, 0, 0]
    sums = shares.sum(dim=1)
    assert sums[[0, 5]].tolist() == [0, 0]
    torch.testing.assert_close(sums[1:5], torch.ones(4))


def test_a_model_connects_the_items_of_its_training_sessions():
    model = ASARSSequenceModel(n_iter=1, embedding_dim=4, random_state=0).fit(SESSIONS)
    graph = model._net.net.item_graph
    neighbours, shares = Transitions(SESSIONS).around(12)
    assert torch.equal(graph.neighbours, neighbours)
    assert torch.equal(graph.shares, shares)
    assert ASARSSequenceModel(item_neighbours=0, n_iter=0).fit(SESSIONS)._net.net.item_graph is None
