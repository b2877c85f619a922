"""The search for the weights of neighbours, repeats and trends, against all that are tried one by one."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from spotlight_asars.memory.neighbour_terms import SCALE
from spotlight_asars.memory.weight_search import REPEATS, TRENDS, UNSEEN, USUAL, WEIGHTS, WeightSearch
from spotlight_asars.sessions.channels import Votes

ITEMS = 6
TREND = torch.tensor([0.0, 1.0, -0.5, 0.3, -1.2, 0.6])
STEPS = WEIGHTS, REPEATS, TRENDS


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
    """1 / log2(1 + rank) of each target with the weights that are tried: {weights: (states,)}."""
    pairs = [(0.0, 0.0), *product(WEIGHTS[1:], REPEATS)]
    gains = {**dict.fromkeys((*pair, USUAL.trend) for pair in pairs), **dict.fromkeys((*USUAL[:2], t) for t in TRENDS)}
    viewed = torch.zeros_like(scores).scatter(1, own, 1.0)
    for weight, repeats, trend in gains:
        total = scores.scatter_add(1, votes.items, weight * torch.log1p(SCALE * votes.strength)) + repeats * viewed
        total += trend * TREND
        total[:, 0] = -1e9
        ahead = (total > total.gather(1, targets[:, None])).sum(dim=1)
        gains[weight, repeats, trend] = (1 / torch.log2(2.0 + ahead)).double().numpy()
    return gains


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("size", [5, 2000])
def test_the_weights_are_the_usual_ones_or_the_nearest_that_are_level_with_the_best(size, seed):
    drawn, search = with_draws(size, seed), WeightSearch()
    assert search.best() == (0, 0, 0), "nothing was seen"
    for part in torch.arange(size).split(7):
        search.add(*rows_of(drawn, part), TREND)
    gains = gains_by_hand(*drawn)
    found = dict(zip(WeightSearch._all, search._gains.tolist(), strict=True))
    assert found == pytest.approx({weights: gain.sum() for weights, gain in gains.items()}, rel=1e-6)
    best = search.best()
    of_pairs = {weights: gain for weights, gain in gains.items() if weights[2] == USUAL.trend}
    of_trends = {weights: gain for weights, gain in gains.items() if weights[:2] == USUAL[:2]}
    for tried, chosen in ((of_pairs, (*best[:2], USUAL.trend)), (of_trends, (*USUAL[:2], best.trend))):
        steps = steps_of_those_level_with_the_best(tried)
        assert steps[chosen] == min(steps.values())


def steps_of_those_level_with_the_best(gains):
    """How far those are from the usual weights whose gains are within a standard error of the highest."""
    best = max(gains, key=lambda weights: gains[weights].mean())
    below = {weights: gains[best] - gain for weights, gain in gains.items()}
    error = {weights: np.sqrt(loss.var() * len(loss) + UNSEEN) / len(loss) for weights, loss in below.items()}
    level = [weights for weights in gains if below[weights].mean() <= error[weights]]
    places = [np.array([part.index(one) for part, one in zip(STEPS, weights, strict=True)]) for weights in level]
    usual = np.array([part.index(one) for part, one in zip(STEPS, USUAL, strict=True)])
    return {weights: abs(place - usual).sum() for weights, place in zip(level, places, strict=True)}


def test_a_clear_difference_is_followed_however_far_from_the_usual_weights():
    scores, votes, own, targets = with_draws(2000, 0)
    others = targets % (ITEMS - 1) + 1
    for items, weights in ((targets, WEIGHTS[-3:]), (others, WEIGHTS[:2])):
        search = WeightSearch()
        search.add(scores, Votes(items[:, None], *(column[:, :1] for column in votes[1:])), own * 0, targets, 0 * TREND)
        assert search.best().weight in weights
    for viewed, repeats in ((targets, REPEATS[-3:]), (others, REPEATS[:2])):
        search = WeightSearch()
        search.add(scores, Votes(votes.items * 0, *votes[1:]), viewed[:, None], targets, 0 * TREND)
        assert search.best().repeats in repeats
    of_target = torch.zeros(ITEMS)
    of_target[1] = 1.0
    for trend, trends in ((of_target, TRENDS[-1:]), (-of_target, TRENDS[:1])):
        search = WeightSearch()
        search.add(scores, Votes(votes.items * 0, *votes[1:]), own * 0, torch.ones_like(targets), trend)
        assert search.best().trend in trends
