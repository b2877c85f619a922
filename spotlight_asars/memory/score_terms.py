"""Terms that are added to the scores of a few items of each state: their cost does not depend on the catalogue."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from spotlight_asars._checks import LARGEST_ID
from spotlight_asars.runtime.devices import in_any_order, places_of, take
from spotlight_asars.sessions import PADDING_IDX

FEW = 40  # items of a state's own, up to which comparing each with all slots is faster than a search
NARROW = 4  # columns for a slot, up to which a row of all columns is as fast as the slots
NARROW_ON_GPU = 8192  # columns, likewise: there slots take many operations, and columns memory


class Terms(Protocol):
    """Terms for some items of each state, asked for in the form that the scores have."""

    def added_to(self, scores: Tensor) -> Tensor:
        """`scores` (states, items) of the whole catalogue plus terms, in the memory of the scores."""

    def zeros(self, columns: int) -> Tensor:
        """A matrix of no terms, float (states, columns)."""

    def added_to_columns(self, totals: Tensor, place: Tensor) -> Tensor:
        """`totals` (states, columns) plus terms, where items have the column `place`, int64 (num_items,)."""

    def of(self, wanted: Tensor) -> Tensor:
        """The terms of items of each state's own, (states, n): float (states, n), 0 for an item without any."""

    def by_state(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Items and terms of each state, (states, slots) each; a state has the sum of all that come."""


class ScoreTerms(NamedTuple):
    """Terms for some items of each state, which several states may share.

    A state has the sum of some rows, each times a weight. No item stands twice in a row.

    items : int64 (rows, slots), 0 where there is none; in rows that are shared, rising, and padded from the right
    values : float (rows, slots), 0 where there is no item
    row : int64 (states, n), which rows each state has; None where each has its own
    weight : float (states, n), None where each has its own row
    """

    items: Tensor
    values: Tensor
    row: Tensor | None = None
    weight: Tensor | None = None

    def of_items(self, kept: Tensor) -> ScoreTerms:
        """The terms of some items alone, bool (num_items,)."""
        return self._replace(values=self.values * kept[self.items])

    def times(self, factor: Tensor) -> ScoreTerms:
        """The terms times a number."""
        return self._replace(values=self.values * factor)

    def added_to(self, scores: Tensor) -> Tensor:
        """`scores` (states, items) of the whole catalogue plus terms, in the memory of the scores."""
        for items, values in self.by_state():
            scores = _AddInPlace.apply(scores, items, values.to(scores.dtype))  # type: ignore[no-untyped-call]
        return scores

    def zeros(self, columns: int) -> Tensor:
        """A matrix of no terms, float (states, columns)."""
        return self.values.new_zeros(len(self.items if self.row is None else self.row), columns)

    def added_to_columns(self, totals: Tensor, place: Tensor) -> Tensor:
        """`totals` (states, columns) plus terms, where items have the column `place`, int64 (num_items,)."""
        columns = totals.shape[1]
        placed = self._replace(items=take(place, 0, self.items.flatten()).view(self.items.shape))
        few_slots = columns > (NARROW * self.items.shape[1] if totals.device.type == "cpu" else NARROW_ON_GPU)
        if self.row is None or self.weight is None or few_slots:
            return placed.added_to(totals)  # a few slots for each state are less than a row of columns
        matrix = ScoreTerms(placed.items, self.values).added_to(self.values.new_zeros(len(self.values), columns))
        return totals + F.embedding_bag(self.row, matrix, mode="sum", per_sample_weights=self.weight.to(matrix.dtype))

    def of(self, wanted: Tensor) -> Tensor:
        """The terms of items of each state's own, (states, n): float (states, n), 0 for an item without any."""
        if self.row is None or self.weight is None:
            if wanted.shape[1] > FEW:
                return sums_of(wanted, self.items, self.values)
            same = [self.items == item.unsqueeze(1) for item in wanted.unbind(1)]  # (states, slots) each
            return torch.stack([torch.where(here, self.values, 0.0).sum(dim=1) for here in same], dim=1)
        if not self.items.numel():
            return self.weight.new_zeros(wanted.shape)
        keys = torch.where(self.items == PADDING_IDX, LARGEST_ID + 1, self.items)
        keys = (keys + torch.arange(len(keys), device=keys.device).unsqueeze(1) * (LARGEST_ID + 2)).flatten()  # rising
        wanted = self.row.unsqueeze(2) * (LARGEST_ID + 2) + wanted.unsqueeze(1)  # (states, rows of a state, n)
        slot = torch.searchsorted(keys, wanted).clamp(max=len(keys) - 1)
        found = keys[slot] == wanted
        values = torch.where(found, take(self.values.flatten(), 0, slot.flatten()).view(slot.shape), 0.0)
        return (values * self.weight.unsqueeze(2)).sum(dim=1)

    def by_state(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Items and terms of each state, (states, slots) each, for one row of the state after the other."""
        if self.row is None or self.weight is None:
            yield self.items, self.values
            return
        for row, weight in zip(self.row.unbind(1), self.weight.unsqueeze(2).unbind(1), strict=True):
            yield take(self.items, 0, row), take(self.values, 0, row) * weight


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
        self._place = places_of(item_ids, num_items, self._number)  # the last is that of items without a score

    def terms(self, parts: Sequence[Terms]) -> Tensor:
        """The sum of all parts for these items: float (states, columns)."""
        totals = parts[0].zeros(self._number + 1)
        for part in parts:
            totals = part.added_to_columns(totals, self._place)
        return _at_columns(totals, take(self._place, 0, self._item_ids))


class _AddInPlace(torch.autograd.Function):
    """``scores.scatter_add(1, items, values)``; its gradients need none of the scores, so these may be overwritten."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, items: Tensor, values: Tensor) -> Tensor:
        ctx.save_for_backward(items)
        ctx.mark_dirty(scores)
        with in_any_order():  # no item stands twice in a row, but for padding, of which no score counts
            return scores.scatter_add_(1, items, values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, Tensor]:
        (gradient,), (items,) = gradients, ctx.saved_tensors
        return gradient, None, gradient.gather(1, items)


def _at_columns(matrix: Tensor, columns: Tensor) -> Tensor:
    """``matrix.index_select(1, columns)``, whose gradient adds up in a fixed order on a GPU, too."""
    if matrix.device.type == "cpu":
        return matrix.index_select(1, columns)
    chosen: Tensor = _AtColumns.apply(matrix, columns)  # type: ignore[no-untyped-call]
    return chosen


class _AtColumns(torch.autograd.Function):
    """Its gradient is a sum over the places of each column: to sort these is less than to sort all entries."""

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, columns: Tensor) -> Tensor:
        ctx.save_for_backward(columns)
        ctx.number = matrix.shape[1]
        return matrix.index_select(1, columns)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient,), (columns,) = gradients, ctx.saved_tensors
        ordered, order = columns.sort(stable=True)
        begins = torch.searchsorted(ordered, torch.arange(ctx.number, device=columns.device))
        return F.embedding_bag(order, gradient.T.contiguous(), begins, mode="sum").T, None


