"""The term of neighbour sessions, and the search for its weight."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from spotlight_asars import ASARSSequenceModel, SessionInteractions
from spotlight_asars.evaluation import evaluate
from spotlight_asars.memory.neighbour_terms import SCALE, WEIGHTS, NeighbourTerms, WeightSearch
from spotlight_asars.sessions.channels import Votes

ITEMS = 6
VOTES = Votes(
    torch.tensor([[2, 3, 2, 0], [5, 0, 0, 0]]),
    torch.tensor([[0.5, 0.1, 0.5, 0.0], [2.0, 0.0, 0.0, 0.0]]),
    torch.tensor([[2.0, 1.0, 2.0, 1.0], [1.0, 3.0, 3.0, 3.0]]),
)


class Query:
    def votes(self, rows, steps):
        return VOTES


def dense(weight):
    terms = torch.zeros(2, ITEMS)
    terms[0, 2], terms[0, 3], terms[1, 5] = (weight * np.log1p(SCALE * n) for n in (0.5, 0.1, 2.0))
    return terms


def test_every_item_has_the_term_of_the_formula_once_but_not_in_training():
    module = NeighbourTerms().eval()
    module.weight.fill_(0.7)
    (terms,) = module(Query(), torch.zeros(2, 3), None, None)
    torch.testing.assert_close(terms.added_to(torch.zeros(2, ITEMS)), dense(0.7))
    assert module(None, torch.zeros(2, 3), None, None) == []
    assert module.train()(Query(), torch.zeros(2, 3), None, None) == []
    assert module.weights() == {"neighbours": pytest.approx(0.7)}


def test_the_weight_is_that_with_which_targets_rank_highest():
    draw = torch.Generator().manual_seed(0)
    scores, targets = torch.randn(2, ITEMS, generator=draw), torch.tensor([3, 5])
    scores[:, 0] = -1e9

    def gain(weight):
        total = scores + dense(weight)
        ahead = (total > total.gather(1, targets[:, None])).sum(dim=1)
        return (1 / torch.log2(2.0 + ahead)).sum().item()

    search = WeightSearch()
    assert search.best() == 0, "nothing was seen"
    search.add(scores, VOTES, targets)
    assert gain(search.best()) == pytest.approx(max(map(gain, WEIGHTS)))
    assert search.best() == next(weight for weight in WEIGHTS if gain(weight) == max(map(gain, WEIGHTS)))


def twin_sessions():
    """Sessions of random items, each of which comes again later."""
    draw = np.random.RandomState(0)
    rows = draw.randint(1, 400, (300, 4))
    rows = np.concatenate([rows, rows[draw.permutation(300)]])
    return SessionInteractions(rows, num_items=400, started=np.arange(600) * 1e4)


def plain(**options):
    """A model that knows of other sessions through neighbours alone."""
    options = {"transitions": False, "item_neighbours": 0, "embedding_dim": 8, "hidden_dim": 8, **options}
    return ASARSSequenceModel(random_state=0, **{"n_iter": 1, **options})


def test_neighbours_find_sessions_that_come_again():
    train, test = twin_sessions().split_latest(0.2)
    model, without = plain().fit(train), plain(neighbours=False).fit(train)
    assert model.memory_weights()["neighbours"] > 0
    assert evaluate(model, test)["recall@10"] > 0.5 > 0.2 > evaluate(without, test)["recall@10"]


def test_a_second_fit_keeps_the_weight():
    train = twin_sessions()
    model = plain().fit(train)
    weight = model.memory_weights()["neighbours"]
    assert model.fit(train).memory_weights()["neighbours"] == weight
