"""Terms whose items and values stand in rows of a table: computed for the items alone whose scores are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from spotlight_asars.memory.ragged_rows import FoundRows
from spotlight_asars.memory.score_terms import ScoreTerms

DENSE = 20  # times as fast an entry is in a row of all columns as one alone


class TableTerms:
    """``Terms`` of states that each have the sum of some rows of a table, times weights.

    Parameters
    ----------
    rows : FoundRows
        Of the table.
    value : callable
        The term of each entry, float (...), by the columns of its values, float (...) each; 0 where these are 0.
    row : int64 (states, n)
        Which of the rows each state has.
    real : bool (states, n)
        Where it has one.
    weight : float (states, n)
        Of each row; 0 where there is none.
    kept : bool (num_items,), optional
        The items that have terms.
    """

    def __init__(
        self,
        rows: FoundRows,
        value: Callable[[Sequence[Tensor]], Tensor],
        row: Tensor,
        real: Tensor,
        weight: Tensor,
        kept: Tensor | None = None,
    ) -> None:
        self._rows, self._value, self._row, self._real, self._weight = rows, value, row, real, weight
        self._kept = kept

    def of_items(self, kept: Tensor) -> TableTerms:
        """The terms of some items alone, bool (num_items,)."""
        return TableTerms(self._rows, self._value, self._row, self._real, self._weight, kept)

    @cached_property
    def full(self) -> ScoreTerms:
        """The same, of all items."""
        items, *values = self._rows.all
        terms = ScoreTerms(items, self._value(values), self._row, self._weight)
        return terms if self._kept is None else terms.of_items(self._kept)

    def added_to(self, scores: Tensor) -> Tensor:
        """As in ``Terms``."""
        return self.full.added_to(scores)

    def by_state(self) -> Iterator[tuple[Tensor, Tensor]]:
        """As in ``Terms``."""
        return self.full.by_state()

    def zeros(self, columns: int) -> Tensor:
        """As in ``Terms``."""
        return self._weight.new_zeros(len(self._row), columns)

    def of(self, wanted: Tensor) -> Tensor:
        """As in ``Terms``."""
        if wanted.device.type != "cpu":  # the full rows are at hand in training, and a search in all has few steps
            return self.full.of(wanted)
        found = self._value(self._rows.of(self._row.unsqueeze(2), wanted.unsqueeze(1)))  # (states, rows of a state, n)
        terms = (found * self._weight.unsqueeze(2)).sum(dim=1)
        return terms if self._kept is None else terms * self._kept[wanted]

    def added_to_columns(self, totals: Tensor, place: Tensor) -> Tensor:
        """As in ``Terms``."""
        if totals.device.type != "cpu":  # a GPU would wait for the number of entries
            return self.full.added_to_columns(totals, place)
        columns = totals.shape[1]
        if self._kept is not None:
            place = torch.where(self._kept, place, columns)
        entries, column, strength = self._rows.in_columns(place, columns - 1)  # the last is of items without a score
        row = self._row.flatten()  # of each pair of a state and one of its rows
        counts = entries.index_select(0, row) * self._real.flatten()
        value, total = self._value(strength), int(counts.sum())
        if total * DENSE > len(row) * columns:
            slot = torch.arange(0, len(entries) * columns, columns).repeat_interleave(entries) + column
            matrix = _AddAt.apply(value.new_zeros(len(entries), columns), slot, value)  # type: ignore[no-untyped-call]
            return totals + F.embedding_bag(self._row, matrix, mode="sum", per_sample_weights=self._weight)
        pair = torch.arange(len(row)).repeat_interleave(counts, output_size=total)
        begin = (entries.cumsum(0) - entries).index_select(0, row) - (counts.cumsum(0) - counts)
        entry = torch.arange(total) + begin.index_select(0, pair)
        state = torch.arange(0, totals.numel(), columns).repeat_interleave(
            self._row.shape[1]
        )  # where its columns begin
        slot = state.index_select(0, pair) + column.index_select(0, entry)
        terms = self._weight.flatten().index_select(0, pair) * value.index_select(0, entry)
        return _AddAt.apply(totals, slot, terms.to(totals.dtype))  # type: ignore[no-untyped-call]


class _AddAt(torch.autograd.Function):
    """``totals.flatten().index_add(0, slot, values)``, in the memory of the totals."""

    @staticmethod
    def forward(ctx: Any, totals: Tensor, slot: Tensor, values: Tensor) -> Tensor:
        ctx.save_for_backward(slot)
        ctx.mark_dirty(totals)
        totals.view(-1).index_add_(0, slot, values)
        return totals

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, Tensor]:
        (gradient,), (slot,) = gradients, ctx.saved_tensors
        return gradient, None, gradient.flatten().index_select(0, slot)
