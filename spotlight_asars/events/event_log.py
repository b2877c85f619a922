"""``EventLog``: Spotlight's ``Interactions`` with raw ids and dwell times.

- Dwell and session ends are those of the log as it was recorded: filters never change them.
- Every step returns a new log, with ids without gaps, and leaves the old one as it was.
- A test log has the vocabulary of its training log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spotlight_asars._checks import number, one_of, positive, require, switch, warn_renamed, whole
from spotlight_asars._spotlight import Interactions
from spotlight_asars.events import frames, splitting, timeline
from spotlight_asars.events.columns import Columns
from spotlight_asars.events.labels import grown_context, grown_names, known_names, own_names, recoded, recoded_context
from spotlight_asars.events.reading import read_frame
from spotlight_asars.events.splitting import Dropped, Part
from spotlight_asars.events.timeline import HOUR
from spotlight_asars.events.vocabulary import Vocabulary


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
        Category of each event's item; None where it is unknown.
    sessions : int (events,), optional
        The session of each event, where that is known: sessions then end where this changes, whatever the inactivity,
        in the order of their first events, even where they overlap. Without it they end where a user is idle.
    kinds : int (events,), optional
        Kind of each event, such as a view or a purchase; 0 where it is unknown.
    context : int (events, columns), optional
        Labels of each event's session, such as its device, one column for each; 0 where one is unknown. A session has
        those of its first event.
    user_vocabulary, item_vocabulary : Vocabulary, optional
        Raw ids; without them an id is its own raw id.
    kind_vocabulary : Vocabulary, optional
        What the kinds are called, from 1.
    context_vocabularies : dict of Vocabulary, optional
        What the labels in each column of the context are called, by the name of the column.
    num_users, num_items : int, optional
        Sizes, padding included; by default the largest id + 1.

    Attributes
    ----------
    user_vocabulary, item_vocabulary : Vocabulary
        Raw ids of users and items.
    categories : array (events,) or None
    kinds : int64 (events,) or None
    context : int64 (events, columns) or None
    kind_vocabulary : Vocabulary or None
    context_vocabularies : dict of Vocabulary
    dropped : Dropped
        What ``split_by_time`` took out of a test log, ``encode_like`` or ``filter_support`` out of any; zeros
        elsewhere.

    Raises
    ------
    ValueError
        For an empty log, ids out of range, item id 0, lengths that differ, timestamps that are NaN or infinite,
        negative dwell times, and kinds or a context that their vocabularies do not have.

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
        kinds: ArrayLike | None = None,
        context: ArrayLike | None = None,
        user_vocabulary: Vocabulary | None = None,
        item_vocabulary: Vocabulary | None = None,
        kind_vocabulary: Vocabulary | None = None,
        context_vocabularies: Mapping[str, Vocabulary] | None = None,
        num_users: int | None = None,
        num_items: int | None = None,
        users: Vocabulary | None = None,
        items: Vocabulary | None = None,
    ) -> None:
        if users is not None:
            warn_renamed("EventLog(users=...)", "user_vocabulary")
        if items is not None:
            warn_renamed("EventLog(items=...)", "item_vocabulary")
        columns = Columns.recorded(user_ids, item_ids, timestamps, dwell_times, categories, sessions, kinds, context)
        user_vocabulary = users if user_vocabulary is None else user_vocabulary
        item_vocabulary = items if item_vocabulary is None else item_vocabulary
        self._fill(columns, user_vocabulary, item_vocabulary, num_users, num_items)
        self._name_labels(kind_vocabulary, context_vocabularies)

    def _fill(
        self,
        columns: Columns,
        users: Vocabulary | None,
        items: Vocabulary | None,
        num_users: int | None = None,
        num_items: int | None = None,
    ) -> None:
        super().__init__(
            columns.user_ids,
            columns.item_ids,
            timestamps=columns.timestamps,
            num_users=num_users if users is None else max(num_users or 0, len(users)),
            num_items=num_items if items is None else len(items) + 1,
        )
        self._columns = columns
        self.categories, self.kinds, self.context = columns.categories, columns.kinds, columns.context
        self.kind_vocabulary: Vocabulary | None = None
        self.context_vocabularies: Mapping[str, Vocabulary] = {}
        self.user_vocabulary = Vocabulary(np.arange(self.num_users), first=0) if users is None else users
        self.item_vocabulary = Vocabulary(np.arange(1, self.num_items), first=1) if items is None else items
        self.dropped = Dropped(0, 0, 0)

    def _name_labels(self, kinds: Vocabulary | None, context: Mapping[str, Vocabulary] | None) -> None:
        """Take the vocabularies of kinds and context; without one a code is its own name."""
        if self.kinds is not None:
            self.kind_vocabulary = own_names(self.kinds) if kinds is None else known_names(kinds, self.kinds, "kinds")
        if self.context is not None:
            columns = self.context.T
            named = context or {str(place): own_names(column) for place, column in enumerate(columns)}
            rule = f"context_vocabularies must be those of {len(columns)} columns"
            require(len(named) == len(columns), rule, list(named))
            for (name, vocabulary), column in zip(named.items(), columns, strict=True):
                known_names(vocabulary, column, f"context {name!r}")
            self.context_vocabularies = dict(named)

    @property
    def users(self) -> Vocabulary:
        """Deprecated name of ``user_vocabulary``."""
        warn_renamed("EventLog.users", "user_vocabulary")
        return self.user_vocabulary

    @property
    def items(self) -> Vocabulary:
        """Deprecated name of ``item_vocabulary``."""
        warn_renamed("EventLog.items", "item_vocabulary")
        return self.item_vocabulary

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
        unit: str = "s",
        *,
        missing_users: bool = False,
        kind: str | None = None,
        context: Sequence[str] = (),
    ) -> EventLog:
        """The log of a pandas, polars or pyarrow table.

        Parameters
        ----------
        frame : table
            One event a row, in any order; equal timestamps keep the order given.
        user, item : str
            Columns of raw ids: integers of 64 bits, strings, or UUIDs, which become strings. A log without users has
            its session id here.
        timestamp : str
            Column of numbers, or of dates and times, which count as UTC where they have no zone.
        dwell : str, optional
            Column of measured dwell [s], which replaces the gaps between events; a missing value is unknown.
        category : str, optional
            Column of item categories; a missing one is unknown.
        session : str, optional
            Column that says which of its user's sessions an event belongs to; without it sessions end where a user is
            idle. Sessions of one user may overlap: they stand in the order of their first events.
        unit : {"s", "ms", "us", "ns", "auto"}
            Unit of timestamps that are numbers. "auto" takes the one in which their median lies between 1990 and 2100,
            and logs which.
        missing_users : bool
            Whether users may be missing, as in a log to recommend for: they count as one user without a raw id.
        kind : str, optional
            Column of the kinds of events, such as view, cart and buy; a missing one is unknown.
        context : names, optional
            Columns of what is known of a session, such as its device and country, at its first event; a missing value
            is unknown.

        Raises
        ------
        ValueError
            For a missing column, an empty table, missing ids, timestamps that are not numbers, or that are likely of
            another unit than seconds where none is given, and negative dwell.
        TypeError
            For an object that is no such table.
        """
        context = (context,) if isinstance(context, str) else tuple(context)
        return cls(
            **frames.log_columns(
                frame, user, item, timestamp, dwell, category, session, unit, missing_users, kind, context
            )
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
        unit: str = "s",
        *,
        kind: str | None = None,
        context: Sequence[str] = (),
    ) -> EventLog:
        """The log in a file, in a folder of files, or in all files that a pattern fits.

        Parameters
        ----------
        path : str or Path
            Of parquet or csv, with commas, tabs or semicolons, also packed by gz, bz2, zst or zip. Ids in csv are
            integers where the whole column is written as integers are, else text: 007 is not 7, and NA is an id. Times
            are numbers or ISO dates.
        user, item, timestamp, dwell, category, session, unit, kind, context : str
            As in ``from_frame``.

        Raises
        ------
        FileNotFoundError
            Where there is no such file.
        ImportError
            Where no library is installed that reads it.
        ValueError
            For a file of another kind, and as in ``from_frame``.
        """
        context = (context,) if isinstance(context, str) else tuple(context)
        columns = {"dwell": dwell, "category": category, "session": session, "kind": kind}
        columns |= {f"context {place}": name for place, name in enumerate(context)}
        frame = read_frame(path, {"user": user, "item": item, "timestamp": timestamp, **columns})
        return cls.from_frame(frame, user, item, timestamp, dwell, category, session, unit, kind=kind, context=context)

    def dwell_times(self, inactivity: float = HOUR) -> NDArray[np.float64]:
        """Time spent on each event [s], float64 (events,); NaN where unknown, as at a session's last event.

        The measured dwell where the log has it; else the gap to the user's next event, if shorter than `inactivity`.
        """
        positive(inactivity, "inactivity")
        columns = self._columns
        if columns.dwell_times is not None:
            return columns.dwell_times.copy()
        assert columns.gaps is not None
        return timeline.dwell_from_gaps(columns.gaps, inactivity)

    def session_ids(self, inactivity: float = HOUR) -> NDArray[np.int64]:
        """Number of each event's session, int64 (events,), from 0; sessions are cut as the log was recorded."""
        positive(inactivity, "inactivity")
        return timeline.session_ids(self._columns.pauses, inactivity)

    def collapse_repeats(self, inactivity: float = HOUR) -> EventLog:
        """Each run of one item inside a session becomes one event: the first, with the dwell of all.

        The dwell of a run is the sum of the known dwell of its events, and from then on no longer depends on the
        `inactivity` of later steps. Its kind says what became of it: the last one that differs from that of its first
        event, so that of a view, a purchase and another view the purchase stays.
        """
        positive(inactivity, "inactivity")
        starts = timeline.session_starts(self._columns.pauses, inactivity)
        first = np.flatnonzero(timeline.run_starts(self.item_ids, starts))
        columns = self._columns.take(first)
        columns.dwell_times, columns.gaps = timeline.sum_runs(self.dwell_times(inactivity), first), None
        if self.kinds is not None:
            columns.kinds = timeline.last_changes(self.kinds, first)
        log = EventLog.__new__(EventLog)
        log._fill(columns, self.user_vocabulary, self.item_vocabulary)
        log._name_labels(self.kind_vocabulary, self.context_vocabularies)
        return log

    def filter_support(self, item: int = 5, session: int = 2, user: int = 1, inactivity: float = HOUR) -> EventLog:
        """The largest part of the log where every item, session and user has its support.

        Users and items get new ids, without gaps. After a split, ``encode_like`` gives the test log the ids of its
        training log again.

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
        return self._part(splitting.supported_part(self, inactivity, item=item, session=session, user=user))

    def encode_like(self, other: Any, unknown_users: str = "keep", grow: bool = False) -> EventLog:
        """The log with the ids that its raw ids have in another log, in sessions or in a model.

        Parameters
        ----------
        other : EventLog, SessionInteractions or fitted model
            The source of the ids.
        unknown_users : {"keep", "drop"}
            Users that `other` does not know: keep them with ids beyond its users, which a model treats as unknown, or
            drop them.
        grow : bool
            Keep the items, kinds and labels of the context that `other` does not know, with ids after its last one: a
            model takes them in by ``update`` and ``fit``.

        Returns
        -------
        EventLog
            Without the events of items that `other` does not know, unless it is to `grow`; ``dropped`` says how many
            these were. Kinds and labels of the context that `other` does not know are then unknown here, too, and so
            are columns of the context that it does not have in any case.

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
        >>> same.item_vocabulary.decode(same.item_ids), same.dropped
        (array([9, 3]), Dropped(events=1, items=1, users=0))
        >>> grown = test.encode_like(train.filter_support(item=1), grow=True)
        >>> grown.item_ids.tolist(), grown.item_vocabulary.raw.tolist()
        ([2, 1, 3], [3, 9, 4])
        """
        one_of(unknown_users, ("keep", "drop"), "unknown_users")
        keep_users, grow = unknown_users == "keep", switch(grow, "grow")
        log = self._part(splitting.encoded_part(self, other, keep_users, grow))
        kinds, context = getattr(other, "kind_vocabulary", None), getattr(other, "context_vocabularies", None)
        if grow and kinds is not None:
            kinds = grown_names(kinds, log.kind_vocabulary, log.kinds, "kinds of the log")
        if grow and context:
            context = grown_context(context, log.context_vocabularies, log.context)
        if kinds is not None and log.kind_vocabulary is not None:
            log.kinds = log._columns.kinds = recoded(log.kinds, log.kind_vocabulary, kinds, "kinds of the log")
            log.kind_vocabulary = kinds
        if context and log.context_vocabularies:
            log.context = log._columns.context = recoded_context(log.context, log.context_vocabularies, context)
            log.context_vocabularies = context
        return log

    def split_by_time(
        self,
        test_fraction: float = 0.15,
        inactivity: float = HOUR,
        unknown_users: str = "auto",
        new_items: str = "drop",
    ) -> tuple[EventLog, EventLog]:
        """The earlier sessions to train on and the latest to test on.

        Sessions are whole and stand in the order of their last events; those that end after the
        (1 - `test_fraction`) quantile are the test. Both logs have the items of the training log and, unless new ones
        are kept, no other; test events of other items are dropped, and ``test.dropped`` says how many.

        Parameters
        ----------
        test_fraction : float
            Share of the sessions that go to the test, between 0 and 1.
        inactivity : float
            A session ends where its user is idle this long [s].
        unknown_users : {"auto", "drop", "keep"}
            Test users without a training session: drop them, or keep them with ids beyond the training log's
            ``num_users``, which a model treats as unknown. "auto" drops them, except where fewer than 1 % of the
            users ever return: there a "user" is only a session.
        new_items : {"drop", "keep"}
            Items that are only in the test: drop their events, or keep them with ids beyond the training log's
            ``num_items``. ``test.encode_like(model)`` has the ids of a model that knows them by their features.

        Raises
        ------
        ValueError
            If either side is left without events.
        """
        require(0 < number(test_fraction, "test_fraction") < 1, "test_fraction must lie between 0 and 1", test_fraction)
        one_of(unknown_users, ("auto", "drop", "keep"), "unknown_users")
        one_of(new_items, ("drop", "keep"), "new_items")
        train, test = splitting.parts_by_time(self, test_fraction, inactivity, unknown_users, new_items)
        return self._part(train), self._part(test)

    def _part(self, part: Part) -> EventLog:
        """The log of the events that `part` keeps, with its ids."""
        columns = self._columns.take(part.kept)
        columns.user_ids = part.users.of_old.astype(np.int32)[columns.user_ids]
        columns.item_ids = part.items.of_old.astype(np.int32)[columns.item_ids]
        log = EventLog.__new__(EventLog)
        log._fill(columns, part.users.vocabulary, part.items.vocabulary)
        log._name_labels(self.kind_vocabulary, self.context_vocabularies)
        log.dropped = part.dropped
        return log
