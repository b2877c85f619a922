"""Sessions of any number for benchmarks, made at once by numpy, and the padded rows that Spotlight trains on."""

from __future__ import annotations

from typing import Any

import numpy as np
from click_log import DAYS, MEAN_GAP, SPREAD
from numpy.random import RandomState
from numpy.typing import NDArray

from spotlight_asars import SessionInteractions
from spotlight_asars._spotlight import SequenceInteractions

LONGEST = 50  # events of a session; Spotlight pads all to that many
SESSIONS_PER_USER = 10


def click_sessions(
    sessions: int, num_items: int, mean_length: float = 5.0, random_state: int = 0, positions: int = LONGEST
) -> SessionInteractions:
    """Sessions of two events or more, in order of time, with users, dwell times and starts.

    Parameters
    ----------
    sessions : int
    num_items : int
        Size of the catalogue, padding included. The item of rank r is clicked in proportion to 1 / r.
    mean_length : float
        Events of a session; those after the second are geometrically distributed.
    random_state : int
        Seed.
    positions : int
        Events at most; what is beyond is left out.
    """
    random = RandomState(random_state)
    lengths = np.minimum(1 + random.geometric(1 / (mean_length - 1), size=sessions), positions)
    offsets = np.r_[0, np.cumsum(lengths)]
    rank = np.exp(random.rand(offsets[-1]) * np.log(num_items)).astype(np.int64).clip(1, num_items - 1)
    dwell = random.exponential(MEAN_GAP, size=offsets[-1]).astype(np.float32)
    dwell[offsets[1:] - 1] = np.nan
    return SessionInteractions.from_ragged(
        1 + rank * SPREAD % (num_items - 1),
        offsets,
        random.randint(max(sessions // SESSIONS_PER_USER, 1), size=sessions),
        num_items,
        dwell_times=dwell,
        started=np.sort(random.rand(sessions) * DAYS * 86400),
        max_sequence_length=positions,
    )


def padded(sessions: SessionInteractions, flat: NDArray[Any], filler: float, dtype: type) -> NDArray[Any]:
    """A value of each event as a matrix (session, time), padded from the left to the longest allowed."""
    width = sessions.max_sequence_length
    matrix: NDArray[Any] = np.full((len(sessions), width), filler, dtype=dtype)
    matrix[np.arange(width) >= width - sessions.lengths[:, None]] = flat
    return matrix


def padded_rows(sessions: SessionInteractions) -> SequenceInteractions:
    """The same sessions as Spotlight holds them for training: int64 (session, time)."""
    return SequenceInteractions(padded(sessions, sessions.items, 0, np.int64), num_items=sessions.num_items)


def targets(sessions: SessionInteractions) -> int:
    """Events to be predicted: all but the first of each session."""
    return int((sessions.lengths - 1).sum())
