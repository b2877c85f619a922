"""The k most similar sessions of each prefix; chunks of prefixes, which bound the memory of the search."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from spotlight_asars.baselines.neighbours.session_index import Neighbours
from spotlight_asars.baselines.prefixes import Events

T = TypeVar("T", Events, Neighbours)

MOST_ENTRIES = 2**22  # of the largest intermediate array, unless a single prefix needs more


def nearest(pairs: Neighbours, num_rows: int, k: int) -> Neighbours:
    """The k most similar of each row; of equally similar ones those that stand first.

    The time is linear in the pairs: each row's k-th highest similarity is the threshold.
    """
    counts = np.bincount(pairs.row, minlength=num_rows)
    if counts.max(initial=0) <= k:
        return pairs
    first = np.cumsum(counts) - counts
    keep = np.ones(len(pairs.row), dtype=np.bool_)
    crowded = np.flatnonzero(counts > k)
    width = int(counts.max())
    parts = min(-(-len(crowded) * width // MOST_ENTRIES), len(crowded))
    for rows in np.array_split(crowded, parts):
        columns = np.arange(counts[rows].max())
        real = columns < counts[rows, None]  # (rows, width)
        places = first[rows, None] + columns
        similarity = np.where(real, pairs.similarity[np.where(real, places, 0)], -np.inf)
        kth = np.partition(similarity, len(columns) - k, axis=1)[:, [len(columns) - k]]
        above, equal = similarity > kth, similarity == kth
        room = k - above.sum(axis=1, keepdims=True)
        keep[places[real]] = (above | (equal & (equal.cumsum(axis=1) <= room)))[real]
    return pairs.pick(keep)


def rows_of(table: T, rows: slice) -> T:
    """The part of `table`, which is sorted by row, that the slice `rows` has; its rows are numbered from 0."""
    start, stop = np.searchsorted(table.row, [rows.start, rows.stop])
    part: T = type(table)._make(column[start:stop] for column in table)
    return part._replace(row=part.row - rows.start)


def in_chunks(costs: NDArray[Any], limit: int) -> Iterator[slice]:
    """Slices of rows whose costs add up to `limit` at most, or of one row that alone costs more.

    >>> [(rows.start, rows.stop) for rows in in_chunks(np.array([3, 3, 9, 1]), limit=6)]
    [(0, 2), (2, 3), (3, 4)]
    """
    total = np.r_[0, np.cumsum(costs)]
    start = 0
    while start < len(costs):
        stop = max(int(np.searchsorted(total, total[start] + limit, side="right")) - 1, start + 1)
        yield slice(start, stop)
        start = stop
