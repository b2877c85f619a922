"""A table whose rows are lists of items with values, of different lengths."""

from __future__ import annotations

import copy
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spotlight_asars.memory.sparse_rows import spliced
from spotlight_asars.runtime.devices import moved, take, take_at


class ArrayRows(NamedTuple):
    """``RaggedRows`` as arrays on the host.

    offsets : int64 (rows + 1,), where each row starts
    columns : of items and values, (entries,) or more each
    """

    offsets: NDArray[np.int64]
    columns: list[NDArray[Any]]

    def rows(self, numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], list[NDArray[Any]]]:
        """One row or more, int64 (n,), one after the other: their lengths, int64 (n,), and the columns, (entries,)."""
        start, stop = self.offsets[numbers], self.offsets[numbers + 1]
        slices = [slice(*bounds) for bounds in zip(start.tolist(), stop.tolist(), strict=True)]
        return stop - start, [np.concatenate([column[one] for one in slices]) for column in self.columns]


class RaggedRows:
    """Rows one after the other, on a device; look-ups are padded to the longest row, so that no size has to be asked.

    Parameters
    ----------
    offsets : int (rows + 1,)
        Where each row starts.
    items : int (entries,)
    *values : float (entries,)
    device : torch.device

    Examples
    --------
    >>> values = np.array([1.0, 2.0, 3.0])
    >>> table = RaggedRows(np.array([0, 2, 3]), np.array([7, 5, 9]), values, device=torch.device("cpu"))
    >>> items, values = table.rows(torch.tensor([1, 0]), torch.tensor([True, True]))
    >>> items.tolist(), values.tolist()
    ([[9, 0], [7, 5]], [[3.0, 0.0], [1.0, 2.0]])
    """

    def __init__(self, offsets: NDArray[Any], items: NDArray[Any], *values: NDArray[Any], device: torch.device) -> None:
        self._fill(offsets, [[items], *([value] for value in values)], device)

    @classmethod
    def joined(cls, offsets: NDArray[Any], columns: list[list[NDArray[Any]]], device: torch.device) -> RaggedRows:
        """From columns that come in lists of parts; each list is emptied once its column is made, to save memory."""
        table = cls.__new__(cls)
        table._fill(offsets, columns, device)
        return table

    def _fill(self, offsets: NDArray[Any], columns: list[list[NDArray[Any]]], device: torch.device) -> None:
        self._width = max(1, int(np.diff(offsets).max(initial=0)))
        self._offsets = moved(torch.from_numpy(offsets.astype(np.int64)), device)
        self._columns = []
        for place, parts in enumerate(columns):
            kind: type = np.float32 if place else np.int32
            empty: NDArray[Any] = np.zeros(self._width, kind)  # behind the last row
            column = np.concatenate([*(part.astype(kind, copy=False) for part in parts), empty])
            parts.clear()
            self._columns.append(moved(torch.from_numpy(column), device))

    @property
    def device(self) -> torch.device:
        """Where it is; a pickle may have been loaded to another place than it came from."""
        return self._offsets.device

    def with_empty_rows(self, number: int) -> RaggedRows:
        """The same table with so many empty rows at its end."""
        longer = copy.copy(self)
        longer._offsets = torch.cat([self._offsets, self._offsets[-1:].expand(number)])
        return longer

    def with_rows(self, rows: NDArray[np.int64], by: RaggedRows) -> RaggedRows:
        """The same table with other `rows`, int64 (n,), rising: those of `by`."""

        def arrays(of: RaggedRows) -> ArrayRows:  # which are not kept, as those of ``arrays`` are
            offsets, columns, _ = of.on_host()
            return ArrayRows(offsets.numpy(), [column.numpy() for column in columns])

        offsets, columns = spliced(arrays(self), rows, arrays(by))
        return RaggedRows(offsets, *columns, device=self.device)

    @cached_property
    def arrays(self) -> ArrayRows:
        """All as arrays on the host, in the same memory where that is possible."""
        return ArrayRows(self._offsets.cpu().numpy(), [column.cpu().numpy() for column in self._columns])

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "arrays"}  # of copies, too

    def on_host(self) -> tuple[Tensor, list[Tensor], int]:
        """Where each row starts, (rows + 1,); the columns, (entries + width,), with 0 at the end; and the width."""
        return self._offsets.cpu(), [column.cpu() for column in self._columns], self._width

    def found(self, numbers: Tensor, real: Tensor) -> FoundRows:
        """Rows by their numbers, int64 (n,), that are looked at later; empty where not `real`, bool (n,)."""
        return FoundRows(self, numbers, real)

    def rows(self, numbers: Tensor, real: Tensor) -> tuple[Tensor, ...]:
        """Rows by their numbers, int64 (...); empty where not `real`, bool (...).

        Returns
        -------
        items : int64 (..., width)
            0 behind the end.
        *values : float32 (..., width)
            0 behind the end.
        """
        start, length = self.bounds(numbers, real)
        beyond = torch.arange(self._width, device=numbers.device) >= length.unsqueeze(-1)
        columns = (self._windows(column, start).masked_fill_(beyond, 0) for column in self._columns)
        items, *values = columns
        return items.long(), *values

    def bounds(self, numbers: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """Where rows start, and how many entries they have, int64 (...) each: none where not `real`."""
        start = take_at(self._offsets, numbers)
        return start, (take_at(self._offsets, numbers + 1) - start) * real

    def _windows(self, column: Tensor, start: Tensor) -> Tensor:
        """As many entries of a column as the longest row has, from some places on, int64 (...): (..., width)."""
        return take(column.unfold(0, self._width, 1), 0, start.flatten()).view(*start.shape, self._width)

    def values_of(self, entries: Tensor) -> list[Tensor]:
        """The values of entries, int64 (...): float32 (...) each."""
        return [take_at(column, entries) for column in self._columns[1:]]

    def entries_of(self, numbers: Tensor, real: Tensor, items: Tensor) -> Tensor:
        """The entries of items in rows whose items rise, of shapes that broadcast; one whose values are 0 for none."""
        low, length = self.bounds(numbers, real)
        stop = high = low + length
        for _ in range(self._width.bit_length()):  # halves the part of the row in which the item may be
            middle = (low + high) >> 1
            smaller = take_at(self._columns[0], middle) < items
            low, high = torch.where(smaller, middle + 1, low).minimum(high), torch.where(smaller, high, middle)
        there = (low < stop) & (take_at(self._columns[0], low) == items)
        return torch.where(there, low, len(self._columns[0]) - 1)

    def entries_in(self, numbers: Tensor, real: Tensor, place: Tensor, columns: int) -> tuple[Tensor, Tensor, Tensor]:
        """The entries of rows, int64 (n,), whose items have a `place`, int64 (num_items,), below `columns`.

        A GPU would wait for their number.

        Returns
        -------
        counts : int64 (n,)
            Entries of each row, one row after the other.
        column, entry : int64 (entries,)
            The place of the item, and the entry.
        """
        start, length = self.bounds(numbers, real)
        items = self._windows(self._columns[0], start)  # (n, width)
        column = place.index_select(0, items.flatten()).view(items.shape)
        slots = torch.arange(self._width, device=numbers.device)
        here = (column < columns) & (slots < length.unsqueeze(1))
        counts, slot = here.sum(dim=1), here.flatten().nonzero().squeeze(1)
        shift = start - torch.arange(0, here.numel(), self._width, device=numbers.device)  # from slot to entry
        entry = slot + shift.repeat_interleave(counts, output_size=len(slot))
        return counts, column.flatten().index_select(0, slot), entry


class FoundRows:
    """Rows of a table, of which only as much is read as is asked for; see ``RaggedRows.found``.

    The items of each row rise.
    """

    def __init__(self, table: RaggedRows, numbers: Tensor, real: Tensor) -> None:
        self._table, self._numbers, self._real = table, numbers, real

    def __len__(self) -> int:
        return len(self._numbers)

    @cached_property
    def all(self) -> tuple[Tensor, ...]:
        """Items, int64, and values, float32, (rows, width) each."""
        return self._table.rows(self._numbers, self._real)

    def of(self, row: Tensor, items: Tensor) -> list[Tensor]:
        """The values of items in these of the rows, int64 of shapes that broadcast: float32 each, 0 for none."""
        return self._table.values_of(self._table.entries_of(self._numbers[row], self._real[row], items))

    def in_columns(self, place: Tensor, columns: int) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Of the entries whose items have a `place` below `columns`, on the host: how many each row has, their columns,
        and their values."""
        counts, column, entry = self._table.entries_in(self._numbers, self._real, place, columns)
        return counts, column, self._table.values_of(entry)
