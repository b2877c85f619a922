"""Events become sessions: ``to_sessions`` makes ``SessionInteractions`` of any Spotlight ``Interactions``."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spotlight_asars._checks import integers, moments, positive, reject, require, whole
from spotlight_asars._spotlight import Interactions
from spotlight_asars.events import HOUR, EventLog, timeline
from spotlight_asars.sessions.interactions import UNKNOWN_USER, SessionInteractions
from spotlight_asars.sessions.session_array import pick


def to_sessions(
    log: Interactions, inactivity: float = HOUR, max_sequence_length: int = 50, min_sequence_length: int = 2
) -> SessionInteractions:
    """Sessions of a log: maximal runs of one user's events without a gap of `inactivity`.

    A session longer than `max_sequence_length` becomes several rows, cut from its end as ``Interactions.to_sequence``
    cuts, so only the earliest of them can be short. At a length of 3 the session [1, 2, 3, 4, 5] becomes

    .. code-block:: python

       [[0, 1, 2],
        [3, 4, 5]]

    Rows stand in the order of users, and of time within a user.

    Parameters
    ----------
    log : Interactions
        With timestamps [s]. Of an ``EventLog``, dwell and session ends are those of the log as it was recorded; for
        any other log, dwell is the gap to the user's next event.
    inactivity : float
        A session ends where its user is idle this long [s].
    max_sequence_length, min_sequence_length : int
        Events of a row; shorter rows are left out.

    Returns
    -------
    SessionInteractions
        With user ids, the start of each row, and the raw ids, kinds and context of an ``EventLog``. Dwell is NaN at
        each session's last event unless it was measured.

    Raises
    ------
    ValueError
        If timestamps are missing, an item id is 0, or no session is long enough.
    """
    if not isinstance(log, Interactions):
        raise TypeError(f"log must be a Spotlight Interactions; got {type(log).__name__}")
    positive(inactivity, "inactivity")
    limits = LengthLimits(max_sequence_length, min_sequence_length)
    events = _sorted_events(log, inactivity)
    rows = limits.rows(events.sessions)
    limits.require_some(len(rows.first), rows.longest)
    sessions = SessionInteractions.from_ragged(
        events.items[rows.kept],
        rows.offsets,
        user_ids=events.users[rows.first],
        num_items=log.num_items,
        dwell_times=events.dwell_times[rows.kept],
        num_users=log.num_users,
        started=events.timestamps[rows.first],
        kinds=pick(events.kinds, rows.kept),
        context=pick(events.context, rows.first),
        max_sequence_length=max_sequence_length,
    )
    if isinstance(log, EventLog):
        sessions.named(log.user_vocabulary, log.item_vocabulary)
        sessions.with_labels(log.kind_vocabulary, log.context_vocabularies)
    return sessions


class Rows(NamedTuple):
    """How events are cut into rows.

    kept : bool (events,), True for the events of a row that is long enough
    first : int64 (session,), where each of those rows starts among all events
    offsets : int64 (session + 1,), where each of them starts among the events kept
    longest : int, events of the longest row, kept or not
    """

    kept: NDArray[np.bool_]
    first: NDArray[np.int64]
    offsets: NDArray[np.int64]
    longest: int


class LengthLimits:
    """The largest and the smallest number of events of a row."""

    def __init__(self, max_sequence_length: int, min_sequence_length: int) -> None:
        self.smallest = whole(min_sequence_length, "min_sequence_length", least=1)
        self.largest = whole(max_sequence_length, "max_sequence_length", least=1)
        rule = f"max_sequence_length must be at least min_sequence_length, {self.smallest}"
        require(self.largest >= self.smallest, rule, max_sequence_length)

    def rows(self, sessions: NDArray[np.int64]) -> Rows:
        """Rows of sessions, each cut from its end; `sessions` is the number of each event's session, from 0."""
        first = np.flatnonzero(np.diff(sessions, prepend=-1))
        lengths = np.diff(first, append=len(sessions))
        from_end = (first + lengths)[sessions] - 1 - np.arange(len(sessions))  # events that follow in the session
        starts = from_end % self.largest == self.largest - 1
        starts[first] = True

        row_first = np.flatnonzero(starts)
        row_lengths = np.diff(row_first, append=len(sessions))
        enough = row_lengths >= self.smallest
        kept, offsets = np.repeat(enough, row_lengths), np.r_[0, np.cumsum(row_lengths[enough])]
        return Rows(kept, row_first[enough], offsets, int(row_lengths.max(initial=0)))

    def require_some(self, rows: int, longest: int) -> None:
        """Raise ``ValueError`` where there are no rows."""
        rule = f"min_sequence_length must leave at least one session, and the longest has {longest} events"
        require(rows > 0, rule, self.smallest)


class Events(NamedTuple):
    """Columns of a log, sorted by user and time; `sessions` are numbered from 0."""

    users: NDArray[Any]
    items: NDArray[Any]
    timestamps: NDArray[Any]
    dwell_times: NDArray[np.float64]
    sessions: NDArray[np.int64]
    kinds: NDArray[np.int64] | None = None
    context: NDArray[np.int64] | None = None


def _sorted_events(log: Interactions, inactivity: float) -> Events:
    if isinstance(log, EventLog):
        dwell, sessions = log.dwell_times(inactivity), log.session_ids(inactivity)
        users = np.where(log.user_ids < len(log.user_vocabulary), log.user_ids, UNKNOWN_USER)  # those without raw id
        times = np.asarray(log.timestamps)
        return Events(users, log.item_ids, times, dwell, sessions, log.kinds, log.context)
    require(log.timestamps is not None, "log must have timestamps", log.timestamps)
    timestamps = moments(np.asarray(log.timestamps), "timestamps")
    users, items = integers(log.user_ids, "user_ids"), integers(log.item_ids, "item_ids")
    reject(users < 0, users, "user_ids must not be negative")
    reject(items < 1, items, "item_ids must be 1 or more, for 0 is padding")
    order = timeline.order_events(users, timestamps)
    users, items, timestamps = users[order], items[order], timestamps[order]
    gaps = timeline.gaps_to_next(users, timestamps)
    dwell, sessions = timeline.dwell_from_gaps(gaps, inactivity), timeline.session_ids(gaps, inactivity)
    return Events(users, items, timestamps, dwell, sessions)
