"""A click log of any size for benchmarks, made at once by numpy: popular items, short sessions, repeated clicks."""

from __future__ import annotations

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray

MEAN_LENGTH = 6  # events of a session, geometrically distributed
MEAN_GAP = 90.0  # [s] between two events of a session, exponentially distributed
DAYS = 90  # over which the sessions start
REPEATED = 0.1  # share of clicks that repeat the last item
EVENTS_PER_USER, EVENTS_PER_ITEM = 50, 20
FIRST_USER, FIRST_ITEM = 10**9, 10**6  # raw ids are not contiguous ids
SPREAD = 15_485_863  # a prime: ranks of popularity do not stand in the order of the ids


def click_log(
    events: int, random_state: int = 0, part: int = 0, parts: int = 1, text: bool = False
) -> dict[str, NDArray]:
    """Columns ``user_id, item_id, timestamp`` of one of `parts` equal parts of a log of `events`, in order of time.

    Popularity is Zipf's: the item of rank r is clicked in proportion to 1 / r. Sessions of a part are of its days.
    """
    random = RandomState([random_state, part])
    num_users, num_items = max(events // EVENTS_PER_USER, 1), max(events // EVENTS_PER_ITEM, 2)
    size = events // parts
    lengths = random.geometric(1 / MEAN_LENGTH, size=size)
    lengths = lengths[: np.searchsorted(np.cumsum(lengths), size) + 1]
    session = np.repeat(np.arange(len(lengths)), lengths)[:size]
    first = np.diff(session, prepend=-1) > 0

    days = DAYS * 86400 // parts
    start = random.randint(part * days, (part + 1) * days, size=len(lengths))
    gaps = np.where(first, 0, random.exponential(MEAN_GAP, size=size)).astype(np.int64)
    elapsed = np.cumsum(gaps)
    time = start[session] + elapsed - elapsed[np.flatnonzero(first)][session]
    rank = np.exp(random.rand(size) * np.log(num_items)).astype(np.int64)  # inverse of the cumulative of 1 / r
    again = np.flatnonzero((random.rand(size) < REPEATED) & ~first)
    rank[again] = rank[again - 1]

    order = np.argsort(time, kind="stable")
    users = FIRST_USER + random.randint(num_users, size=len(lengths))[session][order]
    items = FIRST_ITEM + rank[order] * SPREAD % num_items
    if text:
        users, items = (np.char.add(word, ids.astype(str)) for word, ids in (("user-", users), ("item-", items)))
    return {"user_id": users, "item_id": items, "timestamp": time[order]}
