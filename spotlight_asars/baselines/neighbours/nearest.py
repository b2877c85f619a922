"""The k most similar sessions of each prefix."""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from spotlight_asars.baselines.chunks import MOST_ENTRIES
from spotlight_asars.baselines.neighbours.session_index import Neighbours
from spotlight_asars.baselines.prefixes import Events

T = TypeVar("T", Events, Neighbours)


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
