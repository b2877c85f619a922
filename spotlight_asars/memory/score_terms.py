"""Terms that are added to scores, stored sparsely: their cost depends on their number, not on the catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from spotlight_asars.sessions import PADDING_IDX


class ScoreTerms(NamedTuple):
    """One entry for each term of a state's score of an item; terms of the same state and item add up.

    state, items : int64 (entries,)
    value : float (entries,), 0 for the padding item
    """

    state: Tensor
    items: Tensor
    value: Tensor

    @classmethod
    def empty(cls, like: Tensor) -> ScoreTerms:
        """No terms, on the device and with the dtype of `like`."""
        no_ids = torch.zeros(0, dtype=torch.int64, device=like.device)
        return cls(no_ids, no_ids, like.new_zeros(0))

    @classmethod
    def concatenate(cls, parts: Sequence[ScoreTerms]) -> ScoreTerms:
        return cls(*(torch.cat(column) for column in zip(*parts, strict=True)))

    def add_to_targets(self, scores: Tensor, targets: Tensor) -> Tensor:
        """`scores` (rows,) plus terms, where each state scores one item: `targets`, int64 (rows,)."""
        hit = (self.items == targets[self.state]).nonzero().squeeze(1)
        return scores.index_add(0, self.state[hit], self.value[hit].to(scores.dtype))

    def add_to_catalogue(self, scores: Tensor) -> Tensor:
        """`scores` (rows, items) plus terms."""
        flat = scores.reshape(-1).index_add(0, self.state * scores.shape[1] + self.items, self.value.to(scores.dtype))
        return flat.view(scores.shape)

    def add_to_items(self, scores: Tensor, item_ids: Tensor) -> Tensor:
        """`scores` (rows, items) plus terms, where every state scores `item_ids`, int64 (items,)."""
        distinct, column = item_ids.unique(return_inverse=True)
        entry, place = _matches(distinct, self.items)
        terms = ScoreTerms(self.state[entry], place, self.value[entry])
        return scores + terms.add_to_catalogue(scores.new_zeros(len(scores), len(distinct))).index_select(1, column)

    def add_to_pairs(self, scores: Tensor, state: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
        """`scores` (pairs,) of distinct pairs of a state and an item plus terms, and which have any, bool (pairs,)."""
        distinct, column = items.unique(return_inverse=True)
        keys, pair = (state * len(distinct) + column).sort()
        entry, place = _matches(distinct, self.items)
        key = self.state[entry] * len(distinct) + place
        nearest = torch.searchsorted(keys, key).clamp(max=max(len(keys) - 1, 0))
        hit = (keys[nearest] == key).nonzero().squeeze(1)
        entry, place = entry[hit], pair[nearest[hit]]
        has_terms = torch.zeros_like(items, dtype=torch.bool).index_fill(0, place, True)
        return scores.index_add(0, place, self.value[entry].to(scores.dtype)), has_terms

    def touched_items(self, rows: int) -> tuple[Tensor, Tensor]:
        """The distinct items that have terms, int64 (items,), and for which states, bool (rows, items)."""
        distinct = self.items.unique()
        distinct = distinct[distinct != PADDING_IDX]
        entry, place = _matches(distinct, self.items)
        touched = torch.zeros(rows, len(distinct), dtype=torch.bool, device=self.items.device)
        touched[self.state[entry], place] = True
        return distinct, touched


def _matches(distinct: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
    """Which of `items` are among the sorted `distinct` ones, and at which place there: int64 (matches,) each."""
    last = int(distinct[-1]) if len(distinct) else -1
    place_of = torch.full((last + 2,), -1, device=items.device)  # the last entry serves all larger ids
    place_of[distinct] = torch.arange(len(distinct), device=items.device)
    place = place_of[items.clamp(max=last + 1)]
    entry = (place >= 0).nonzero().squeeze(1)
    return entry, place[entry]
