"""Sessions with their channels: items, users and dwell times, side by side.

``SessionInteractions`` stores sessions ragged, so that its memory is that of the events and not of the padding.
``SessionArray`` is how the channels pass through Spotlight's unchanged evaluators: those slice ``test.sequences`` by
rows and columns and hand single rows to ``predict``. A slice takes its users and dwell times along; anything else
drops them. They are never misaligned.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from spotlight_asars._checks import integers, reject, require, seconds
from spotlight_asars._spotlight import PADDING_IDX, SequenceInteractions

UNKNOWN_USER = -1


class Channels(NamedTuple):
    """What a net may know of a batch besides its items; None is unknown throughout.

    user_ids : int64 (batch,), -1 where unknown
    dwell_times : float (batch, time) [s], NaN where unknown
    """

    user_ids: torch.Tensor | None = None
    dwell_times: torch.Tensor | None = None

    def rows(self, chosen: slice) -> Channels:
        """Channels of some rows."""
        users, dwell = self
        return Channels(None if users is None else users[chosen], None if dwell is None else dwell[chosen])

    def steps(self, chosen: slice) -> Channels:
        """Channels of some steps of every row."""
        return self._replace(dwell_times=None if self.dwell_times is None else self.dwell_times[:, chosen])


class SessionArray(np.ndarray):
    """Item ids, int32 (session, time), padded with 0 from the left, that carry their channels through slices.

    Attributes
    ----------
    user_ids : int64 (session,) or None
    dwell_times : float32 (session, time) [s], NaN where unknown, or None
    """

    user_ids: NDArray[Any] | None
    dwell_times: NDArray[Any] | None

    def __array_finalize__(self, source: object) -> None:
        self.user_ids = self.dwell_times = None  # whatever made this array, it is no slice that we have followed

    def __getitem__(self, key: Any) -> Any:
        taken = super().__getitem__(key)
        if isinstance(taken, SessionArray):
            rows, columns = key if isinstance(key, tuple) and len(key) == 2 else (key, slice(None))
            if self.ndim == 2 and _picks_rows(rows) and _keeps_time(columns):
                taken.user_ids = None if self.user_ids is None else self.user_ids[rows]
                taken.dwell_times = None if self.dwell_times is None else self.dwell_times[key]
            elif self.ndim == 1 and _keeps_time(key):
                taken.user_ids = self.user_ids
                taken.dwell_times = None if self.dwell_times is None else self.dwell_times[key]
        return taken


def _picks_rows(key: Any) -> bool:
    if isinstance(key, (slice, int, np.integer)) and not isinstance(key, bool):
        return True
    return isinstance(key, (list, np.ndarray)) and np.ndim(key) == 1


def _keeps_time(key: Any) -> bool:
    return isinstance(key, slice) and key.step in (None, 1)


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

    Attributes
    ----------
    items, dwell : int32 and float32 (events,)
        The sessions one after the other; `dwell` is None where no dwell is known.
    offsets : int64 (session + 1,)
        Session s is ``items[offsets[s]:offsets[s + 1]]``.
    sequences, dwell_times
        The padded matrices, made when asked for, read-only.

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

    def __init__(
        self,
        sequences: ArrayLike,
        user_ids: ArrayLike | None = None,
        num_items: int | None = None,
        *,
        dwell_times: ArrayLike | None = None,
        num_users: int | None = None,
    ) -> None:
        if isinstance(sequences, SessionArray):
            user_ids = sequences.user_ids if user_ids is None else user_ids
            dwell_times = sequences.dwell_times if dwell_times is None else dwell_times
        matrix = np.atleast_2d(integers(sequences, "sequences"))
        require(matrix.ndim == 2, "sequences must have two axes, (session, time)", matrix.shape)
        real = matrix != PADDING_IDX
        inside = ~real & (np.cumsum(real, axis=1) > 0)
        reject(inside, matrix, "sequences must be padded with 0 from the left only, for item id 0 is padding")
        dwell = None
        if dwell_times is not None:
            matrix_of_dwell = np.atleast_2d(np.asarray(dwell_times))
            rule = f"dwell_times must have the shape of sequences, {matrix.shape}"
            require(matrix_of_dwell.shape == matrix.shape, rule, matrix_of_dwell.shape)
            dwell = matrix_of_dwell[real]
        offsets = np.r_[0, np.cumsum(real.sum(axis=1))]
        self._fill(matrix[real], offsets, user_ids, dwell, num_items, num_users, matrix.shape[1])

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
        max_sequence_length: int | None = None,
    ) -> SessionInteractions:
        """Sessions from the flat arrays described under Attributes."""
        sessions = cls.__new__(cls)
        lengths = np.diff(np.asarray(offsets))
        width = max_sequence_length or int(lengths.max(initial=1))
        sessions._fill(items, offsets, user_ids, dwell, num_items, num_users, width)
        return sessions

    def _fill(
        self,
        items: ArrayLike,
        offsets: ArrayLike,
        user_ids: ArrayLike | None,
        dwell: ArrayLike | None,
        num_items: int | None,
        num_users: int | None,
        max_sequence_length: int,
    ) -> None:
        flat = integers(items, "sequences")
        self.offsets = integers(offsets, "offsets")
        require(len(self) > 0, "sequences must have at least one session", len(self))
        reject(flat < 0, flat, "sequences must not have negative item ids")
        reject(flat == PADDING_IDX, flat, "sequences must not have item id 0, for it is padding")
        self.num_items = int(flat.max(initial=0)) + 1 if num_items is None else int(num_items)
        reject(flat >= self.num_items, flat, f"sequences must have item ids below num_items, {self.num_items}")
        self.items: NDArray[np.int32] = flat.astype(np.int32)
        self.max_sequence_length = max_sequence_length

        self.dwell: NDArray[np.float32] | None = None
        if dwell is not None:
            flat_dwell = seconds(dwell, "dwell_times")
            rule = f"dwell_times must have one value for each of the {len(flat)} events"
            require(flat_dwell.shape == flat.shape, rule, flat_dwell.shape)
            self.dwell = flat_dwell.astype(np.float32)

        self.user_ids: NDArray[np.int64] | None = None
        self.num_users = 0 if num_users is None else int(num_users)
        if user_ids is not None:
            users = np.atleast_1d(integers(user_ids, "user_ids"))
            require(users.shape == (len(self),), f"user_ids must have shape ({len(self)},)", users.shape)
            reject(users < UNKNOWN_USER, users, "user_ids must be 0 or more, or -1 where unknown")
            if num_users is None:
                self.num_users = int(users.max()) + 1
            reject(users >= self.num_users, users, f"user_ids must be below num_users, {self.num_users}")
            self.user_ids = users

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __repr__(self) -> str:
        longest, items = self.max_sequence_length, self.num_items - 1
        return f"<SessionInteractions ({len(self)} sessions x {longest} events at most, {items} items)>"

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Events of each session, int64 (session,)."""
        return np.diff(self.offsets)

    @cached_property
    def sequences(self) -> SessionArray:  # type: ignore[override]
        """Item ids, int32 (session, time), padded with 0 from the left, with the channels attached."""
        padded = self._padded(self.items, PADDING_IDX).view(SessionArray)
        padded.user_ids, padded.dwell_times = self.user_ids, self.dwell_times
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
