"""Terms that are added to the scores of a few items of each state: their cost does not depend on the catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from spotlight_asars.sessions import PADDING_IDX


class ScoreTerms(NamedTuple):
    """Terms for some items of each state; those of an item that stands more than once in a row add up.

    items : int64 (states, slots), 0 where there is none
    values : float (states, slots), 0 where there is no item
    """

    items: Tensor
    values: Tensor

    def added_to(self, scores: Tensor) -> Tensor:
        """`scores` (states, items) of the whole catalogue plus terms, in the memory of the scores."""
        values = self.values.to(scores.dtype)
        total: Tensor = _AddInPlace.apply(scores, self.items, values)  # type: ignore[no-untyped-call]
        return total

    def of(self, items: Tensor) -> Tensor:
        """The terms of items of each state's own, int64 (states, n): float (states, n)."""
        each = (torch.where(self.items == item.unsqueeze(1), self.values, 0.0).sum(dim=1) for item in items.unbind(1))
        return torch.stack(list(each), dim=1)

    def has(self, items: Tensor) -> Tensor:
        """Which of the items of each state's own have terms: bool (states, n)."""
        return torch.stack([(self.items == item.unsqueeze(1)).any(dim=1) for item in items.unbind(1)], dim=1)


class Columns:
    """Items that all states score, and where each stands among them.

    Parameters
    ----------
    item_ids : int64 (columns,)
    num_items : int
        Size of the catalogue.
    """

    def __init__(self, item_ids: Tensor, num_items: int) -> None:
        self._item_ids, self._number = item_ids, len(item_ids)
        self._place = torch.full(
            (num_items,), self._number, device=item_ids.device
        )  # of items that are not scored, too
        self._place[item_ids] = torch.arange(self._number, device=item_ids.device)

    def terms(self, parts: Sequence[ScoreTerms]) -> Tensor:
        """The sum of all parts for these items: float (states, columns)."""
        total = parts[0].values.new_zeros(len(parts[0].values), self._number + 1)
        for part in parts:
            total = part._replace(items=self._place[part.items]).added_to(total)
        return total[:, self._place[self._item_ids]]


class _AddInPlace(torch.autograd.Function):
    """``scores.scatter_add(1, items, values)``; its gradients need none of the scores, so these may be overwritten."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, items: Tensor, values: Tensor) -> Tensor:
        ctx.save_for_backward(items)
        ctx.mark_dirty(scores)
        return scores.scatter_add_(1, items, values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, Tensor]:
        (gradient,), (items,) = gradients, ctx.saved_tensors
        return gradient, None, gradient.gather(1, items)


def touched_items(parts: Sequence[ScoreTerms], like: Tensor) -> tuple[Tensor, Tensor]:
    """The distinct items that have terms, int64 (items,), and for which of the states `like`, bool (states, items)."""
    none = torch.zeros(len(like), 0, dtype=torch.int64, device=like.device)
    items = torch.cat([none, *(part.items for part in parts)], dim=1)
    distinct, place = items.unique(return_inverse=True)
    touched = torch.zeros(len(like), len(distinct), dtype=torch.bool, device=like.device)
    touched.scatter_(1, place, True)
    real = distinct != PADDING_IDX
    return distinct[real], touched[:, real]
