"""The term of neighbour sessions, and the search for its weight."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from spotlight_asars import ASARSSequenceModel, SessionInteractions
from spotlight_asars.evaluation import evaluate
from spotlight_asars.memory.neighbour_terms import SCALE, USUAL, WEIGHTS, NeighbourTerms, WeightSearch
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


def with_draws(size, seed):
    """Scores of `size` states, votes for three items of each, and targets."""
    draw = torch.Generator().manual_seed(seed)
    scores, targets = torch.randn(size, ITEMS, generator=draw), torch.randint(1, ITEMS, (size,), generator=draw)
    scores[:, 0] = -1e9
    items = (torch.rand(size, ITEMS - 1, generator=draw).argsort(dim=1) + 1)[:, :3]
    return scores, Votes(items, torch.rand(size, 3, generator=draw), torch.ones(size, 3)), targets


def gains_by_hand(scores, votes, targets):
    """1 / log2(1 + rank) of each target with each weight, (weights, states)."""
    gains = []
    for weight in WEIGHTS:
        total = scores.scatter_add(1, votes.items, weight * torch.log1p(SCALE * votes.strength))
        gains.append(1 / torch.log2(2.0 + (total > total.gather(1, targets[:, None])).sum(dim=1)))
    return torch.stack(gains).double().numpy()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("size", [5, 3000])
def test_the_weight_is_the_usual_one_or_the_nearest_that_is_level_with_the_best(size, seed):
    scores, votes, targets = with_draws(size, seed)
    search = WeightSearch()
    assert search.best() == 0, "nothing was seen"
    for part in torch.arange(size).split(7):
        search.add(scores[part], Votes(*(column[part] for column in votes)), targets[part])
    gains = gains_by_hand(scores, votes, targets)
    below = gains[gains.mean(axis=1).argmax()] - gains  # (weights, states)
    level = [n for n in range(len(WEIGHTS)) if below[n].mean() <= below[n].std() / np.sqrt(size) + 1e-12]
    assert search.best() == WEIGHTS[min(level, key=lambda n: (abs(n - USUAL), n))]


def test_a_clear_difference_is_followed_however_far_from_the_usual_weight():
    scores, votes, targets = with_draws(2000, 0)
    for items, weights in ((targets, WEIGHTS[-3:]), (targets % (ITEMS - 1) + 1, WEIGHTS[:2])):  # the targets, others
        search = WeightSearch()
        search.add(scores, Votes(items[:, None], *(column[:, :1] for column in votes[1:])), targets)
        assert search.best() in weights


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
