"""The log: who did what when.

An ``EventLog`` is Spotlight's ``Interactions`` that also knows the raw ids behind its contiguous ones, and how long
each event lasted. It must satisfy:

- dwell and session ends are those of the log as it was recorded: filters never change them;
- every step returns a new log with compact ids, and the one it came from stays as it was;
- what a test log knows (vocabulary, items) comes from its training log.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spotlight_asars._checks import (
    array,
    integers,
    moments,
    number,
    one_of,
    positive,
    require,
    seconds,
    whole,
)
from spotlight_asars._spotlight import Interactions
from spotlight_asars.events import frames, timeline
from spotlight_asars.events.columns import Columns, pauses_between
from spotlight_asars.events.raw_ids import encode_raw, vocabularies
from spotlight_asars.events.timeline import HOUR
from spotlight_asars.events.vocabulary import Vocabulary

RETURNING_SHARE = 0.01  # below this share of users with a second session, a "user" is taken to be a session


@dataclass(frozen=True)
class Dropped:
    """What a log lost in the step that made it."""

    events: int
    items: int
    users: int


class EventLog(Interactions):
    """A click log: one event a row, sorted by user, time and the order given.

    Parameters
    ----------
    user_ids : int (events,)
        Contiguous ids from 0.
    item_ids : int (events,)
        Contiguous ids from 1; 0 is padding.
    timestamps : int64 or float64 (events,)
        Seconds.
    dwell_times : float (events,), optional
        Measured time spent on each event [s], NaN where unknown. Without it the gaps to a user's next event serve.
    categories : array (events,), optional
        Category of each event's item.
    sessions : int (events,), optional
        Which of its user's sessions each event belongs to, where that is known: sessions then end where this changes,
        whatever the inactivity, and a user's do not overlap. Without it they end where a user is idle.
    users, items : Vocabulary, optional
        Raw ids; without them an id is its own raw id.
    num_users, num_items : int, optional
        Sizes, padding included; by default the largest id + 1.

    Attributes
    ----------
    dropped : Dropped
        What ``split_by_time`` took out of a test log, ``encode_like`` or ``filter_support`` out of any; zeros
        elsewhere.

    Raises
    ------
    ValueError
        For an empty log, ids out of range, item id 0, lengths that differ, timestamps that are NaN or infinite, and
        negative dwell times.

    Examples
    --------
    >>> log = EventLog([0, 0, 1], [2, 1, 2], [0, 30, 7])
    >>> log
    <EventLog (2 users x 2 items x 3 events)>
    >>> log.dwell_times()
    array([30., nan, nan])
    """

    def __init__(
        self,
        user_ids: ArrayLike,
        item_ids: ArrayLike,
        timestamps: ArrayLike,
        *,
        dwell_times: ArrayLike | None = None,
        categories: ArrayLike | None = None,
        sessions: ArrayLike | None = None,
        users: Vocabulary | None = None,
        items: Vocabulary | None = None,
        num_users: int | None = None,
        num_items: int | None = None,
    ) -> None:
        columns = Columns(
            user_ids=integers(user_ids, "user_ids"),
            item_ids=integers(item_ids, "item_ids"),
            timestamps=moments(timestamps, "timestamps"),
            dwell_times=None if dwell_times is None else seconds(dwell_times, "dwell_times"),
            categories=None if categories is None else array(categories, "categories"),
        )
        columns.check()
        columns.user_ids = columns.user_ids.astype(np.int32)  # Spotlight hashes int32 ids where it splits by user
        columns.item_ids = columns.item_ids.astype(np.int32)
        order = timeline.order_events(columns.user_ids, columns.timestamps)
        ordered = columns.take(order)
        gaps = pauses = timeline.gaps_to_next(ordered.user_ids, ordered.timestamps)
        if sessions is not None:
            pauses = pauses_between(integers(sessions, "sessions"), order, ordered.user_ids)
            gaps = np.maximum(gaps, pauses)
        self._fill(ordered, gaps, pauses, users, items, num_users, num_items)

    def _fill(
        self,
        columns: Columns,
        gaps: NDArray[np.float64] | None,
        pauses: NDArray[np.float64],
        users: Vocabulary | None,
        items: Vocabulary | None,
        num_users: int | None = None,
        num_items: int | None = None,
    ) -> None:
        super().__init__(
            columns.user_ids,
            columns.item_ids,
            timestamps=columns.timestamps,
            num_users=len(users) if users else num_users,
            num_items=len(items) + 1 if items else num_items,
        )
        self._columns, self._pauses = columns, pauses
        self._gaps = gaps if columns.dwell_times is None else None  # a measured dwell takes their place
        self.categories = columns.categories
        self.users = users or Vocabulary(np.arange(self.num_users), first=0)
        self.items = items or Vocabulary(np.arange(1, self.num_items), first=1)
        self.dropped = Dropped(0, 0, 0)

    def __repr__(self) -> str:
        return f"<EventLog ({self.num_users} users x {self.num_items - 1} items x {len(self)} events)>"

    @classmethod
    def from_frame(
        cls,
        frame: Any,
        user: str = "user_id",
        item: str = "item_id",
        timestamp: str = "timestamp",
        dwell: str | None = None,
        category: str | None = None,
        session: str | None = None,
    ) -> EventLog:
        """A log from a pandas, polars or pyarrow table.

        Parameters
        ----------
        frame : table
            One event a row, in any order; equal timestamps keep the order given.
        user, item : str
            Columns of raw ids: integers of any sign, or strings. A log without users has its session id here.
        timestamp : str
            Column of seconds, or of dates and times.
        dwell : str, optional
            Column of measured dwell [s], which replaces the gaps between events; a missing value is unknown.
        category : str, optional
            Column of item categories.
        session : str, optional
            Column that says which of its user's sessions an event belongs to; without it sessions end where a user is
            idle.

        Raises
        ------
        ValueError
            For a missing column, an empty table, missing ids, timestamps that are not numbers, and negative dwell.
        TypeError
            For a frame of another kind.
        """
        table = frames.to_frame(frame)
        users, user_ids = frames.encoded(table, user, "user", first=0)
        items, item_ids = frames.encoded(table, item, "item", first=1)
        return cls(
            user_ids,
            item_ids,
            frames.timestamps(table, timestamp),
            dwell_times=None if dwell is None else frames.numbers(table, dwell, "dwell"),
            categories=None if category is None else frames.ids(table, category, "category"),
            sessions=None if session is None else frames.encoded(table, session, "session", first=0)[1],
            users=users,
            items=items,
        )

    @classmethod
    def read(
        cls,
        path: str | Path,
        user: str = "user_id",
        item: str = "item_id",
        timestamp: str = "timestamp",
        dwell: str | None = None,
        category: str | None = None,
        session: str | None = None,
    ) -> EventLog:
        """A log from a file.

        Parameters
        ----------
        path : str or Path
            Of a csv, csv.gz or parquet file.
        user, item, timestamp, dwell, category, session : str
            Columns, as in ``from_frame``.

        Raises
        ------
        FileNotFoundError
            Where there is no such file.
        ImportError
            Where no library is installed that reads it.
        ValueError
            For a file of another kind, and as in ``from_frame``.
        """
        return cls.from_frame(frames.read_frame(path), user, item, timestamp, dwell, category, session)

    def dwell_times(self, inactivity: float = HOUR) -> NDArray[np.float64]:
        """Time spent on each event [s], float64 (events,); NaN where unknown, as at a session's last event.

        The measured dwell where the log has it; else the gap to the user's next event, if shorter than `inactivity`.
        """
        positive(inactivity, "inactivity")
        if self._gaps is not None:
            return timeline.dwell_from_gaps(self._gaps, inactivity)
        assert self._columns.dwell_times is not None
        return self._columns.dwell_times.copy()

    def session_ids(self, inactivity: float = HOUR) -> NDArray[np.int64]:
        """Number of each event's session, int64 (events,), from 0; sessions are cut as the log was recorded."""
        positive(inactivity, "inactivity")
        return timeline.session_ids(self._pauses, inactivity)

    def collapse_repeats(self, inactivity: float = HOUR) -> EventLog:
        """Each run of one item inside a session becomes one event: the first, with the dwell of all.

        The dwell of a run is the sum of what is known of it, and known no more than `inactivity` cuts it here.
        """
        positive(inactivity, "inactivity")
        starts = timeline.session_starts(self._pauses, inactivity)
        first = np.flatnonzero(timeline.run_starts(self.item_ids, starts))
        columns = self._columns.take(first)
        columns.dwell_times = timeline.sum_runs(self.dwell_times(inactivity), first)
        log = EventLog.__new__(EventLog)
        pauses = timeline.carry_pauses(self._pauses, first)
        log._fill(columns, None, pauses, self.users, self.items, self.num_users, self.num_items)
        return log

    def filter_support(self, item: int = 5, session: int = 2, user: int = 1, inactivity: float = HOUR) -> EventLog:
        """The largest part of the log where every item, session and user has its support.

        What is left gets new ids, without gaps; ``encode_like`` gives a log those of another one again, as it needs
        after a split.

        Parameters
        ----------
        item, session, user : int
            Least number of events per item, events per session and sessions per user; applied until none is broken.
        inactivity : float
            A session ends where its user is idle this long [s].

        Raises
        ------
        ValueError
            If nothing is left.
        """
        for name, value in (("item", item), ("session", session), ("user", user)):
            whole(value, name, least=0)
        cuts = self.session_ids(inactivity)
        kept = timeline.supported(self.user_ids, self.item_ids, cuts, item=item, session=session, user=user)
        support = {"item": item, "session": session, "user": user}
        require(len(kept) > 0, f"filter_support must leave events of the {len(self)} given", support)
        log = self._keep(kept, *self._compact(kept))
        lost = np.ones(len(self), dtype=bool)
        lost[kept] = False
        gone = Dropped(len(self) - len(kept), *(len(np.unique(ids[lost])) for ids in (self.item_ids, self.user_ids)))
        log.dropped = gone
        return log

    def encode_like(self, other: Any, unknown_users: str = "keep") -> EventLog:
        """The log with the ids that its raw ids have in another log, in sessions or in a model.

        Parameters
        ----------
        other : EventLog, SessionInteractions or fitted model
            Whose ids to take over.
        unknown_users : {"keep", "drop"}
            Users that `other` does not know: keep them as ids beyond its users, which a model takes for unknown, or
            drop them.

        Returns
        -------
        EventLog
            Without the events of items that `other` does not know; ``dropped`` says how many these were.

        Raises
        ------
        ValueError
            If `other` has no raw ids, or no event is left.
        TypeError
            If the raw ids are strings on one side and integers on the other.

        Examples
        --------
        >>> train, test = EventLog([7, 7], [3, 9], [0, 5]), EventLog([7, 8, 8], [9, 3, 4], [99, 99, 100])
        >>> same = test.filter_support(item=1, session=1).encode_like(train.filter_support(item=1))
        >>> same.items.decode(same.item_ids), same.dropped
        (array([9, 3]), Dropped(events=1, items=1, users=0))
        """
        one_of(unknown_users, ("keep", "drop"), "unknown_users")
        users, items = vocabularies(other)
        user_map = encode_raw(users, self.users.raw, "user ids of the log")
        item_map = np.r_[Vocabulary.ABSENT, encode_raw(items, self.items.raw, "item ids of the log")]
        known = item_map[self.item_ids] >= 0
        if unknown_users == "keep":
            newcomers = np.flatnonzero(
                (np.bincount(self.user_ids[known], minlength=self.num_users) > 0) & (user_map < 0)
            )
            user_map[newcomers] = len(users) + np.arange(len(newcomers))
            users = Vocabulary(np.concatenate([users.raw, self.users.raw[newcomers]]), first=0)
        known &= user_map[self.user_ids] >= 0
        require(known.any(), "encode_like must leave events of known items and users", f"{len(self)} of unknown ones")
        log = self._keep(np.flatnonzero(known), user_map, item_map, users, items)
        log.dropped = Dropped(
            events=int((~known).sum()),
            items=len(np.unique(self.item_ids[item_map[self.item_ids] < 0])),
            users=len(np.unique(self.user_ids[user_map[self.user_ids] < 0])) if unknown_users == "drop" else 0,
        )
        return log

    def split_by_time(
        self, test_fraction: float = 0.15, inactivity: float = HOUR, unknown_users: str = "auto"
    ) -> tuple[EventLog, EventLog]:
        """The earlier sessions to train on and the latest to test on.

        Sessions are whole and stand in the order of their last events; those that end after the
        (1 - `test_fraction`) quantile are the test. Both logs have the items of the training log and no other; test
        events of other items are dropped, and ``test.dropped`` says how many.

        Parameters
        ----------
        test_fraction : float
            Share of the sessions that go to the test, between 0 and 1.
        inactivity : float
            A session ends where its user is idle this long [s].
        unknown_users : {"auto", "drop", "keep"}
            Test users without a training session: drop them, or keep them as ids beyond the training log's
            ``num_users``, which a model takes for unknown. "auto" drops them, except where fewer than 1 % of the
            users ever return: there a "user" is but a session.

        Raises
        ------
        ValueError
            If either side is left without events.
        """
        require(0 < number(test_fraction, "test_fraction") < 1, "test_fraction must lie between 0 and 1", test_fraction)
        one_of(unknown_users, ("auto", "drop", "keep"), "unknown_users")
        cuts = self.session_ids(inactivity)
        last = np.flatnonzero(np.diff(cuts, append=cuts[-1] + 1))  # index of each session's last event
        ended = self._columns.timestamps[last]
        boundary = np.quantile(ended, 1 - test_fraction, method="inverted_cdf")
        late = (ended > boundary)[cuts]
        rule = f"test_fraction must leave sessions that end after {boundary}, as the latest does"
        require(late.any(), rule, test_fraction)
        if unknown_users == "auto":
            sessions_of = np.bincount(self.user_ids[last])
            returning = (sessions_of > 1).sum() / (sessions_of > 0).sum()
            unknown_users = "keep" if returning < RETURNING_SHARE else "drop"

        early = np.flatnonzero(~late)
        user_map, item_map = self._compact(early)
        train = self._keep(early, user_map, item_map)
        known = item_map[self.item_ids] >= 0
        if unknown_users == "keep":
            newcomers = np.flatnonzero(np.bincount(self.user_ids[late & known], minlength=self.num_users))
            newcomers = newcomers[user_map[newcomers] < 0]
            user_map[newcomers] = train.num_users + np.arange(len(newcomers))
        known &= user_map[self.user_ids] >= 0
        kept, lost = np.flatnonzero(late & known), late & ~known
        require(
            len(kept) > 0,
            "split_by_time must leave test events of known items and users",
            f"{lost.sum()} of unknown ones",
            "unknown_users='keep' keeps users without a training session",
        )
        test = self._keep(kept, user_map, item_map)
        test.dropped = Dropped(
            events=int(lost.sum()),
            items=len(np.unique(self.item_ids[lost & (item_map[self.item_ids] < 0)])),
            users=len(np.unique(self.user_ids[lost & (user_map[self.user_ids] < 0)])),
        )
        return train, test

    def _compact(self, kept: NDArray[np.intp]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Maps from user and item ids to the compact ids of those with an event in `kept`."""
        return self.users.compact(self.user_ids[kept]), self.items.compact(self.item_ids[kept])

    def _keep(
        self,
        kept: NDArray[np.intp],
        user_map: NDArray[np.int64],
        item_map: NDArray[np.int64],
        users: Vocabulary | None = None,
        items: Vocabulary | None = None,
    ) -> EventLog:
        """The log of the events `kept`, ids renamed by the maps (old id -> new id), raw ids as given or its own."""
        columns = self._columns.take(kept)
        columns.user_ids = user_map.astype(np.int32)[columns.user_ids]
        columns.item_ids = item_map.astype(np.int32)[columns.item_ids]
        log = EventLog.__new__(EventLog)
        log._fill(
            columns,
            None if self._gaps is None else self._gaps[kept],
            timeline.carry_pauses(self._pauses, kept),
            users or self.users.renamed(user_map),
            items or self.items.renamed(item_map),
        )
        return log