def sums_of(wanted: Tensor, items: Tensor, values: Tensor) -> Tensor:
    """Sums of the values of some items of each row, (rows, n): float (rows, n), 0 for an item without any.

    The values are those of `items`, (rows, slots) each; nothing here has the size of the catalogue, or n times slots.
    """
    ordered = wanted.sort(dim=1).values
    place = torch.searchsorted(ordered, items).clamp(max=ordered.shape[1] - 1)
    here = ordered.gather(1, place) == items
    total = values.new_zeros(wanted.shape).scatter_add(1, place, values.masked_fill(~here, 0))
    return total.gather(1, torch.searchsorted(ordered, wanted))


def touched_items(parts: Sequence[Terms], like: Tensor) -> tuple[Tensor, Tensor]:
    """The distinct items that have terms, int64 (items,), and for which of the states `like`, bool (states, items)."""
    none = torch.zeros(len(like), 0, dtype=torch.int64, device=like.device)
    items = torch.cat([none, *(items for part in parts for items, _ in part.by_state())], dim=1)
    distinct, place = items.unique(return_inverse=True)
    touched = torch.zeros(len(like), len(distinct), dtype=torch.bool, device=like.device)
    touched.scatter_(1, place, True)
    real = distinct != PADDING_IDX
    return distinct[real], touched[:, real]
