"""Sessions with their channels: items, users and dwell times, side by side.

``SessionInteractions`` stores sessions ragged, so that its memory is that of the events and not of the padding.
``sequences`` is made of it when asked for, and carries the channels along.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spotlight_asars._checks import LARGEST_ID, floats, integers, moments, number, reject, require, seconds, whole
from spotlight_asars._spotlight import PADDING_IDX, SequenceInteractions
from spotlight_asars.events.vocabulary import Vocabulary
from spotlight_asars.sessions.session_array import SessionArray, pick

UNKNOWN_USER = -1


class SessionInteractions(SequenceInteractions):
    """Spotlight's sequences, one session a row, with users and dwell times.

    Parameters
    ----------
    sequences : int (session, time), or (time,) for one
        Item ids, padded with 0 from the left. A ``SessionArray`` brings its channels along.
    user_ids : int (session,), optional
        Whose session each is; -1 where unknown.
    num_items : int, optional
        Number of items, padding included; by default the largest id + 1.
    dwell_times : float (session, time), optional
        Time spent on each event [s]; NaN where unknown. What stands at padding is ignored.
    num_users : int, optional
        Number of users; by default the largest id + 1.
    started : float (session,), optional
        When each session starts [s]; NaN where unknown.

    Attributes
    ----------
    items, dwell : int32 and float32 (events,)
        The sessions one after the other; `dwell` is None where no dwell is known.
    offsets : int64 (session + 1,)
        Session s is ``items[offsets[s]:offsets[s + 1]]``.
    sequences, dwell_times
        The padded matrices, made when asked for, read-only.
    user_vocabulary, item_vocabulary : Vocabulary or None
        Raw ids, where the sessions come from an ``EventLog``.

    Raises
    ------
    ValueError
        For padding inside a session, ids out of range, channels of another shape, negative dwell.

    Examples
    --------
    >>> sessions = SessionInteractions(np.array([[0, 3, 1], [2, 3, 3]]), user_ids=[7, 4])
    >>> sessions
    <SessionInteractions (2 sessions x 3 events at most, 3 items)>
    >>> sessions.sequences[:, :-1][1], sessions.sequences[:, :-1][1].user_ids
    (SessionArray([2, 3], dtype=int32), np.int64(4))
    """

    user_vocabulary: Vocabulary | None = None
    item_vocabulary: Vocabulary | None = None

    def __init__(
        self,
        sequences: ArrayLike,
        user_ids: ArrayLike | None = None,
        num_items: int | None = None,
        *,
        dwell_times: ArrayLike | None = None,
        num_users: int | None = None,
        started: ArrayLike | None = None,
    ) -> None:
        matrix = np.atleast_2d(integers(sequences, "sequences"))
        real = matrix != PADDING_IDX
        inside = ~real & np.logical_or.accumulate(real, axis=-1)
        reject(inside, matrix, "sequences must be padded with 0 from the left only, for item id 0 is padding")
        self._read(sequences, user_ids, num_items, dwell_times, num_users, started, "sequences")

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
        argument: str = "rows",
    ) -> SessionInteractions:
        """Sessions from a matrix that may be padded anywhere.

        Parameters
        ----------
        rows : int (session, time), or (time,) for one
            Item ids, padded with 0.
        user_ids, num_items, dwell_times, num_users, started
            As in the constructor.
        argument : str
            What errors call `rows`.

        Raises
        ------
        ValueError
            For ids out of range, channels of another shape, negative dwell.
        """
        sessions = cls.__new__(cls)
        sessions._read(rows, user_ids, num_items, dwell_times, num_users, started, argument)
        return sessions

    def _read(
        self,
        rows: ArrayLike,
        user_ids: ArrayLike | None,
        num_items: int | None,
        dwell_times: ArrayLike | None,
        num_users: int | None,
        started: ArrayLike | None,
        argument: str,
    ) -> None:
        if isinstance(rows, SessionArray):
            user_ids = rows.user_ids if user_ids is None else user_ids
            dwell_times = rows.dwell_times if dwell_times is None else dwell_times
            started = rows.started if started is None else started
        matrix = np.atleast_2d(integers(rows, argument))
        fits = matrix.ndim == 2 and matrix.shape[1] > 0
        require(fits, f"{argument} must be (time,) or (session, time), with a step or more", matrix.shape)
        reject(matrix < 0, matrix, f"{argument} must not have negative item ids")
        if num_items is not None:
            whole(num_items, "num_items", least=1, most=LARGEST_ID + 1)
            reject(matrix >= num_items, matrix, f"{argument} must have item ids below num_items, {num_items}")
        real = matrix != PADDING_IDX
        dwell = None
        if dwell_times is not None:
            seconds_of = np.atleast_2d(floats(dwell_times, "dwell_times"))
            rule = f"dwell_times must have the shape of {argument}, {matrix.shape}"
            require(seconds_of.shape == matrix.shape, rule, seconds_of.shape)
            dwell = seconds(np.where(real, seconds_of, np.nan), "dwell_times")[real]
        offsets = np.r_[0, np.cumsum(real.sum(axis=1))]
        self._fill(matrix[real], offsets, user_ids, dwell, num_items, num_users, started, matrix.shape[1], argument)

    @classmethod
    def from_ragged(
        cls,
        items: ArrayLike,
        offsets: ArrayLike,
        user_ids: ArrayLike | None = None,
        num_items: int | None = None,
        *,
        dwell: ArrayLike | None = None,
        num_users: int | None = None,
        started: ArrayLike | None = None,
        max_sequence_length: int | None = None,
    ) -> SessionInteractions:
        """Sessions from flat arrays.

        Parameters
        ----------
        items, dwell : int and float (events,)
            The sessions one after the other, as under Attributes.
        offsets : int (session + 1,)
            Where each session starts, and the last one ends.
        user_ids, num_items, num_users, started
            As in the constructor.
        max_sequence_length : int, optional
            Width of ``sequences``; by default that of the longest session.

        Raises
        ------
        ValueError
            For offsets that are none, ids out of range, channels of another shape, negative dwell.
        """
        flat, cuts = integers(items, "sequences"), integers(offsets, "offsets")
        require(flat.ndim == 1, "items must have one axis", flat.shape)
        require(cuts.ndim == 1 and len(cuts) > 0, "offsets must have one axis, and start with 0", cuts.shape)
        require(cuts[0] == 0, "offsets must start with 0", cuts[0])
        require(cuts[-1] == len(flat), f"offsets must end with the number of items, {len(flat)}", cuts[-1])
        lengths = np.diff(cuts)
        reject(lengths < 0, lengths, "offsets must not fall")
        longest = int(lengths.max(initial=1))
        width = longest if max_sequence_length is None else whole(max_sequence_length, "max_sequence_length", least=1)
        require(width >= longest, f"max_sequence_length must be at least that of the longest session, {longest}", width)
        sessions = cls.__new__(cls)
        sessions._fill(flat, cuts, user_ids, dwell, num_items, num_users, started, width)
        return sessions

    def _fill(
        self,
        flat: NDArray[np.int64],
        offsets: NDArray[np.int64],
        user_ids: ArrayLike | None,
        dwell: ArrayLike | None,
        num_items: int | None,
        num_users: int | None,
        started: ArrayLike | None,
        max_sequence_length: int,
        argument: str = "sequences",
    ) -> None:
        self.offsets = offsets
        require(len(self) > 0, f"{argument} must have at least one session", len(self))
        reject(flat < 0, flat, f"{argument} must not have negative item ids")
        reject(flat == PADDING_IDX, flat, f"{argument} must not have item id 0, for it is padding")
        reject(flat > LARGEST_ID, flat, f"{argument} must be int32, as Spotlight's are")
        self.num_items = (
            int(flat.max(initial=0)) + 1
            if num_items is None
            else whole(num_items, "num_items", least=1, most=LARGEST_ID + 1)
        )
        reject(flat >= self.num_items, flat, f"{argument} must have item ids below num_items, {self.num_items}")
        self.items: NDArray[np.int32] = flat.astype(np.int32)
        self.max_sequence_length = max_sequence_length

        self.dwell: NDArray[np.float32] | None = None
        if dwell is not None:
            flat_dwell = seconds(dwell, "dwell_times")
            rule = f"dwell_times must have one value for each of the {len(flat)} events"
            require(flat_dwell.shape == flat.shape, rule, flat_dwell.shape)
            self.dwell = flat_dwell.astype(np.float32)

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

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getstate__(self) -> dict[str, Any]:
        """What is stored, without the matrices made of it: a copied ``SessionArray`` loses its channels."""
        return {name: value for name, value in vars(self).items() if name not in ("sequences", "dwell_times")}

    def __repr__(self) -> str:
        longest, items = self.max_sequence_length, self.num_items - 1
        return f"<SessionInteractions ({len(self)} sessions x {longest} events at most, {items} items)>"

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Events of each session, int64 (session,)."""
        return np.diff(self.offsets)

    def take(self, rows: NDArray[np.integer[Any]]) -> SessionInteractions:
        """The sessions `rows`, in their order."""
        places, offsets = self.places(rows), np.r_[0, np.cumsum(self.lengths[rows])]
        return SessionInteractions.from_ragged(
            self.items[places],
            offsets,
            pick(self.user_ids, rows),
            self.num_items,
            dwell=pick(self.dwell, places),
            num_users=self.num_users,
            started=pick(self.started, rows),
            max_sequence_length=self.max_sequence_length,
        ).named(self.user_vocabulary, self.item_vocabulary)

    def named(self, users: Vocabulary | None, items: Vocabulary | None) -> SessionInteractions:
        """Itself, from now on with these raw ids."""
        self.user_vocabulary, self.item_vocabulary = users, items
        return self

    def places(self, rows: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """Where the events of the sessions `rows` stand in the flat arrays, int64 (events,)."""
        return flat_ranges(self.offsets[rows], self.offsets[rows + 1])

    def in_order_of_users(self) -> NDArray[np.int64]:
        """Rows by whose they are (see ``owners``), and by time within: their start, or the order given."""
        times = np.arange(len(self)) if self.started is None else self.started
        return np.lexsort((times, self.owners()))  # NaN sorts last

    def rounds(self) -> list[NDArray[np.int64]]:
        """First the first session of every user, then the second of those who have one, and so on."""
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
        order = np.argsort(np.nan_to_num(self.started, nan=-np.inf), kind="stable")  # unknown starts are not late
        return self.take(np.sort(order[:-late])), self.take(np.sort(order[-late:]))

    def owners(self) -> NDArray[np.int64]:
        """Whose each session is, int64 (session,): the user, or a number beyond for a session of an unknown one."""
        alone = self.num_users + np.arange(len(self))
        return alone if self.user_ids is None else np.where(self.user_ids >= 0, self.user_ids, alone)

    @cached_property
    def sequences(self) -> SessionArray:  # type: ignore[override]
        """Item ids, int32 (session, time), padded with 0 from the left, with the channels attached."""
        padded = self._padded(self.items, PADDING_IDX).view(SessionArray)
        padded.attach(self.user_ids, self.dwell_times, self.started)
        padded.flags.writeable = False
        return padded

    @cached_property
    def dwell_times(self) -> NDArray[np.float32] | None:
        """Dwell [s], float32 (session, time), NaN at padding and where unknown; None where none is known."""
        if self.dwell is None:
            return None
        padded = self._padded(self.dwell, np.nan)
        padded.flags.writeable = False
        return padded

    def _padded(self, flat: NDArray[Any], filler: float) -> NDArray[Any]:
        """Rows of ``max_sequence_length`` of a flat array, filled up from the left."""
        padded = np.full((len(self), self.max_sequence_length), filler, dtype=flat.dtype)
        columns = np.arange(self.max_sequence_length)
        padded[columns >= self.max_sequence_length - self.lengths[:, None]] = flat
        return padded


def flat_ranges(starts: NDArray[np.int64], stops: NDArray[np.int64]) -> NDArray[np.int64]:
    """The ranges from `starts` up to `stops`, one after the other.

    >>> flat_ranges(np.array([5, 0]), np.array([7, 3]))
    array([5, 6, 0, 1, 2])
    """
    lengths = stops - starts
    before = np.cumsum(lengths) - lengths
    return np.arange(lengths.sum()) + np.repeat(starts - before, lengths)


def as_sessions(interactions: SequenceInteractions) -> SessionInteractions:
    """`interactions` as they are, or Spotlight's plain sequences with their users, of unknown dwell."""
    if isinstance(interactions, SessionInteractions):
        return interactions
    if not isinstance(interactions, SequenceInteractions):
        raise TypeError(
            f"sessions must be SessionInteractions or Spotlight's SequenceInteractions; got "
            f"{type(interactions).__name__}. to_sessions(interactions) makes them of a log"
        )
    return SessionInteractions(interactions.sequences, interactions.user_ids, interactions.num_items)
