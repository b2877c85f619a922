"""Sessions become mini-batches: trimmed, bucketed by length, in a fresh random order each epoch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.random import RandomState
from numpy.typing import NDArray
from torch import Tensor

from spotlight_asars.channels import Channels, SessionInteractions

POOL = 64  # batches that are sorted by length together; within a pool, rows of like length share a batch


class Batch(NamedTuple):
    """Sessions side by side, cut to the longest of them.

    rows : int64 (batch,)
        Which sessions of the log.
    items : int64 (batch, time)
        Padded with 0 from the left.
    channels : Channels
        Of the same rows.
    """

    rows: NDArray[np.int64]
    items: Tensor
    channels: Channels


def gather(sessions: SessionInteractions, rows: NDArray[np.int64], device: torch.device) -> Batch:
    """The sessions `rows` as one batch on `device`."""
    ends = sessions.offsets[rows + 1]
    lengths = ends - sessions.offsets[rows]
    time = max(int(lengths.max(initial=0)), 1)
    from_end = np.arange(time, 0, -1)
    real = from_end <= lengths[:, None]  # (batch, time)
    places = np.where(real, ends[:, None] - from_end, 0)

    def padded(flat: NDArray[Any], filler: float) -> Tensor:
        values = flat[places] if len(flat) else np.zeros(places.shape, flat.dtype)
        return torch.from_numpy(np.where(real, values, flat.dtype.type(filler))).to(device, non_blocking=True)

    users, dwell = sessions.user_ids, sessions.dwell
    channels = Channels(
        None if users is None else torch.from_numpy(users[rows]).to(device, non_blocking=True),
        None if dwell is None else padded(dwell, np.nan),
    )
    return Batch(rows, padded(sessions.items, 0).long(), channels)


def training_batches(
    sessions: SessionInteractions, batch_size: int, random_state: RandomState, device: torch.device
) -> Iterator[Batch]:
    """One epoch: every session of two events or more once, in random order.

    Rows are shuffled, sorted by length within pools of ``POOL`` batches, cut into batches, and the batches shuffled.
    """
    lengths = sessions.lengths
    rows = random_state.permutation(np.flatnonzero(lengths >= 2))
    pool = np.arange(len(rows)) // (batch_size * POOL)
    rows = rows[np.lexsort((lengths[rows], pool))]
    starts = np.arange(0, len(rows), batch_size)
    for start in random_state.permutation(starts):
        yield gather(sessions, rows[start : start + batch_size], device)


def scoring_batches(sessions: SessionInteractions, batch_size: int, device: torch.device) -> Iterator[Batch]:
    """Every session once, the short ones first; ``Batch.rows`` says which they are."""
    order = np.argsort(sessions.lengths, kind="stable")
    for start in range(0, len(order), batch_size):
        yield gather(sessions, order[start : start + batch_size], device)
