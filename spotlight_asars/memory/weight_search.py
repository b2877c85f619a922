"""The search for the weights of ``NeighbourTerms``, by the ranks of targets that the net has not been trained on."""

from __future__ import annotations

from itertools import product
from typing import Any

import torch
from torch import Tensor

from spotlight_asars.memory.latest_events import distinct
from spotlight_asars.memory.neighbour_terms import Weights, features
from spotlight_asars.runtime.devices import moved
from spotlight_asars.sessions.channels import Votes

WEIGHTS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)  # of neighbours, that are tried
REPEATS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 12.0)  # of repeats, each with each of the others but 0
USUAL = Weights(0.5, 3.0)  # what logs of all sizes come near to; taken where a small one cannot tell
UNSEEN = 4  # targets more than were seen, whose rank differs as much as it can, in a standard error


class WeightSearch:
    """Finds the weights with which targets rank highest: by the mean of 1 / log2(1 + rank), as in NDCG.

    Of the pairs whose mean is within one standard error of the best one's, as paired by targets, it is the one nearest
    to the ``USUAL``: the best of a few hundred targets is often far from the best of all, and few of them may be
    repeats. ``add`` takes states in parts, and needs no more of them than sums.
    """

    _pairs = (Weights(0.0, 0.0), *(Weights(*pair) for pair in product(WEIGHTS[1:], REPEATS)))

    def __init__(self) -> None:
        self._number = 0
        self._gains = self._products = torch.zeros(0)

    def add(self, scores: Tensor, votes: Votes, own: Tensor, targets: Tensor) -> None:
        """Scores without neighbours (states, items), padding the lowest, what these say, and targets, int64 (states,).

        `own`, int64 (states, n), are the items of each state's session, which have no votes.
        """
        own, target = distinct(own), targets.unsqueeze(1)
        repeated = (own == target).any(dim=1)
        gains = scores.new_zeros(len(self._pairs), len(targets), dtype=torch.float64)
        for chosen, ranks_by_pair in ((repeated, _ranks_of_repeated), (~repeated, _ranks_of_others)):
            rows = chosen.nonzero().flatten()
            if not len(rows):
                continue
            ranks = ranks_by_pair(scores[rows], Votes(*(part[rows] for part in votes)), own[rows], target[rows])
            each = torch.stack([ranks[pair] for pair in self._pairs])
            gains[:, rows] = (1.0 / torch.log2(1.0 + each)).double()
        if not self._number:
            self._gains, self._products = gains.new_zeros(len(gains)), gains.new_zeros(len(gains), len(gains))
        self._gains, self._products = self._gains + gains.sum(dim=1), self._products + gains @ gains.T
        self._number += len(targets)

    def best(self) -> Weights:
        """The chosen pair of ``WEIGHTS`` and ``REPEATS``; of zeros where nothing was added."""
        if not self._number:
            return Weights(0.0, 0.0)
        mean, *products = (torch.stack([self._gains, *self._products]) / self._number).cpu()
        best, square = int(mean.argmax()), torch.stack(products).diagonal()
        below = mean[best] - mean
        variance = square + square[best] - 2 * products[best] - below**2  # of the difference to the best
        error = (variance.clamp(min=0) * self._number + UNSEEN).sqrt() / self._number
        level = (below <= error).nonzero().flatten()
        return min((self._pairs[n] for n in level.tolist()), key=_from_usual)


def _from_usual(found: Weights) -> int:
    """How many steps away from the usual weights others are."""
    return abs(WEIGHTS.index(found.weight) - WEIGHTS.index(USUAL.weight)) + abs(
        REPEATS.index(found.repeats) - REPEATS.index(USUAL.repeats)
    )


def _ranks_of_others(scores: Tensor, votes: Votes, own: Tensor, target: Tensor) -> dict[Weights, Tensor]:
    """Ranks of targets (states, 1) that are not of their sessions' `own` items, float (states,) for each pair.

    Neighbours raise the target and others, and repeats what the session has viewed.
    """
    scores, voted, viewed = _less_the_targets(scores, votes, own, target)
    feature, share, ahead = features(votes), 1.0 / votes.times.clamp(min=1), _Ahead(scores)
    of_target = torch.where(votes.items == target, feature, 0.0).amax(dim=1, keepdim=True)
    again = viewed.unsqueeze(2) + moved(torch.tensor(REPEATS), viewed.device)  # (states, own, repeats)
    ranks: dict[Weights, Tensor] = {}
    for weight in WEIGHTS:
        bar = weight * of_target
        risen = torch.where((voted + weight * feature > bar) & (voted <= bar), share, 0.0).sum(dim=1)
        risen_again = ((again > bar.unsqueeze(2)) & (viewed <= bar).unsqueeze(2)).sum(dim=1)
        rank = (1.0 + ahead.of(bar) + risen).unsqueeze(1) + risen_again
        tried = REPEATS if weight else REPEATS[:1]
        ranks.update(zip((Weights(weight, repeats) for repeats in tried), rank.unbind(1), strict=False))
    return ranks


def _ranks_of_repeated(scores: Tensor, votes: Votes, own: Tensor, target: Tensor) -> dict[Weights, Tensor]:
    """The same of targets that are: repeats raise the target, and neighbours the others."""
    scores, voted, viewed = _less_the_targets(scores, votes, own, target)
    feature, share, ahead = features(votes), 1.0 / votes.times.clamp(min=1), _Ahead(scores)
    rank, below = {}, {}
    for repeats in REPEATS:
        again = ((viewed + repeats > repeats) & (viewed <= repeats)).sum(dim=1)
        rank[repeats], below[repeats] = 1.0 + ahead.of(repeats) + again, share * (voted <= repeats)
    ranks: dict[Weights, Tensor] = {}
    for weight in WEIGHTS:
        raised = voted + weight * feature
        for repeats in REPEATS if weight else REPEATS[:1]:
            risen = torch.where(raised > repeats, below[repeats], 0.0).sum(dim=1)
            ranks[Weights(weight, repeats)] = rank[repeats] + risen
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
