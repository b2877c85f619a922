"""Prefixes of sessions: the states of a baseline, indexed like a tensor.

- ``prefixes[:, -1]``, ``prefixes[mask]`` and ``prefixes[3:5]`` select as they would from a tensor (batch, time).
- Padding is ignored, wherever it stands.
- The dwell time of a prefix's last event is unknown: it ends with the very click that is to be predicted.
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
from spotlight_asars.sessions.ragged import flat_ranges

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Events(NamedTuple):
    """The events of some prefixes; those of each stand in the order of time.

    row : int64 (events,), number of the prefix
    items : int64 (events,)
    position : int64 (events,), 1 is the first event of the session
    length : int64 (events,), events of the prefix
    dwell_times : float64 (events,) [s], NaN where unknown
    """

    row: Ints
    items: Ints
    position: Ints
    length: Ints
    dwell_times: Floats

    def latest(self) -> Events:
        """The last event of each item of each prefix, sorted by prefix and item."""
        last = last_of_each(self.row, self.items)
        return Events._make(column[last] for column in self)


class _Sessions(NamedTuple):
    """The sessions of a batch without their padding, one after the other."""

    items: Ints  # (events,)
    dwell_times: Floats  # (events,)
    first: Ints  # (batch,), where each session starts
    seen: Ints  # (batch, time), events up to each step
    users: Ints  # (batch,)


class Prefixes:
    """Prefixes of the sessions of a batch, of any shape.

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
        """The prefix that ends with each step, (batch, time), of items padded with 0 anywhere."""
        channels = Channels() if channels is None else channels
        matrix = items.cpu().numpy().astype(np.int64)
        real = matrix != PADDING_IDX  # (batch, time)
        lengths = real.sum(axis=1)
        dwell, users = channels.dwell_times, channels.user_ids
        sessions = _Sessions(
            matrix[real],
            np.full(int(lengths.sum()), np.nan) if dwell is None else dwell.cpu().numpy()[real].astype(np.float64),
            np.cumsum(lengths) - lengths,
            real.cumsum(axis=1),
            np.full(len(matrix), UNKNOWN_USER) if users is None else users.cpu().numpy().astype(np.int64),
        )
        return cls(sessions, torch.arange(matrix.size).view(matrix.shape))

    def __getitem__(self, key: Any) -> Prefixes:
        return Prefixes(self._sessions, self._places[key])

    def __len__(self) -> int:
        return len(self._places)

    @property
    def shape(self) -> torch.Size:
        """Shape of the tensor that this stands for."""
        return self._places.shape

    def _spans(self) -> tuple[Ints, Ints, Ints]:
        """Session, first event and number of events of each prefix, int64 (rows,)."""
        places = self._places.reshape(-1).numpy()
        session = places // max(self._sessions.seen.shape[1], 1)
        return session, self._sessions.first[session], self._sessions.seen.reshape(-1)[places]

    def last_items(self) -> Ints:
        """The last item of each prefix, int64 (rows,); 0 where it is empty."""
        _, first, lengths = self._spans()
        return np.where(lengths > 0, np.r_[self._sessions.items, PADDING_IDX][first + lengths - 1], PADDING_IDX)

    def users(self) -> Ints:
        """The user of each prefix, int64 (rows,); -1 where unknown."""
        session, _, _ = self._spans()
        return self._sessions.users[session]

    def events(self) -> Events:
        """All events of all prefixes."""
        _, first, lengths = self._spans()
        row = np.repeat(np.arange(len(lengths)), lengths)
        at = flat_ranges(first, first + lengths)
        position, length = at - first[row] + 1, lengths[row]
        dwell = np.where(position == length, np.nan, self._sessions.dwell_times[at])
        return Events(row, self._sessions.items[at], position, length, dwell)


def last_of_each(row: Ints, items: Ints) -> NDArray[np.intp]:
    """Indices of the last event of each item of each row, sorted by row and item.

    >>> last_of_each(np.array([0, 0, 0, 1]), np.array([5, 3, 5, 5])).tolist()
    [1, 2, 3]
    """
    order = np.lexsort((items, row))  # stable: equal ones stay in the order of time
    last = np.ones(len(order), dtype=np.bool_)
    last[:-1] = (np.diff(row[order]) != 0) | (np.diff(items[order]) != 0)
    return order[last]
