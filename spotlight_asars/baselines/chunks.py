"""Chunks of rows, which bound the memory of sparse products."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_ENTRIES = 2**22  # of the largest intermediate array, unless a single row needs more


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
