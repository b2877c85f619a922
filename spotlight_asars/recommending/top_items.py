"""The best items of rows of scores, by the rules of a request.

Scores are those of the whole catalogue, of some items that all rows have, int64 (items,), or of items of each row's
own, int64 (rows, items), padded with 0; the items rise. Nothing here costs the catalogue where the scores do not.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from spotlight_asars.recommending.recommendations import NEVER, Recommendations
from spotlight_asars.recommending.rules import ItemLists, Rules
from spotlight_asars.runtime.devices import moved
from spotlight_asars.sessions import PADDING_IDX


class RulesOnDevice:
    """The rules of a request where its scores are.

    Parameters
    ----------
    rules : Rules
    device : torch.device

    Attributes
    ----------
    columns : int64 (items,) or None
        The only items that may be recommended in any row, rising.
    """

    def __init__(self, rules: Rules, device: torch.device) -> None:
        def on_device(array: NDArray[Any]) -> Tensor:
            return moved(torch.from_numpy(array), device)

        self._device, self._exclude_own = device, rules.exclude_own
        common = None if isinstance(rules.candidates, ItemLists) else rules.candidates
        self.columns = None if common is None else on_device(common)
        self._exclude = None if rules.exclude is None or not len(rules.exclude) else on_device(rules.exclude)
        boosts = rules.boosts if rules.boosts is not None and len(rules.boosts[0]) else None
        self._boosts = None if boosts is None else (on_device(boosts[0]), on_device(boosts[1]))

    def top_k(
        self, scores: Tensor, k: int, rows: NDArray[Any], viewed: Tensor | None = None, items: Tensor | None = None
    ) -> Recommendations:
        """The k best items of each row, fewer where there are fewer columns.

        Parameters
        ----------
        scores : float (batch, items)
        k : int
        rows : int (batch,)
            Numbers of the rows in the request.
        viewed : int64 (batch, slots), optional
            Items that each row leaves out, padded with 0.
        items : int64 (batch, items), optional
            Items of each row's own; by default the ``columns``, or the catalogue.
        """
        items = self.columns if items is None else items
        if items is not None and items.dim() == 2:
            scores = scores.masked_fill(items == PADDING_IDX, NEVER)
        if self._boosts is not None:
            scores = _boosted(scores, items, *self._boosts)
        if self._exclude is not None:
            scores = _without(scores, items, self._exclude)
        if self._exclude_own is not None:
            scores = _without_own(scores, items, self._exclude_own.padded(rows, self._device))
        if viewed is not None:
            scores = _without_own(scores, items, viewed)
        best = scores.topk(min(k, scores.shape[1]), dim=1)
        if items is None:
            ids = best.indices
        else:
            ids = items[best.indices] if items.dim() == 1 else items.gather(1, best.indices)
        return Recommendations(
            ids.masked_fill(best.values <= NEVER, PADDING_IDX).cpu().numpy(), best.values.cpu().numpy()
        )


def no_recommendations(rows: int, k: int) -> Recommendations:
    """Rows of k places, none of which is filled yet."""
    return Recommendations(np.zeros((rows, k), dtype=np.int64), np.full((rows, k), NEVER, dtype=np.float32))


def _boosted(scores: Tensor, items: Tensor | None, boosted: Tensor, gains: Tensor) -> Tensor:
    """`scores` plus the gains of the items `boosted`, rising; what is no candidate stays none."""
    if items is None:
        before = scores[:, boosted]
        return scores.index_copy(1, boosted, torch.where(before > NEVER, before + gains, before))
    place, found = _search(boosted, items)
    return torch.where(found & (scores > NEVER), scores + gains[place], scores)


def _without(scores: Tensor, items: Tensor | None, excluded: Tensor) -> Tensor:
    """`scores` with ``NEVER`` at items that all rows exclude, rising."""
    if items is None:
        return scores.index_fill(1, excluded, NEVER)
    return scores.masked_fill(_search(excluded, items)[1], NEVER)


def _without_own(scores: Tensor, items: Tensor | None, excluded: Tensor) -> Tensor:
    """`scores` with ``NEVER`` at the items that each row excludes, (rows, slots), padded with 0."""
    if items is None:
        return scores.scatter(1, excluded, NEVER)
    if items.dim() == 1:
        place, found = _search(items, excluded)
        place = torch.where(found, place, len(items))  # the rest falls into a column that is cut off
        return F.pad(scores, (0, 1)).scatter(1, place, NEVER)[:, :-1]
    if not excluded.shape[1]:
        return scores
    ordered = excluded.sort(dim=1).values
    place = torch.searchsorted(ordered, items).clamp(max=ordered.shape[1] - 1)
    return scores.masked_fill(ordered.gather(1, place) == items, NEVER)


def _search(ordered: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
    """Where items stand in an ordered list that is not empty, and whether they do."""
    place = torch.searchsorted(ordered, items).clamp(max=len(ordered) - 1)
    return place, ordered[place] == items
