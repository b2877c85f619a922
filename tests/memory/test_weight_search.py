"""The search for the weights of neighbours and repeats, against all pairs of weights one by one."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from spotlight_asars.memory.neighbour_terms import SCALE
from spotlight_asars.memory.weight_search import REPEATS, UNSEEN, USUAL, WEIGHTS, WeightSearch
from spotlight_asars.sessions.channels import Votes

ITEMS = 6


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
    found = dict(zip(WeightSearch._pairs, search._gains.tolist(), strict=True))
    assert found == pytest.approx({pair: gain.sum() for pair, gain in gains.items()}, rel=1e-6)
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
