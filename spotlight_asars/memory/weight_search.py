"""The search for the weights of ``NeighbourTerms``, by the ranks of targets that the net has not been trained on."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from spotlight_asars.memory.latest_events import distinct
from spotlight_asars.memory.neighbour_terms import Weights, features, repeat_features
from spotlight_asars.runtime.devices import moved
from spotlight_asars.sessions.channels import Votes

WEIGHTS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)  # of neighbours, that are tried
REPEATS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 12.0)  # of repeats, each with each of the others but 0
TRENDS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.2)  # of trends, each with the usual others
POPULARITIES = (-0.6, -0.4, -0.2, 0.0, 0.2, 0.4, 0.6)  # of popularity, likewise
USUAL = Weights(0.5, 3.0, 0.4, 0.0)  # what logs of all sizes come near to; taken where a small one cannot tell
UNSEEN = 4  # targets more than were seen, whose rank differs as much as it can, in a standard error
UNSEEN_OF_DEMAND = 1  # likewise for trends and popularity, which move the ranks of all targets, and each by little
MANY = 100  # targets; with fewer, weights of demand stay the nearest to the usual that are level with the best

PAIRS = {weight: REPEATS if weight else REPEATS[:1] for weight in WEIGHTS}  # repeats that are tried with neighbours

Ranks = dict[tuple[float, float], Tensor]  # by the weights of neighbours and repeats


class WeightSearch:
    """Finds the weights with which targets rank highest: by the mean of 1 / log2(1 + rank), as in NDCG.

    All pairs of weights of neighbours and repeats are tried with the usual ones of trends and popularity, and each of
    these with the usual others. Of those whose mean is within one standard error of the best one's, as paired by
    targets, it is the one nearest to the ``USUAL``: the best of a few hundred targets is often far from the best of
    all, and few of them may be repeats. Trends and popularity tell in the rank of every target, so with ``MANY`` of
    them theirs are halfway from there to the best. ``add`` takes states in parts, and needs no more of them than sums.
    """

    _pairs = tuple(Weights(weight, again, *USUAL[2:]) for weight, tried in PAIRS.items() for again in tried)
    _trends = tuple(USUAL._replace(trend=trend) for trend in TRENDS)
    _popularities = tuple(USUAL._replace(popularity=popularity) for popularity in POPULARITIES)
    _of_demand = tuple(weights for weights in (*_trends, *_popularities) if weights != USUAL)
    _all = (*_pairs, *_of_demand)

    def __init__(self) -> None:
        self._number = 0
        self._gains = self._products = torch.zeros(0)

    def add(self, scores: Tensor, votes: Votes, viewed: Tensor, targets: Tensor, demand: Tensor) -> None:
        """Scores without neighbours (states, items), padding the lowest, what these say, and targets, int64 (states,).

        `viewed`, int64 (states, n), are the items of each state's latest events, the last one first, which have no
        votes; `demand`, float (2, items), are the trend and the popularity of each.
        """
        again, target = repeat_features(viewed), targets.unsqueeze(1)
        scores = scores + _by(USUAL, demand)
        ranks = self._ranks_of_pairs(scores, votes, distinct(viewed), again, target)
        with_pair = scores.scatter_(1, votes.items, scores.gather(1, votes.items) + USUAL.weight * features(votes))
        with_pair.scatter_(1, viewed, with_pair.gather(1, viewed) + USUAL.repeats * again)
        ranks |= {one: _ranks(with_pair + (_by(one, demand) - _by(USUAL, demand)), target) for one in self._of_demand}
        gains = (1.0 / torch.log2(1.0 + torch.stack([ranks[weights] for weights in self._all]))).double()
        if not self._number:
            self._gains, self._products = gains.new_zeros(len(gains)), gains.new_zeros(len(gains), len(gains))
        self._gains, self._products = self._gains + gains.sum(dim=1), self._products + gains @ gains.T
        self._number += len(targets)

    def _ranks_of_pairs(
        self, scores: Tensor, votes: Votes, own: Tensor, again: Tensor, target: Tensor
    ) -> dict[Weights, Tensor]:
        """Ranks of targets (states, 1) with each pair of weights, float (states,)."""
        repeated = (own == target).any(dim=1)
        ranks = scores.new_zeros(len(self._pairs), len(target))
        for chosen, ranks_of in ((repeated, _ranks_of_repeated), (~repeated, _ranks_of_others)):
            rows = chosen.nonzero().flatten()
            if len(rows):
                found = ranks_of(
                    scores[rows], Votes(*(part[rows] for part in votes)), own[rows], again[rows], target[rows]
                )
                ranks[:, rows] = torch.stack([found[weights[:2]] for weights in self._pairs])
        return dict(zip(self._pairs, ranks, strict=True))

    def best(self) -> Weights:
        """The chosen ones of those tried; zeros where nothing was added."""
        if not self._number:
            return Weights(0.0, 0.0, 0.0, 0.0)
        means = (torch.stack([self._gains, *self._products]) / self._number).cpu()
        found, _ = self._best_of(self._pairs, means, UNSEEN)
        trends = self._best_of(self._trends, means, UNSEEN_OF_DEMAND)
        popularities = self._best_of(self._popularities, means, UNSEEN_OF_DEMAND)
        shares = (0.5, 0.5) if self._number >= MANY else (1.0, 0.0)
        trend = sum(share * one.trend for share, one in zip(shares, trends, strict=True))
        popularity = sum(share * one.popularity for share, one in zip(shares, popularities, strict=True))
        return found._replace(trend=trend, popularity=popularity)

    def _best_of(self, tried: tuple[Weights, ...], means: Tensor, unseen: int) -> tuple[Weights, ...]:
        """Of those tried that are level with the best, and of the best, the ones nearest to the usual.

        `means` are those of gains, (tried,), and of their products.
        """
        places = [self._all.index(weights) for weights in tried]
        mean, products = means[0, places], means[1:][places][:, places]
        best, square = int(mean.argmax()), products.diagonal()
        below = mean[best] - mean
        variance = square + square[best] - 2 * products[best] - below**2  # of the difference to the best
        error = (variance.clamp(min=0) * self._number + unseen).sqrt() / self._number
        level, highest = ((below <= bar).nonzero().flatten().tolist() for bar in (error, 0.0))
        return tuple(min((tried[n] for n in chosen), key=_from_usual) for chosen in (level, highest))


def _from_usual(found: Weights) -> int:
    """How many steps away from the usual weights others are."""
    return sum(
        abs(steps.index(one) - steps.index(usual))
        for steps, one, usual in zip((WEIGHTS, REPEATS, TRENDS, POPULARITIES), found, USUAL, strict=True)
    )


def _by(weights: Weights, demand: Tensor) -> Tensor:
    """What trends and popularity, (2, items), add to the scores of all states: float (items,)."""
    return weights.trend * demand[0] + weights.popularity * demand[1]


def _ranks(scores: Tensor, target: Tensor) -> Tensor:
    """Ranks of targets (states, 1) by scores (states, items), whose memory is used: float (states,)."""
    return 1.0 + scores.gt_(scores.gather(1, target)).sum(dim=1)  # as floats: ten times as fast


def _ranks_of_others(scores: Tensor, votes: Votes, own: Tensor, again: Tensor, target: Tensor) -> Ranks:
    """Ranks of targets (states, 1) that are not of their sessions' `own` items, float (states,) for each pair.

    Neighbours raise the target and others, and repeats what the session has viewed, `again` (states, own) for each
    of their weight.
    """
    scores, voted, viewed = _less_the_targets(scores, votes, own, target)
    feature, share, ahead = features(votes), 1.0 / votes.times.clamp(min=1), _Ahead(scores)
    of_target = torch.where(votes.items == target, feature, 0.0).amax(dim=1, keepdim=True)
    ranks: Ranks = {}
    for weight, repeats in PAIRS.items():
        bar = weight * of_target
        raised = viewed.unsqueeze(2) + again.unsqueeze(2) * moved(torch.tensor(repeats), viewed.device)
        risen = torch.where((voted + weight * feature > bar) & (voted <= bar), share, 0.0).sum(dim=1)
        risen_again = ((raised > bar.unsqueeze(2)) & (viewed <= bar).unsqueeze(2)).sum(dim=1)
        rank = (1.0 + ahead.of(bar) + risen).unsqueeze(1) + risen_again
        ranks.update(zip(((weight, one) for one in repeats), rank.unbind(1), strict=True))
    return ranks


def _ranks_of_repeated(scores: Tensor, votes: Votes, own: Tensor, again: Tensor, target: Tensor) -> Ranks:
    """The same of targets that are: repeats raise the target, and neighbours the others."""
    scores, voted, viewed = _less_the_targets(scores, votes, own, target)
    feature, share, ahead = features(votes), 1.0 / votes.times.clamp(min=1), _Ahead(scores)
    of_target = torch.where(own == target, again, 0.0).amax(dim=1, keepdim=True)
    rank, below = {}, {}
    for repeats in REPEATS:
        bar = repeats * of_target
        risen_again = ((viewed + repeats * again > bar) & (viewed <= bar)).sum(dim=1)
        rank[repeats], below[repeats] = 1.0 + ahead.of(bar) + risen_again, share * (voted <= bar)
    ranks: Ranks = {}
    for weight, paired in PAIRS.items():
        raised = voted + weight * feature
        for repeats in paired:
            risen = torch.where(raised > repeats * of_target, below[repeats], 0.0).sum(dim=1)
            ranks[weight, repeats] = rank[repeats] + risen
    return ranks


def _less_the_targets(scores: Tensor, votes: Votes, own: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Scores of the catalogue, in their memory, of what has votes and of the session's own items, less the target's."""
    scores.sub_(scores.gather(1, target))
    return scores, scores.gather(1, votes.items), scores.gather(1, own)


class _Ahead:
    """Counts the scores (states, items) over a bar, in the same memory each time, as floats: ten times as fast."""

    def __init__(self, scores: Tensor) -> None:
        self._scores, self._room = scores, torch.empty_like(scores)

    def of(self, bar: Any) -> Tensor:
        """How many are over it, float (states,); a number, or float (states, 1)."""
        return torch.gt(self._scores, bar, out=self._room).sum(dim=1)
