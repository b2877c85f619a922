"""The search for the weights of ``NeighbourTerms``, by the ranks of targets that the net has not been trained on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from spotlight_asars.memory.latest_events import distinct
from spotlight_asars.memory.neighbour_terms import Weights, features
from spotlight_asars.runtime.devices import moved
from spotlight_asars.sessions.channels import Votes

WEIGHTS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)  # of neighbours, that are tried
REPEATS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 12.0)  # of repeats, each with each of the others but 0
TRENDS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.2)  # of trends, each with the usual two others
USUAL = Weights(0.5, 3.0, 0.4)  # what logs of all sizes come near to; taken where a small one cannot tell
UNSEEN = 4  # targets more than were seen, whose rank differs as much as it can, in a standard error

Ranks = dict[tuple[float, float], Tensor]  # by the weights of neighbours and repeats
Tried = Mapping[float, tuple[float, ...]]  # weights of neighbours, and those of repeats that are tried with each
PAIRS: Tried = {weight: REPEATS if weight else REPEATS[:1] for weight in WEIGHTS}
USUAL_PAIR: Tried = {USUAL.weight: (USUAL.repeats,)}


class WeightSearch:
    """Finds the weights with which targets rank highest: by the mean of 1 / log2(1 + rank), as in NDCG.

    All pairs of weights of neighbours and repeats are tried with the usual one of trends, and these with the usual
    pair. Of those whose mean is within one standard error of the best one's, as paired by targets, it is the one
    nearest to the ``USUAL``: the best of a few hundred targets is often far from the best of all, and few of them may
    be repeats. ``add`` takes states in parts, and needs no more of them than sums.
    """

    _pairs = tuple(Weights(weight, again, USUAL.trend) for weight, tried in PAIRS.items() for again in tried)
    _trends = tuple(USUAL._replace(trend=trend) for trend in TRENDS)
    _all = (*_pairs, *(weights for weights in _trends if weights != USUAL))

    def __init__(self) -> None:
        self._number = 0
        self._gains = self._products = torch.zeros(0)

    def add(self, scores: Tensor, votes: Votes, own: Tensor, targets: Tensor, trend: Tensor) -> None:
        """Scores without neighbours (states, items), padding the lowest, what these say, and targets, int64 (states,).

        `own`, int64 (states, n), are the items of each state's session, which have no votes; `trend` is float (items,).
        """
        own, target = distinct(own), targets.unsqueeze(1)
        repeated = (own == target).any(dim=1)
        gains = scores.new_zeros(len(self._all), len(targets), dtype=torch.float64)
        for chosen, ranks_of in ((repeated, _ranks_of_repeated), (~repeated, _ranks_of_others)):
            rows = chosen.nonzero().flatten()
            if not len(rows):
                continue
            known = Votes(*(part[rows] for part in votes)), own[rows], target[rows]
            ranks: dict[Weights, Tensor] = {}
            for weight in TRENDS:
                tried = PAIRS if weight == USUAL.trend else USUAL_PAIR
                found = ranks_of(scores[rows].add_(trend, alpha=weight), *known, tried)
                ranks.update((Weights(*pair, weight), rank) for pair, rank in found.items())
            each = torch.stack([ranks[weights] for weights in self._all])
            gains[:, rows] = (1.0 / torch.log2(1.0 + each)).double()
        if not self._number:
            self._gains, self._products = gains.new_zeros(len(gains)), gains.new_zeros(len(gains), len(gains))
        self._gains, self._products = self._gains + gains.sum(dim=1), self._products + gains @ gains.T
        self._number += len(targets)

    def best(self) -> Weights:
        """The chosen ones of ``WEIGHTS``, ``REPEATS`` and ``TRENDS``; zeros where nothing was added."""
        if not self._number:
            return Weights(0.0, 0.0, 0.0)
        means = (torch.stack([self._gains, *self._products]) / self._number).cpu()
        trend = self._best_of(self._trends, means).trend
        return self._best_of(self._pairs, means)._replace(trend=trend)

    def _best_of(self, tried: tuple[Weights, ...], means: Tensor) -> Weights:
        """The best, or the usual ones, of those tried; `means` are those of gains, (tried,), and of their products."""
        places = [self._all.index(weights) for weights in tried]
        mean, products = means[0, places], means[1:][places][:, places]
        best, square = int(mean.argmax()), products.diagonal()
        below = mean[best] - mean
        variance = square + square[best] - 2 * products[best] - below**2  # of the difference to the best
        error = (variance.clamp(min=0) * self._number + UNSEEN).sqrt() / self._number
        level = (below <= error).nonzero().flatten()
        return min((tried[n] for n in level.tolist()), key=_from_usual)


def _from_usual(found: Weights) -> int:
    """How many steps away from the usual weights others are."""
    return sum(
        abs(steps.index(one) - steps.index(usual))
        for steps, one, usual in zip((WEIGHTS, REPEATS, TRENDS), found, USUAL, strict=True)
    )


def _ranks_of_others(scores: Tensor, votes: Votes, own: Tensor, target: Tensor, tried: Tried) -> Ranks:
    """Ranks of targets (states, 1) that are not of their sessions' `own` items, float (states,) for each pair.

    Neighbours raise the target and others, and repeats what the session has viewed.
    """
    scores, voted, viewed = _less_the_targets(scores, votes, own, target)
    feature, share, ahead = features(votes), 1.0 / votes.times.clamp(min=1), _Ahead(scores)
    of_target = torch.where(votes.items == target, feature, 0.0).amax(dim=1, keepdim=True)
    ranks: Ranks = {}
    for weight, repeats in tried.items():
        bar = weight * of_target
        again = viewed.unsqueeze(2) + moved(torch.tensor(repeats), viewed.device)  # (states, own, repeats)
        risen = torch.where((voted + weight * feature > bar) & (voted <= bar), share, 0.0).sum(dim=1)
        risen_again = ((again > bar.unsqueeze(2)) & (viewed <= bar).unsqueeze(2)).sum(dim=1)
        rank = (1.0 + ahead.of(bar) + risen).unsqueeze(1) + risen_again
        ranks.update(zip(((weight, one) for one in repeats), rank.unbind(1), strict=True))
    return ranks


def _ranks_of_repeated(scores: Tensor, votes: Votes, own: Tensor, target: Tensor, tried: Tried) -> Ranks:
    """The same of targets that are: repeats raise the target, and neighbours the others."""
    scores, voted, viewed = _less_the_targets(scores, votes, own, target)
    feature, share, ahead = features(votes), 1.0 / votes.times.clamp(min=1), _Ahead(scores)
    rank, below = {}, {}
    for repeats in sorted({one for paired in tried.values() for one in paired}):
        again = ((viewed + repeats > repeats) & (viewed <= repeats)).sum(dim=1)
        rank[repeats], below[repeats] = 1.0 + ahead.of(repeats) + again, share * (voted <= repeats)
    ranks: Ranks = {}
    for weight, paired in tried.items():
        raised = voted + weight * feature
        for repeats in paired:
            risen = torch.where(raised > repeats, below[repeats], 0.0).sum(dim=1)
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
