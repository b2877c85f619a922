"""Prefixes of sessions, as something to index: what a baseline has in the place of a net's states.

- ``prefixes[:, -1]``, ``prefixes[mask]`` and ``prefixes[3:5]`` take what a tensor (batch, time) would give.
- Padding takes no part, wherever it stands.
- The dwell of the last event of a prefix is the time up to the very click that is to be predicted: it is not told.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spotlight_asars._spotlight import PADDING_IDX
from spotlight_asars.sessions.channels import Channels
from spotlight_asars.sessions.interactions import UNKNOWN_USER


class Events(NamedTuple):
    """The events of some prefixes, one prefix after the other.

    row : int64 (events,), which prefix
    items : int64 (events,)
    position : int64 (events,), 1 is the first event of its session
    length : int64 (events,), events of the prefix
    dwell : float64 (events,) [s], NaN where unknown
    """

    row: NDArray[np.int64]
    items: NDArray[np.int64]
    position: NDArray[np.int64]
    length: NDArray[np.int64]
    dwell: NDArray[np.float64]

    def pick(self, chosen: NDArray[Any]) -> Events:
        """Some of the events."""
        return Events(*(column[chosen] for column in self))

    def latest(self) -> Events:
        """Each item of a prefix once, where it occurs last; by prefix and item."""
        order = np.lexsort((self.position, self.items, self.row))
        row, items = self.row[order], self.items[order]
        last = np.ones(len(order), dtype=np.bool_)
        last[:-1] = (row[1:] != row[:-1]) | (items[1:] != items[:-1])
        return self.pick(order[last])


class _Sessions(NamedTuple):
    """The sessions of a batch without their padding: events one after the other, and what each step has seen."""

    items: NDArray[np.int64]
    dwell: NDArray[np.float64]
    first: NDArray[np.int64]  # (batch,), where each session starts
    seen: NDArray[np.int64]  # (batch, time), events up to each step
    users: NDArray[np.int64]  # (batch,)


class Prefixes:
    """Prefixes of the sessions of one batch, of any shape.

    Examples
    --------
    >>> prefixes = Prefixes.of(torch.tensor([[0, 7, 8], [5, 0, 6]]))
    >>> prefixes[:, -1].last_items().tolist()
    [8, 6]
    >>> prefixes[:, -1].events().items.tolist()
    [7, 8, 5, 6]
    """

    def __init__(self, sessions: _Sessions, places: Tensor) -> None:
        self._sessions, self._places = sessions, places

    @classmethod
    def of(cls, items: Tensor, channels: Channels | None = None) -> Prefixes:
        """One prefix for each step, (batch, time), of items padded with 0 anywhere."""
        channels = Channels() if channels is None else channels
        matrix = items.cpu().numpy().astype(np.int64)
        real = matrix != PADDING_IDX  # (batch, time)
        seen = real.cumsum(axis=1)
        lengths = real.sum(axis=1)
        dwell, users = channels.dwell_times, channels.user_ids
        sessions = _Sessions(
            matrix[real],
            np.full(int(lengths.sum()), np.nan) if dwell is None else dwell.cpu().numpy()[real].astype(np.float64),
            np.cumsum(lengths) - lengths,
            seen,
            np.full(len(matrix), UNKNOWN_USER) if users is None else users.cpu().numpy().astype(np.int64),
        )
        return cls(sessions, torch.arange(matrix.size).view(matrix.shape))

    def __getitem__(self, key: Any) -> Prefixes:
        return Prefixes(self._sessions, self._places[key])

    def __len__(self) -> int:
        return len(self._places)

    @property
    def shape(self) -> torch.Size:
        """Of the tensor that this stands for."""
        return self._places.shape

    def _spans(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Session, first event and number of events of each prefix, int64 (rows,)."""
        places = self._places.reshape(-1).numpy()
        session = places // max(self._sessions.seen.shape[1], 1)
        return session, self._sessions.first[session], self._sessions.seen.reshape(-1)[places]

    def last_items(self) -> NDArray[np.int64]:
        """The latest item of each prefix, int64 (rows,); 0 where there is none yet."""
        _, first, lengths = self._spans()
        return np.where(lengths > 0, np.r_[self._sessions.items, PADDING_IDX][first + lengths - 1], PADDING_IDX)

    def users(self) -> NDArray[np.int64]:
        """Whose session each prefix is from, int64 (rows,); -1 where unknown."""
        session, _, _ = self._spans()
        return self._sessions.users[session]

    def events(self) -> Events:
        """All events of all prefixes."""
        _, first, lengths = self._spans()
        row = np.repeat(np.arange(len(lengths)), lengths)
        position = 1 + np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        at = first[row] + position - 1
        dwell = np.where(position == lengths[row], np.nan, self._sessions.dwell[at])
        return Events(row, self._sessions.items[at], position, lengths[row], dwell)
