"""Padded sessions whose channels pass through Spotlight's unchanged evaluators.

Those slice ``test.sequences`` by rows and columns and hand single rows to ``predict``. A slice keeps its users, dwell
times and starts; any other operation drops them, so that they are never misaligned.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class SessionArray(np.ndarray):
    """Item ids, int32 (session, time), padded with 0 from the left, whose slices carry the channels along.

    Attributes
    ----------
    user_ids : int64 (session,) or None
    dwell_times : float32 (session, time) [s], NaN where unknown, or None
    started : float64 (session,) [s], or None
    kinds : int64 (session, time), 0 where unknown, or None
    context : int64 (session, columns), 0 where unknown, or None
    """

    user_ids: NDArray[Any] | None
    dwell_times: NDArray[Any] | None
    started: NDArray[Any] | None
    kinds: NDArray[Any] | None
    context: NDArray[Any] | None

    def __array_finalize__(self, source: object) -> None:
        self.user_ids = self.dwell_times = self.started = None  # until __getitem__ finds that it is a slice
        self.kinds = self.context = None

    def __getitem__(self, key: Any) -> Any:
        taken = super().__getitem__(key)
        if isinstance(taken, SessionArray):
            rows, columns = key if isinstance(key, tuple) and len(key) == 2 else (key, slice(None))
            if self.ndim == 2 and _picks_rows(rows) and _keeps_time(columns):
                of_rows = (pick(self.user_ids, rows), pick(self.started, rows), pick(self.context, rows))
                taken.attach(of_rows[0], pick(self.dwell_times, key), of_rows[1], pick(self.kinds, key), of_rows[2])
            elif self.ndim == 1 and _keeps_time(key):
                dwell_times, kinds = pick(self.dwell_times, key), pick(self.kinds, key)
                taken.attach(self.user_ids, dwell_times, self.started, kinds, self.context)
        return taken

    def attach(
        self,
        user_ids: NDArray[Any] | None,
        dwell_times: NDArray[Any] | None,
        started: NDArray[Any] | None,
        kinds: NDArray[Any] | None = None,
        context: NDArray[Any] | None = None,
    ) -> None:
        """Set the channels and make the array read-only: sorted in place, it would no longer fit them."""
        self.user_ids, self.dwell_times, self.started = user_ids, dwell_times, started
        self.kinds, self.context = kinds, context
        if any(channel is not None for channel in (user_ids, dwell_times, started, kinds, context)):
            self.flags.writeable = False


def carried(rows: Any, **channels: Any) -> tuple[Any, ...]:
    """The channels, where they are None those that the `rows` carry, if these are a ``SessionArray``."""
    if not isinstance(rows, SessionArray):
        return tuple(channels.values())
    return tuple(getattr(rows, name) if channel is None else channel for name, channel in channels.items())


def pick(channel: Any, key: Any) -> Any:
    """`channel` at `key`, an array or tensor; None stays None."""
    return None if channel is None else channel[key]


def _picks_rows(key: Any) -> bool:
    if isinstance(key, (slice, int, np.integer)) and not isinstance(key, bool):
        return True
    return isinstance(key, (list, np.ndarray)) and np.ndim(key) == 1


def _keeps_time(key: Any) -> bool:
    return isinstance(key, slice) and key.step in (None, 1)
