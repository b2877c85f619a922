"""``SessionInteractions``: sessions with their channels: users, dwell times, starts, kinds of events, and context.

Sessions are stored flat, so that they take the memory of their events and not of the padding. The padded matrix
``sequences`` is made at first use, and carries the channels along.
"""

from __future__ import annotations

import copy
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spotlight_asars._checks import integers, moments, number, reject, require, warn_renamed, whole
from spotlight_asars._spotlight import PADDING_IDX, SequenceInteractions
from spotlight_asars.events.labels import UNKNOWN, Vocabularies, label_codes, number_of
from spotlight_asars.events.vocabulary import Vocabulary
from spotlight_asars.sessions import ragged
from spotlight_asars.sessions.ragged import Ragged, flat_ranges
from spotlight_asars.sessions.session_array import SessionArray, carried, pick

UNKNOWN_USER = -1


class SessionInteractions(SequenceInteractions):
    """Spotlight's sequences, one session a row, with users and dwell times.

    Parameters
    ----------
    sequences : int (session, time), or (time,) for one
        Item ids, padded with 0 from the left. A ``SessionArray`` brings its channels along.
    user_ids : int (session,), optional
        User of each session; -1 where unknown.
    num_items : int, optional
        Number of items, padding included; by default the largest id + 1.
    dwell_times : float (session, time), optional
        Time spent on each event [s]; NaN where unknown. Values at padding are ignored.
    num_users : int, optional
        Number of users; by default the largest id + 1.
    started : float (session,), optional
        When each session starts [s]; NaN where unknown.
    kinds : int (session, time), optional
        Kind of each event, such as a view or a purchase; 0 where unknown. Values at padding are ignored.
    context : int (session, columns), optional
        Labels of each session, such as its device, one column for each; 0 where one is unknown.

    Attributes
    ----------
    items : int32 (events,)
        The sessions one after the other.
    flat_dwell_times : float32 (events,) or None
        Time spent on each of the `items` [s].
    flat_kinds : int64 (events,) or None
        Kind of each of the `items`.
    offsets : int64 (session + 1,)
        Session s is ``items[offsets[s]:offsets[s + 1]]``.
    sequences, dwell_times, kinds
        The padded matrices, read-only.
    num_kinds : int
        Number of kinds, the unknown one included.
    context_sizes : tuple of int
        Number of labels in each column of the context, the unknown one included.
    user_vocabulary, item_vocabulary : Vocabulary or None
        Raw ids, where the sessions come from an ``EventLog``.
    kind_vocabulary : Vocabulary or None
    context_vocabularies : dict of Vocabulary
        What kinds and labels of the context are called, likewise.

    Raises
    ------
    ValueError
        For padding inside a session, ids out of range, channels of another shape, negative dwell.

    Examples
    --------
    >>> sessions = SessionInteractions(np.array([[0, 3, 1], [2, 3, 3]]), user_ids=[7, 4])
    >>> sessions
    <SessionInteractions (2 sessions x 3 events at most, 3 items)>
    >>> sessions.sequences[:, :-1][1], int(sessions.sequences[:, :-1][1].user_ids)
    (SessionArray([2, 3], dtype=int32), 4)
    """

    user_vocabulary: Vocabulary | None = None
    item_vocabulary: Vocabulary | None = None
    kind_vocabulary: Vocabulary | None = None
    context_vocabularies: Vocabularies = {}  # noqa: RUF012  # replaced, never written to

    def __init__(
        self,
        sequences: ArrayLike,
        user_ids: ArrayLike | None = None,
        num_items: int | None = None,
        *,
        dwell_times: ArrayLike | None = None,
        num_users: int | None = None,
        started: ArrayLike | None = None,
        kinds: ArrayLike | None = None,
        context: ArrayLike | None = None,
    ) -> None:
        matrix = np.atleast_2d(integers(sequences, "sequences"))
        real = matrix != PADDING_IDX
        inside = ~real & np.logical_or.accumulate(real, axis=-1)
        reject(inside, matrix, "sequences must be padded with 0 from the left only, for item id 0 is padding")
        channels = {"user_ids": user_ids, "dwell_times": dwell_times, "started": started}
        user_ids, dwell_times, started, kinds, context = carried(sequences, **channels, kinds=kinds, context=context)
        flat = ragged.from_rows(sequences, dwell_times, num_items, "sequences", kinds)
        self._fill(flat, user_ids, num_users, started, context)

    def _fill(
        self,
        flat: Ragged,
        user_ids: ArrayLike | None,
        num_users: int | None,
        started: ArrayLike | None,
        context: ArrayLike | None = None,
    ) -> SessionInteractions:
        self.items, self.offsets, self.flat_dwell_times, self.num_items, self.max_sequence_length, kinds = flat
        self.flat_kinds: NDArray[np.int64] | None = kinds
        self.num_kinds = 0 if kinds is None else number_of(None, kinds)
        self.user_ids: NDArray[np.int64] | None = None
        self.num_users = 0 if num_users is None else whole(num_users, "num_users", least=0, most=2**63)
        if user_ids is not None:
            users = np.atleast_1d(integers(user_ids, "user_ids"))
            require(users.shape == (len(self),), f"user_ids must have shape ({len(self)},)", users.shape)
            reject(users < UNKNOWN_USER, users, "user_ids must be 0 or more, or -1 where unknown")
            if num_users is None:
                self.num_users = int(users.max()) + 1
            reject(users >= self.num_users, users, f"user_ids must be below num_users, {self.num_users}")
            self.user_ids = users
        self.started: NDArray[np.float64] | None = None
        if started is not None:
            starts = np.atleast_1d(moments(started, "started", unknown=True))
            require(starts.shape == (len(self),), f"started must have shape ({len(self)},)", starts.shape)
            self.started = starts.astype(np.float64)
        self.context: NDArray[np.int64] | None = None
        self.context_sizes: tuple[int, ...] = ()
        if context is not None:
            labels = label_codes(context, "context")
            assert labels is not None
            labels = np.atleast_2d(labels)
            fits = labels.ndim == 2 and len(labels) == len(self)
            require(fits, f"context must have shape ({len(self)}, columns)", labels.shape)
            self.context, self.context_sizes = labels, tuple(number_of(None, column) for column in labels.T)
        return self

    @classmethod
    def from_rows(
        cls,
        rows: ArrayLike,
        user_ids: ArrayLike | None = None,
        num_items: int | None = None,
        *,
        dwell_times: ArrayLike | None = None,
        num_users: int | None = None,
        started: ArrayLike | None = None,
        kinds: ArrayLike | None = None,
        context: ArrayLike | None = None,
        argument: str = "rows",
    ) -> SessionInteractions:
        """Sessions from a matrix that may be padded anywhere.

        Parameters
        ----------
        rows : int (session, time), or (time,) for one
            Item ids, padded with 0.
        user_ids, num_items, dwell_times, num_users, started, kinds, context
            As in the constructor.
        argument : str
            What errors call `rows`.

        Raises
        ------
        ValueError
            For ids out of range, channels of another shape, negative dwell.
        """
        channels = {"user_ids": user_ids, "dwell_times": dwell_times, "started": started}
        user_ids, dwell_times, started, kinds, context = carried(rows, **channels, kinds=kinds, context=context)
        flat = ragged.from_rows(rows, dwell_times, num_items, argument, kinds)
        return cls.__new__(cls)._fill(flat, user_ids, num_users, started, context)

    @classmethod
    def from_ragged(
        cls,
        items: ArrayLike,
        offsets: ArrayLike,
        user_ids: ArrayLike | None = None,
        num_items: int | None = None,
        *,
        dwell_times: ArrayLike | None = None,
        num_users: int | None = None,
        started: ArrayLike | None = None,
        kinds: ArrayLike | None = None,
        context: ArrayLike | None = None,
        max_sequence_length: int | None = None,
        dwell: ArrayLike | None = None,
    ) -> SessionInteractions:
        """Sessions from flat arrays.

        Parameters
        ----------
        items : int (events,)
            The sessions one after the other.
        offsets : int (session + 1,)
            Where each session starts, and the last one ends.
        user_ids, num_items, num_users, started, context
            As in the constructor.
        dwell_times : float (events,), optional
            Time spent on each event [s]; NaN where unknown.
        kinds : int (events,), optional
            Kind of each event; 0 where unknown.
        max_sequence_length : int, optional
            Width of ``sequences``; by default that of the longest session.

        Raises
        ------
        ValueError
            For offsets that do not rise from 0 to the number of items, ids out of range, channels of another shape,
            negative dwell.
        """
        if dwell is not None:
            warn_renamed("from_ragged(dwell=...)", "dwell_times")
            dwell_times = dwell
        flat = ragged.from_flat(items, offsets, dwell_times, num_items, max_sequence_length, kinds)
        return cls.__new__(cls)._fill(flat, user_ids, num_users, started, context)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getstate__(self) -> dict[str, Any]:
        """The attributes without the padded matrices: a copied ``SessionArray`` would lose its channels."""
        return {name: value for name, value in vars(self).items() if name not in ("sequences", "dwell_times", "kinds")}

    def __repr__(self) -> str:
        longest, items = self.max_sequence_length, self.num_items - 1
        return f"<SessionInteractions ({len(self)} sessions x {longest} events at most, {items} items)>"

    @property
    def dwell(self) -> NDArray[np.float32] | None:
        """Deprecated name of ``flat_dwell_times``."""
        warn_renamed("SessionInteractions.dwell", "flat_dwell_times")
        return self.flat_dwell_times

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Events of each session, int64 (session,)."""
        return np.diff(self.offsets)

    def take(self, rows: ArrayLike) -> SessionInteractions:
        """The sessions `rows`, int or a mask bool (session,), in their order; ``ValueError`` for rows that are not."""
        rows = _row_numbers(rows, len(self))
        places, offsets = self.places(rows), np.r_[0, np.cumsum(self.lengths[rows])]
        taken = SessionInteractions.from_ragged(
            self.items[places],
            offsets,
            pick(self.user_ids, rows),
            self.num_items,
            dwell_times=pick(self.flat_dwell_times, places),
            num_users=self.num_users,
            started=pick(self.started, rows),
            kinds=pick(self.flat_kinds, places),
            context=pick(self.context, rows),
            max_sequence_length=self.max_sequence_length,
        ).named(self.user_vocabulary, self.item_vocabulary)
        taken = taken.with_labels(self.kind_vocabulary, self.context_vocabularies)
        taken.num_kinds, taken.context_sizes = self.num_kinds, self.context_sizes
        return taken

    def named(self, users: Vocabulary | None, items: Vocabulary | None) -> SessionInteractions:
        """Set the vocabularies of users and items, and return the sessions themselves."""
        self.user_vocabulary, self.item_vocabulary = users, items
        return self

    def with_labels(self, kinds: Vocabulary | None, context: Vocabularies) -> SessionInteractions:
        """Set the vocabularies of kinds and of the context, where there are some; return the sessions themselves."""
        if self.flat_kinds is not None and kinds is not None:
            self.kind_vocabulary, self.num_kinds = kinds, number_of(kinds, self.flat_kinds)
        if self.context is not None and context:
            self.context_vocabularies = context
            columns = zip(context.values(), self.context.T, strict=True)
            self.context_sizes = tuple(number_of(*column) for column in columns)
        return self

    def within(self, num_items: int, num_users: int) -> SessionInteractions:
        """The same sessions as part of a catalogue, and of users, of these sizes or smaller ones."""
        if (num_items, num_users) == (self.num_items, self.num_users):
            return self
        wider = copy.copy(self)
        wider.num_items, wider.num_users = num_items, num_users
        return wider

    def places(self, rows: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """Where the events of the sessions `rows` stand in the flat arrays, int64 (events,)."""
        return flat_ranges(self.offsets[rows], self.offsets[rows + 1])

    def in_order_of_time(self) -> NDArray[np.int64]:
        """Rows from the earliest to the latest; those of unknown start first, as they stand."""
        times = np.zeros(len(self)) if self.started is None else np.nan_to_num(self.started, nan=-np.inf)
        return np.argsort(times, kind="stable")

    def in_order_of_users(self) -> NDArray[np.int64]:
        """Rows in the order of their ``owners``, and of time within: of their starts, or as they stand without."""
        times = np.arange(len(self)) if self.started is None else self.started
        return np.lexsort((times, self.owners()))  # NaN sorts last

    def rounds(self) -> list[NDArray[np.int64]]:
        """Rows of the first session of every user, then of the second of those who have one, and so on."""
        rows = self.in_order_of_users()
        first = np.diff(self.owners()[rows], prepend=-1) != 0
        nth = np.arange(len(rows)) - np.flatnonzero(first)[np.cumsum(first) - 1]
        order = np.argsort(nth, kind="stable")
        return np.split(rows[order], np.cumsum(np.bincount(nth))[:-1])

    def split_latest(self, share: float) -> tuple[SessionInteractions, SessionInteractions]:
        """The earlier sessions, and the `share` of them, between 0 and 1, that started latest."""
        require(0 < number(share, "validation") < 1, "validation must be a share between 0 and 1, or sessions", share)
        if self.started is None:
            raise ValueError(f"validation must be sessions where their starts are unknown; got {share!r}")
        late = round(len(self) * share)
        require(0 < late < len(self), f"validation must be a share that splits {len(self)} sessions in two", share)
        order = self.in_order_of_time()
        return self.take(np.sort(order[:-late])), self.take(np.sort(order[-late:]))

    def owners(self) -> NDArray[np.int64]:
        """User of each session, int64 (session,); each session of an unknown user has a number of its own."""
        alone = self.num_users + np.arange(len(self))
        return alone if self.user_ids is None else np.where(self.user_ids >= 0, self.user_ids, alone)

    @cached_property
    def sequences(self) -> SessionArray:  # type: ignore[override]
        """Item ids, int32 (session, time), padded with 0 from the left, with the channels attached."""
        matrix = self._padded(self.items, PADDING_IDX).view(SessionArray)
        matrix.attach(self.user_ids, self.dwell_times, self.started, self.kinds, self.context)
        return matrix

    @cached_property
    def dwell_times(self) -> NDArray[np.float32] | None:
        """Dwell [s], float32 (session, time), NaN at padding and where unknown; None where none is known."""
        return None if self.flat_dwell_times is None else self._padded(self.flat_dwell_times, np.nan)

    @cached_property
    def kinds(self) -> NDArray[np.int64] | None:
        """Kinds, int64 (session, time), 0 at padding and where unknown; None where none is known."""
        return None if self.flat_kinds is None else self._padded(self.flat_kinds, UNKNOWN)

    def _padded(self, flat: NDArray[Any], filler: float) -> NDArray[Any]:
        """Values of the events at their places, (session, time), read-only."""
        matrix = ragged.padded(flat, ragged.real_steps(self.lengths, self.max_sequence_length), filler)
        matrix.flags.writeable = False
        return matrix


def _row_numbers(rows: ArrayLike, number: int) -> NDArray[np.int64]:
    chosen = np.asarray(rows)
    if chosen.dtype == bool:
        require(chosen.shape == (number,), f"rows must have shape ({number},) as a mask", chosen.shape)
        chosen = np.flatnonzero(chosen)
    require(chosen.ndim == 1 and len(chosen) > 0, "rows must be a list of one session or more", rows)
    chosen = integers(chosen, "rows")
    reject((chosen < 0) | (chosen >= number), chosen, f"rows must lie in 0..{number - 1}")
    return chosen


def as_sessions(interactions: SequenceInteractions, argument: str = "sessions") -> SessionInteractions:
    """`interactions` unchanged, or Spotlight's plain sequences as sessions of unknown dwell; errors name `argument`."""
    if isinstance(interactions, SessionInteractions):
        return interactions
    if not isinstance(interactions, SequenceInteractions):
        raise TypeError(
            f"{argument} must be SessionInteractions or Spotlight's SequenceInteractions; got "
            f"{type(interactions).__name__}. to_sessions(interactions) makes them of a log"
        )
    return SessionInteractions(interactions.sequences, interactions.user_ids, interactions.num_items)
