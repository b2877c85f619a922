"""The search for the weights of neighbours, repeats and demand, against all that are tried one by one."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from spotlight_asars.memory.neighbour_terms import SCALE, VIEWED_TWICE
from spotlight_asars.memory.weight_search import (
    MANY,
    POPULARITIES,
    REPEATS,
    TRENDS,
    UNSEEN,
    UNSEEN_OF_DEMAND,
    USUAL,
    WEIGHTS,
    WeightSearch,
)
from spotlight_asars.sessions.channels import Votes

ITEMS = 6
DEMAND = torch.tensor([[0.0, 1.0, -0.5, 0.3, -1.2, 0.6], [0.0, 0.5, 2.0, 1.0, 3.0, 0.1]])
STEPS = WEIGHTS, REPEATS, TRENDS, POPULARITIES


def with_draws(size, seed):
    """Scores of `size` states, votes for three items of each, items of the session, and targets."""
    draw = torch.Generator().manual_seed(seed)
    scores, targets = torch.randn(size, ITEMS, generator=draw), torch.randint(1, ITEMS, (size,), generator=draw)
    scores[:, 0] = -1e9
    items = torch.rand(size, ITEMS - 1, generator=draw).argsort(dim=1) + 1
    votes = Votes(items[:, :3], torch.rand(size, 3, generator=draw), torch.ones(size, 3))
    viewed = items[:, [3, 4, 3]] * (torch.rand(size, 1, generator=draw) < 0.5)  # one of them has been viewed twice
    return scores, votes, viewed, targets


def rows_of(drawn, part):
    scores, votes, viewed, targets = drawn
    return scores[part], Votes(*(column[part] for column in votes)), viewed[part], targets[part]


def gains_by_hand(scores, votes, viewed, targets):
    """1 / log2(1 + rank) of each target with the weights that are tried: {weights: (states,)}."""
    pairs = [(0.0, 0.0), *product(WEIGHTS[1:], REPEATS)]
    gains = dict.fromkeys((*pair, *USUAL[2:]) for pair in pairs)
    gains |= dict.fromkeys((*USUAL[:2], trend, USUAL.popularity) for trend in TRENDS)
    gains |= dict.fromkeys((*USUAL[:3], popularity) for popularity in POPULARITIES)
    views = torch.zeros_like(scores).scatter_add(1, viewed, torch.tensor([[0.5, 2.0, 1.0]]).expand(viewed.shape))
    again = torch.where(views > 0, 1 + VIEWED_TWICE * torch.log2(views), 0.0)
    for weight, repeats, trend, popularity in gains:
        total = scores.scatter_add(1, votes.items, weight * torch.log1p(SCALE * votes.strength)) + repeats * again
        total += trend * DEMAND[0] + popularity * DEMAND[1]
        total[:, 0] = -1e9
        ahead = (total > total.gather(1, targets[:, None])).sum(dim=1)
        gains[weight, repeats, trend, popularity] = (1 / torch.log2(2.0 + ahead)).double().numpy()
    return gains


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("size", [5, 300, 2000])
def test_the_weights_are_the_usual_ones_or_the_nearest_that_are_level_with_the_best(size, seed):
    drawn, search = with_draws(size, seed), WeightSearch()
    assert search.best() == (0, 0, 0, 0), "nothing was seen"
    for part in torch.arange(size).split(7):
        search.add(*rows_of(drawn, part), DEMAND)
    gains = gains_by_hand(*drawn)
    found = dict(zip(WeightSearch._all, search._gains.tolist(), strict=True))
    assert found == pytest.approx({weights: gain.sum() for weights, gain in gains.items()}, rel=1e-6)
    best = search.best()
    pairs = {one: gain for one, gain in gains.items() if one[2:] == USUAL[2:]}
    steps = steps_of_those_level_with_the_best(pairs, UNSEEN)
    assert steps[(*best[:2], *USUAL[2:])] == min(steps.values())
    for place in (2, 3):
        tried = {one: gain for one, gain in gains.items() if one[:place] + one[place + 1 :] == others_than(place)}
        steps = steps_of_those_level_with_the_best(tried, UNSEEN_OF_DEMAND)
        nearest = [one[place] for one, far in steps.items() if far == min(steps.values())]
        highest = max(tried, key=lambda weights: tried[weights].mean())[place]
        expected = nearest if size < MANY else [(one + highest) / 2 for one in nearest]
        assert any(best[place] == pytest.approx(one) for one in expected)


def others_than(place):
    return tuple(USUAL[:place] + USUAL[place + 1 :])


def steps_of_those_level_with_the_best(gains, unseen):
    """How far those are from the usual weights whose gains are within a standard error of the highest."""
    best = max(gains, key=lambda weights: gains[weights].mean())
    below = {weights: gains[best] - gain for weights, gain in gains.items()}
    error = {weights: np.sqrt(loss.var() * len(loss) + unseen) / len(loss) for weights, loss in below.items()}
    level = [weights for weights in gains if below[weights].mean() <= error[weights]]
    places = [np.array([part.index(one) for part, one in zip(STEPS, weights, strict=True)]) for weights in level]
    usual = np.array([part.index(one) for part, one in zip(STEPS, USUAL, strict=True)])
    return {weights: abs(place - usual).sum() for weights, place in zip(level, places, strict=True)}


def test_a_clear_difference_is_followed_however_far_from_the_usual_weights():
    scores, votes, viewed, targets = with_draws(2000, 0)
    others = targets % (ITEMS - 1) + 1
    for items, weights in ((targets, WEIGHTS[-3:]), (others, WEIGHTS[:2])):
        search = WeightSearch()
        search.add(
            scores, Votes(items[:, None], *(column[:, :1] for column in votes[1:])), viewed * 0, targets, 0 * DEMAND
        )
        assert search.best().weight in weights
    for again, repeats in ((targets, REPEATS[-3:]), (others, REPEATS[:2])):
        search = WeightSearch()
        search.add(scores, Votes(votes.items * 0, *votes[1:]), again[:, None], targets, 0 * DEMAND)
        assert search.best().repeats in repeats
    for row, name, tried in ((0, "trend", TRENDS), (1, "popularity", POPULARITIES)):
        for sign, expected in ((1.0, tried[-1:]), (-1.0, tried[:1])):
            search, demand = WeightSearch(), torch.zeros(2, ITEMS)
            demand[row, 1] = sign
            search.add(scores, Votes(votes.items * 0, *votes[1:]), viewed * 0, torch.ones_like(targets), demand)
            assert getattr(search.best(), name) in expected


@pytest.mark.parametrize("size", [5, 2000])
def test_where_no_weight_of_demand_is_better_it_is_the_usual_one(size):
    scores, votes, viewed, targets = with_draws(size, 0)
    search = WeightSearch()
    search.add(scores, votes, viewed, targets, 0 * DEMAND)
    assert search.best()[2:] == USUAL[2:]
