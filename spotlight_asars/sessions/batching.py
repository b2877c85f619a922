"""Sessions become mini-batches: trimmed, bucketed by length, in a fresh random order each epoch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.random import RandomState
from numpy.typing import NDArray
from torch import Tensor

from spotlight_asars.runtime.devices import moved
from spotlight_asars.runtime.distributed import ALONE, Ranks
from spotlight_asars.sessions.channels import Chain, Channels
from spotlight_asars.sessions.interactions import SessionInteractions

POOL = 64  # batches that are sorted by length together; within a pool, rows of like length share a batch


class Whole(NamedTuple):
    """What all ranks need to know of a mini-batch that is shared out among them.

    events : int64 (events,), the items of its events
    sessions, targets : how many sessions it has, and events to be predicted
    """

    events: NDArray[np.int64]
    sessions: int
    targets: int


class Batch(NamedTuple):
    """Sessions side by side, cut to the longest of them.

    rows : int64 (batch,)
        Which sessions of the log.
    items : int64 (batch, time)
        Padded with 0 from the left.
    channels : Channels
        Of the same rows.
    viewed : (int64 (targets,), int64 (targets,))
        Row and step of each event that another follows, which is to be predicted.
    whole : Whole
        The mini-batch that these are this rank's share of; for a process that is alone, the very same.
    """

    rows: NDArray[np.int64]
    items: Tensor
    channels: Channels
    viewed: tuple[Tensor, Tensor]
    whole: Whole

    def to(self, device: torch.device) -> Batch:
        """The tensors on `device`."""
        row, step = self.viewed
        return self._replace(
            items=moved(self.items, device),
            channels=self.channels.to(device),
            viewed=(moved(row, device), moved(step, device)),
        )


def gather(
    sessions: SessionInteractions,
    rows: NDArray[np.int64],
    device: torch.device,
    chain: Chain | None = None,
    whole: NDArray[np.int64] | None = None,
) -> Batch:
    """The sessions `rows` as one batch on `device`; as a share of the sessions `whole`, where these are given."""
    ends = sessions.offsets[rows + 1]
    lengths = ends - sessions.offsets[rows]
    time = max(int(lengths.max(initial=0)), 1)
    from_end = np.arange(time, 0, -1)
    real = from_end <= lengths[:, None]  # (batch, time)
    places = np.where(real, ends[:, None] - from_end, 0)

    def padded(flat: NDArray[Any], filler: float) -> Tensor:
        values = flat[places] if len(flat) else np.zeros(places.shape, flat.dtype)
        return torch.from_numpy(np.where(real, values, flat.dtype.type(filler)))

    channels = Channels(
        None if sessions.user_ids is None else torch.from_numpy(sessions.user_ids[rows]),
        None if sessions.dwell is None else padded(sessions.dwell, np.nan),
        None if sessions.started is None else torch.from_numpy(sessions.started[rows]),
        chain,
    )
    row, step = np.nonzero(real[:, :-1])
    viewed = torch.from_numpy(row), torch.from_numpy(step)
    items, everything = padded(sessions.items, 0).long(), _whole(sessions, rows if whole is None else whole)
    return Batch(rows, items, channels, viewed, everything).to(device)


def _whole(sessions: SessionInteractions, rows: NDArray[np.int64]) -> Whole:
    lengths = sessions.offsets[rows + 1] - sessions.offsets[rows]
    events = sessions.items[sessions.places(rows)].astype(np.int64)
    return Whole(events, len(rows), int((lengths - 1).clip(min=0).sum()))


def training_batches(
    sessions: SessionInteractions,
    batch_size: int,
    random_state: RandomState,
    device: torch.device,
    start: int = 0,
    ranks: Ranks = ALONE,
) -> Iterator[Batch]:
    """One epoch: every session of two events or more once, in random order; the first `start` batches are left out.

    Rows are shuffled, sorted by length within pools of ``POOL`` batches, cut into batches, and the batches shuffled. Of
    each batch, every one of the `ranks` gets its share, which may be empty.
    """
    lengths = sessions.lengths
    rows = random_state.permutation(np.flatnonzero(lengths >= 2))
    pool = np.arange(len(rows)) // (batch_size * POOL)
    rows = rows[np.lexsort((lengths[rows], pool))]
    for first in random_state.permutation(np.arange(0, len(rows), batch_size))[start:]:
        whole = rows[first : first + batch_size]
        yield gather(sessions, whole[ranks.rank :: ranks.size], device, whole=whole)


def user_parallel_batches(
    sessions: SessionInteractions,
    batch_size: int,
    device: torch.device,
    random_state: RandomState | None = None,
    start: int = 0,
    ranks: Ranks = ALONE,
) -> Iterator[Batch]:
    """Every session once, in batches of whole users with their sessions in the order of time (eq. 13).

    A session of an unknown user stands alone. The first `start` batches are left out; of the others, every one of the
    `ranks` gets its share of the users.

    The users come in random order with a `random_state`, in that of their ids without. A batch has about `batch_size`
    sessions. A user with more has them cut into pieces of that size, which come one after the other in batches of
    their own; so what one piece leaves in the user's state, the next can start from.
    """
    owners = sessions.owners()
    rows = sessions.in_order_of_users()
    users, first, counts = np.unique(owners[rows], return_index=True, return_counts=True)
    order = np.arange(len(users)) if random_state is None else random_state.permutation(len(users))
    counts, first = counts[order], first[order]
    rows = rows[np.arange(len(rows)) + np.repeat(first - (np.cumsum(counts) - counts), counts)]

    place = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    starts_piece = place % batch_size == 0
    batch = np.flatnonzero(starts_piece)[np.cumsum(starts_piece) - 1] // batch_size  # pieces that start near each other
    for chunk in np.split(rows, np.flatnonzero(np.diff(batch)) + 1)[start:]:
        user = np.cumsum(np.diff(owners[chunk], prepend=-1) != 0)
        share = chunk[user % ranks.size == ranks.rank]
        yield gather(sessions, share, device, _chain(owners[share]), whole=chunk)


def _chain(owners: NDArray[np.int64]) -> Chain:
    """The chain of rows whose owners stand together."""
    starts = np.diff(owners, prepend=-1) != 0
    user = np.cumsum(starts) - 1
    place = np.arange(len(owners)) - np.flatnonzero(starts)[user]
    sizes = int(user.max(initial=-1)) + 1, int(place.max(initial=-1)) + 1
    return Chain(torch.from_numpy(user), torch.from_numpy(place), sizes)


def scoring_batches(sessions: SessionInteractions, batch_size: int, device: torch.device) -> Iterator[Batch]:
    """Every session once, the short ones first; ``Batch.rows`` says which they are."""
    order = np.argsort(sessions.lengths, kind="stable")
    for start in range(0, len(order), batch_size):
        yield gather(sessions, order[start : start + batch_size], device)
