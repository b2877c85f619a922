"""Sparse matrices whose entries are in order, by the keys of these: row times columns plus column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

Table = tuple[NDArray[np.int64], Sequence[NDArray[Any]]]  # where each row starts, and columns of entries


def matrix_of(values: NDArray[Any], keys: NDArray[np.int64], shape: tuple[int, int]) -> sp.csr_array:
    """The matrix with these entries that are not 0; rows times columns plus column are the `keys`, which rise."""
    real = values != 0
    keys = keys[real]
    return sp.csr_array((values[real], keys % shape[1], offsets_of(keys, *shape)), shape=shape)


def keys_of(matrix: sp.csr_array) -> NDArray[np.int64]:
    """Row times columns plus column of each entry."""
    row: NDArray[np.int64] = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    return row * matrix.shape[1] + matrix.indices


def offsets_of(keys: NDArray[np.int64], rows: int, columns: int) -> NDArray[np.int64]:
    """Where each row starts among rising keys: int64 (rows + 1,)."""
    return np.searchsorted(keys, np.arange(rows + 1) * columns)


def values_at(keys: NDArray[np.int64], values: NDArray[Any], wanted: NDArray[np.int64]) -> NDArray[np.float64]:
    """Values of the wanted among rising keys; 0 where there is none."""
    place = np.searchsorted(keys, wanted)
    return np.where(np.r_[keys, -1][place] == wanted, np.r_[values, 0.0][place], 0.0)


def joined(matrices: Sequence[sp.csr_array]) -> tuple[NDArray[np.int64], list[NDArray[np.float64]]]:
    """The keys of the entries of any of these matrices, rising, and the values of each there, 0 where it has none."""
    keys = [keys_of(matrix) for matrix in matrices]
    either = np.sort(np.concatenate(keys), kind="stable")  # merges what is sorted
    either = either[np.diff(either, prepend=-1) != 0]
    return either, [values_at(key, matrix.data, either) for key, matrix in zip(keys, matrices, strict=True)]


def places_among(keys: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where the wanted, in any order, stand among rising keys: int64 (wanted,), -1 for those that are none.

    >>> places_among(np.array([2, 5, 7]), np.array([7, 3, 2])).tolist()
    [2, -1, 0]
    """
    order = np.argsort(wanted)  # a search in order reads the keys once, where any other waits for memory each time
    ordered = wanted[order]
    place = np.searchsorted(keys, ordered)
    places = np.full(len(wanted), -1)
    if len(keys):
        places[order] = np.where(keys.take(place, mode="clip") == ordered, place, -1)
    return places


def strongest(matrix: sp.csr_array, kept: int) -> sp.csr_array:
    """Each row with its `kept` largest entries, in the order of the columns."""
    row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    order = np.lexsort((-matrix.data, row))
    strong = np.sort(order[np.arange(len(order)) - matrix.indptr[row] < kept])
    return matrix_of(matrix.data[strong], keys_of(matrix)[strong], matrix.shape)


def wider(matrix: sp.csr_array, num_items: int) -> sp.csr_array:
    """The matrix with empty rows and columns for new items."""
    indptr = np.pad(matrix.indptr, (0, num_items - matrix.shape[0]), mode="edge")
    return sp.csr_array((matrix.data, matrix.indices, indptr), shape=(num_items, num_items))


def with_rows(matrix: sp.csr_array, rows: NDArray[np.int64], by: sp.csr_array) -> sp.csr_array:
    """The matrix with other `rows`, which rise: those of `by`."""
    indptr, (data, indices) = spliced(
        (matrix.indptr, (matrix.data, matrix.indices)), rows, (by.indptr, (by.data, by.indices))
    )
    return sp.csr_array((data, indices, indptr), shape=matrix.shape)


def spliced(table: Table, rows: NDArray[np.int64], by: Table) -> Table:
    """The table with other `rows`, which rise: those of `by`. What stays is copied in one piece.

    >>> spliced((np.array([0, 2, 3]), [np.array([7, 5, 9])]), np.array([0]), (np.array([0, 1]), [np.array([4])]))
    (array([0, 1, 2]), [array([4, 9])])
    """
    (offsets, columns), (other_offsets, other_columns) = table, by
    here = np.zeros(len(offsets) - 1, dtype=bool)
    here[rows] = True
    before = np.diff(offsets)
    after = before.copy()
    after[rows] = np.diff(other_offsets)
    kept, new = np.repeat(~here, before), np.repeat(here, after)
    found = []
    for column, other in zip(columns, other_columns, strict=True):
        found.append(np.empty(len(new), column.dtype))
        found[-1][~new], found[-1][new] = column[: len(kept)][kept], other[: other_offsets[-1]]
    return np.r_[0, np.cumsum(after)], found
