"""Functions of sorted events: gaps, session cuts, runs of one item, support.

They take arrays sorted by user, then time, then file order. Each event has two durations:

- its *gap*: the time to the user's next event in the log as it was recorded, which is the dwell time;
- its *pause*: the longest gap between it and the user's next event that has not been dropped. A session ends where a
  pause reaches the inactivity, so that dropping events neither joins two sessions nor cuts one in two.

Both are infinite at a user's last event.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array

HOUR = 3600.0  # [s]; by default a session ends where its user is idle this long
DAY = 86400.0  # [s]

Ids = NDArray[np.integer[Any]]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


def order_events(user_ids: Ids, timestamps: NDArray[Any]) -> NDArray[np.intp]:
    """Indices that sort events by user, then time; equal timestamps keep file order. Users are not negative."""
    forward = timestamps[1:] >= timestamps[:-1]
    if np.all((user_ids[1:] > user_ids[:-1]) | ((user_ids[1:] == user_ids[:-1]) & forward)):
        return np.arange(len(user_ids))
    if forward.all():
        return _counting_argsort(user_ids)
    by_time = np.argsort(timestamps, kind="stable")
    return by_time[_counting_argsort(user_ids[by_time])]


def order_sessions(user_ids: Ids, sessions: Ids, timestamps: NDArray[Any]) -> tuple[NDArray[np.intp], Mask]:
    """Indices that sort events by user, their sessions by their first events, and events by time; and where each ends.

    Equal timestamps, of events as of sessions, keep file order.

    >>> order_sessions(np.array([0, 0, 0, 0]), np.array([7, 8, 7, 8]), np.array([3, 2, 9, 5]))
    (array([1, 3, 0, 2]), array([False,  True, False,  True]))
    """
    order = np.lexsort((timestamps, sessions, user_ids))
    starts = np.ones(len(order), dtype=bool)
    starts[1:] = np.diff(user_ids[order]) != 0
    starts[1:] |= np.diff(sessions[order]) != 0
    first = order[starts]  # of each session, its first event
    rank = np.empty(len(first), dtype=np.intp)
    rank[np.lexsort((first, timestamps[first], user_ids[first]))] = np.arange(len(first))
    of_event = rank[np.cumsum(starts) - 1]
    sorted_by_rank = np.argsort(of_event, kind="stable")
    return order[sorted_by_rank], np.diff(of_event[sorted_by_rank], append=len(first)) != 0


def _counting_argsort(ids: Ids) -> NDArray[np.intp]:
    """``np.argsort(ids, kind="stable")``; by counting, as the rows of a sparse matrix, where few ids are unused."""
    size, highest = len(ids), int(ids.max(initial=0))
    if highest > 2 * size:
        return np.argsort(ids, kind="stable")
    places = np.arange(size, dtype=np.int32 if size < 2**31 else np.int64)
    events = coo_array((np.ones(size, dtype=bool), (ids, places)), shape=(highest + 1, size))
    return events.tocsr().indices.astype(np.intp)


def gaps_to_next(user_ids: Ids, timestamps: NDArray[Any]) -> Floats:
    """Time [s] from each event to the same user's next one; infinite at the user's last.

    >>> gaps_to_next(np.array([0, 0, 0, 1]), np.array([10, 25, 26, 5]))
    array([15.,  1., inf, inf])
    """
    gaps = np.full(len(user_ids), np.inf)
    np.subtract(timestamps[1:], timestamps[:-1], out=gaps[:-1])
    gaps[:-1][user_ids[1:] != user_ids[:-1]] = np.inf
    return gaps


def session_starts(pauses: Floats, inactivity: float) -> Mask:
    """True where a session begins: at the first event, and after each pause that reaches `inactivity`.

    >>> session_starts(np.array([15.0, 3600.0, np.inf, 2.0]), inactivity=3600)
    array([ True, False,  True,  True])
    """
    starts = np.ones(len(pauses), dtype=bool)
    starts[1:] = pauses[:-1] >= inactivity
    return starts


def session_ids(pauses: Floats, inactivity: float) -> NDArray[np.int64]:
    """Number of the session that each event belongs to, from 0, in the order of the events."""
    return np.cumsum(session_starts(pauses, inactivity)) - 1


def dwell_from_gaps(gaps: Floats, inactivity: float) -> Floats:
    r"""Dwell time [s] :math:`\delta_k = t_{k+1} - t_k` inside the session; NaN at its last event."""
    return np.where(gaps < inactivity, gaps, np.nan)


def carry_pauses(pauses: Floats, kept: NDArray[np.intp]) -> Floats:
    """Pauses of the events `kept`: each is the longest of its own and those of the dropped events that follow it.

    >>> carry_pauses(np.array([5.0, 9000.0, 7.0, np.inf]), np.array([0, 2]))
    array([9000.,   inf])
    """
    return np.maximum.reduceat(pauses, kept) if len(kept) else pauses[:0]


def run_starts(item_ids: Ids, starts: Mask) -> Mask:
    """True at the first event of each run of one item inside one session."""
    first = starts.copy()
    first[1:] |= item_ids[1:] != item_ids[:-1]
    return first


def sum_runs(dwell_times: Floats, first: NDArray[np.intp]) -> Floats:
    """Dwell time of each run: the sum of its known dwell times; NaN where none is known."""
    known = ~np.isnan(dwell_times)
    total = np.add.reduceat(np.where(known, dwell_times, 0.0), first)
    return np.where(np.logical_or.reduceat(known, first), total, np.nan)


def last_changes(kinds: NDArray[np.int64], first: NDArray[np.intp]) -> NDArray[np.int64]:
    """The last kind in each run that is known and not that of its first event, which it is where there is none.

    >>> last_changes(np.array([2, 1, 2, 2, 3]), np.array([0, 3, 4])).tolist()
    [1, 2, 3]
    """
    run = np.repeat(np.arange(len(first)), np.diff(first, append=len(kinds)))
    changed = (kinds != kinds[first][run]) & (kinds > 0)
    last = np.maximum.reduceat(np.where(changed, np.arange(len(kinds)), -1), first)
    return np.asarray(kinds[np.where(last >= 0, last, first)])


def supported(
    user_ids: Ids, item_ids: Ids, sessions: NDArray[np.int64], *, item: int, session: int, user: int
) -> NDArray[np.intp]:
    """Indices of the largest subset in which every item, session and user has its support.

    Each item has at least `item` events, each session at least `session` events and each user at least `user`
    sessions. Dropping one may break another, so the rules are applied until nothing changes; the result does not
    depend on their order. A round looks up each event, and counts anew only what the last one dropped.
    """
    if not len(user_ids):
        return np.arange(0)
    first = np.flatnonzero(np.diff(sessions, prepend=-1))  # sessions are numbered from 0, none is empty
    user_of = user_ids[first]
    events_of_item, events_of_session = np.bincount(item_ids), np.diff(first, append=len(sessions))
    sessions_of_user = np.bincount(user_of)
    left = np.ones(len(user_ids), dtype=bool)
    while True:
        lost = (events_of_item < item)[item_ids]
        lost |= ((events_of_session < session) | (sessions_of_user < user)[user_of])[sessions]
        lost &= left
        dropped = np.flatnonzero(lost)
        if not len(dropped):
            return np.flatnonzero(left)
        left[dropped] = False
        before = events_of_session > 0
        events_of_item -= np.bincount(item_ids[dropped], minlength=len(events_of_item))
        events_of_session -= np.bincount(sessions[dropped], minlength=len(events_of_session))
        ended = before & (events_of_session == 0)
        sessions_of_user -= np.bincount(user_of[ended], minlength=len(sessions_of_user))
