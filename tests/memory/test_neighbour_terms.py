"""The term of neighbour sessions, and the search for its weight."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from spotlight_asars import ASARSSequenceModel, SessionInteractions
from spotlight_asars.evaluation import evaluate
from spotlight_asars.memory.neighbour_terms import (
    REPEATS,
    SCALE,
    UNSEEN,
    USUAL,
    WEIGHTS,
    NeighbourTerms,
    Weights,
    WeightSearch,
)
from spotlight_asars.sessions.channels import Channels, Votes

ITEMS = 6
VOTES = Votes(
    torch.tensor([[2, 3, 2, 0], [5, 0, 0, 0]]),
    torch.tensor([[0.5, 0.1, 0.5, 0.0], [2.0, 0.0, 0.0, 0.0]]),
    torch.tensor([[2.0, 1.0, 2.0, 1.0], [1.0, 3.0, 3.0, 3.0]]),
)
VIEWED = torch.tensor([[1, 0, 4, 1], [0, 3, 2, 4]])
STATES = torch.tensor([0, 1]), torch.tensor([3, 2])  # the last row's next event, 4, is yet to come


class Query:
    def votes(self, rows, steps):
        return VOTES


def dense(weight, repeats):
    terms = torch.zeros(2, ITEMS)
    terms[0, 2], terms[0, 3], terms[1, 5] = (weight * np.log1p(SCALE * n) for n in (0.5, 0.1, 2.0))
    terms[0, [1, 4]] += repeats
    terms[1, [2, 3]] += repeats
    return terms


def added(parts):
    """All terms on scores of 0."""
    scores = torch.zeros(2, ITEMS)
    for part in parts:
        scores = part.added_to(scores)
    return scores


def test_every_item_has_the_terms_of_the_formula_once_but_not_in_training():
    module = NeighbourTerms().eval()
    module.take(Weights(0.7, 1.5))
    recalled = module.recall(VIEWED, Channels(neighbours=Query()))
    torch.testing.assert_close(added(module(recalled, torch.zeros(2, 3), *STATES)), dense(0.7, 1.5))
    assert module.recall(VIEWED, Channels()) is None
    assert module(None, torch.zeros(2, 3), *STATES) == []
    assert module.train()(recalled, torch.zeros(2, 3), *STATES) == []
    assert module.recall(VIEWED, Channels(neighbours=Query())) is None
    assert module.weights() == {"neighbours": pytest.approx(0.7), "again": pytest.approx(1.5)}


def with_draws(size, seed):
    """Scores of `size` states, votes for three items of each, items of the session, and targets."""
    draw = torch.Generator().manual_seed(seed)
    scores, targets = torch.randn(size, ITEMS, generator=draw), torch.randint(1, ITEMS, (size,), generator=draw)
    scores[:, 0] = -1e9
    items = torch.rand(size, ITEMS - 1, generator=draw).argsort(dim=1) + 1
    votes = Votes(items[:, :3], torch.rand(size, 3, generator=draw), torch.ones(size, 3))
    own = items[:, [3, 4, 3]] * (torch.rand(size, 1, generator=draw) < 0.5)  # one of them has been viewed twice
    return scores, votes, own, targets


def rows_of(drawn, part):
    scores, votes, own, targets = drawn
    return scores[part], Votes(*(column[part] for column in votes)), own[part], targets[part]


def gains_by_hand(scores, votes, own, targets):
    """1 / log2(1 + rank) of each target with each pair of weights: {pair: (states,)}."""
    gains = {(0.0, 0.0): None, **dict.fromkeys(product(WEIGHTS[1:], REPEATS))}
    viewed = torch.zeros_like(scores).scatter(1, own, 1.0)
    for weight, repeats in gains:
        total = scores.scatter_add(1, votes.items, weight * torch.log1p(SCALE * votes.strength)) + repeats * viewed
        total[:, 0] = -1e9
        ahead = (total > total.gather(1, targets[:, None])).sum(dim=1)
        gains[weight, repeats] = (1 / torch.log2(2.0 + ahead)).double().numpy()
    return gains


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("size", [5, 2000])
def test_the_weights_are_the_usual_ones_or_the_nearest_that_are_level_with_the_best(size, seed):
    drawn, search = with_draws(size, seed), WeightSearch()
    assert search.best() == (0, 0), "nothing was seen"
    for part in torch.arange(size).split(7):
        search.add(*rows_of(drawn, part))
    gains = gains_by_hand(*drawn)
    best = max(gains, key=lambda pair: gains[pair].mean())
    below = {pair: gains[best] - gain for pair, gain in gains.items()}
    error = {pair: np.sqrt(loss.var() * size + UNSEEN) / size for pair, loss in below.items()}
    level = [pair for pair in gains if below[pair].mean() <= error[pair]]
    steps = {
        pair: abs(WEIGHTS.index(pair[0]) - WEIGHTS.index(USUAL.weight))
        + abs(REPEATS.index(pair[1]) - REPEATS.index(USUAL.repeats))
        for pair in level
    }
    assert search.best() in steps
    assert steps[search.best()] == min(steps.values())


def test_a_clear_difference_is_followed_however_far_from_the_usual_weights():
    scores, votes, own, targets = with_draws(2000, 0)
    others = targets % (ITEMS - 1) + 1
    for items, weights in ((targets, WEIGHTS[-3:]), (others, WEIGHTS[:2])):
        search = WeightSearch()
        search.add(scores, Votes(items[:, None], *(column[:, :1] for column in votes[1:])), own * 0, targets)
        assert search.best().weight in weights
    for viewed, repeats in ((targets, REPEATS[-3:]), (others, REPEATS[:2])):
        search = WeightSearch()
        search.add(scores, Votes(votes.items * 0, *votes[1:]), viewed[:, None], targets)
        assert search.best().repeats in repeats


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


def found(model):
    return [model.memory_weights()[name] for name in ("neighbours", "again")]


def test_a_second_fit_keeps_the_weights():
    train = twin_sessions()
    model = plain().fit(train)
    weights = found(model)
    assert found(model.fit(train)) == weights


def test_items_that_come_again_in_sessions_to_come_rank_higher_than_the_net_alone_has_them():
    draw = np.random.RandomState(0)
    rows = draw.randint(1, 300, (400, 3))
    log = SessionInteractions(np.c_[rows, rows[:, 0]], num_items=300, started=np.arange(400) * 1e4)  # as they began
    train, test = log.split_latest(0.2)
    model, without = plain(history=False).fit(train), plain(history=False, neighbours=False).fit(train)
    assert found(model)[1] >= USUAL.repeats
    last = {"positions": "last", "k": 3}
    assert evaluate(model, test, **last)["recall@3"] > 0.9 > 0.5 > evaluate(without, test, **last)["recall@3"]
