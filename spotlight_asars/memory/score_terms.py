"""Terms that are added to scores, stored sparsely: their cost depends on their number, not on the catalogue.

Sums must not depend on the order in which a GPU adds: so within one ``ScoreTerms`` no state and item occur twice, and
several of them are added one after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from spotlight_asars.runtime.devices import take
from spotlight_asars.sessions import PADDING_IDX


class ScoreTerms(NamedTuple):
    """Terms of one kind, an entry for each state and item; none twice, but for the padding item.

    state, items : int64 (entries,)
    value : float (entries,), 0 for the padding item
    """

    state: Tensor
    items: Tensor
    value: Tensor

    def add_to_targets(self, scores: Tensor, targets: Tensor) -> Tensor:
        """`scores` (rows,) plus terms, where each state scores one item: `targets`, int64 (rows,)."""
        value = torch.where(self.items == targets[self.state], self.value, 0.0)
        return scores.index_add(0, self.state, value.to(scores.dtype))

    def add_to_catalogue(self, scores: Tensor) -> Tensor:
        """`scores` (rows, items) plus terms."""
        flat = scores.reshape(-1).index_add(0, self.state * scores.shape[1] + self.items, self.value.to(scores.dtype))
        return flat.view(scores.shape)

    def add_to_items(self, scores: Tensor, items: ItemSet) -> Tensor:
        """`scores` (rows, items) plus terms, where every state scores the same `items`."""
        entry, place = items.matches(self.items)
        terms = ScoreTerms(self.state[entry], place, self.value[entry])
        of_distinct = terms.add_to_catalogue(scores.new_zeros(len(scores), len(items.distinct)))
        return scores + take(of_distinct, 1, items.place)

    def add_to_pairs(self, scores: Tensor, state: Tensor, items: ItemSet) -> tuple[Tensor, Tensor]:
        """`scores` (pairs,) of distinct pairs of a state and an item plus terms, and which have any, bool (pairs,)."""
        keys, pair = (state * len(items.distinct) + items.place).sort()
        entry, place = items.matches(self.items)
        key = self.state[entry] * len(items.distinct) + place
        nearest = torch.searchsorted(keys, key).clamp(max=max(len(keys) - 1, 0))
        hit = (keys[nearest] == key).nonzero().squeeze(1)
        entry, place = entry[hit], pair[nearest[hit]]
        has_terms = torch.zeros_like(state, dtype=torch.bool).index_fill(0, place, True)
        return scores.index_add(0, place, self.value[entry].to(scores.dtype)), has_terms


def touched_items(parts: Sequence[ScoreTerms], like: Tensor) -> tuple[Tensor, Tensor]:
    """The distinct items that have terms, int64 (items,), and for which of the states `like`, bool (states, items)."""
    no_ids = torch.zeros(0, dtype=torch.int64, device=like.device)
    state, items = (torch.cat([no_ids, *(part[column] for part in parts)]) for column in (0, 1))
    distinct = items.unique()
    distinct = distinct[distinct != PADDING_IDX]
    entry, place = ItemSet.of(distinct).matches(items)
    touched = torch.zeros(len(like), len(distinct), dtype=torch.bool, device=like.device)
    touched[state[entry], place] = True
    return distinct, touched


class ItemSet(NamedTuple):
    """Items that are scored, and where each distinct one of them is found.

    distinct : int64 (distinct,), rising
    place : int64 (items,), which of these each item is
    place_of : int64 (largest id + 2,), the same by id, -1 for other ids; the last entry serves all larger ones
    """

    distinct: Tensor
    place: Tensor
    place_of: Tensor

    @classmethod
    def of(cls, items: Tensor) -> ItemSet:
        distinct, place = items.unique(return_inverse=True)
        last = int(distinct[-1]) if len(distinct) else -1
        place_of = torch.full((last + 2,), -1, device=items.device)
        place_of[distinct] = torch.arange(len(distinct), device=items.device)
        return cls(distinct, place, place_of)

    def matches(self, items: Tensor) -> tuple[Tensor, Tensor]:
        """Which of some other `items` are in the set, and at which place: int64 (matches,) each."""
        place = self.place_of[items.clamp(max=len(self.place_of) - 1)]
        entry = (place >= 0).nonzero().squeeze(1)
        return entry, place[entry]
