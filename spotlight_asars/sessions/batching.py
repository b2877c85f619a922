"""Sessions become mini-batches: cut to the longest row, bucketed by length, in a new random order each epoch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.random import RandomState
from numpy.typing import NDArray
from torch import Tensor

from spotlight_asars._spotlight import PADDING_IDX
from spotlight_asars.runtime.devices import moved
from spotlight_asars.runtime.distributed import ALONE, Processes
from spotlight_asars.sessions.channels import Chain, Channels
from spotlight_asars.sessions.interactions import SessionInteractions
from spotlight_asars.sessions.ragged import padded, real_steps

STEPS_AT_ONCE = 2**16  # rows times columns of a batch that is scored: long sessions come in fewer rows
POOL = 64  # batches whose rows are sorted by length together, so that rows of like length share a batch


class MiniBatch(NamedTuple):
    """What every process needs to know of a mini-batch of which it trains on a share.

    events : int64 (events,), the items of all its events
    sessions, targets : number of its sessions, and of its events to be predicted
    """

    events: NDArray[np.int64]
    sessions: int
    targets: int


class Batch(NamedTuple):
    """Sessions as tensors, padded to the longest of them: a mini-batch, or this process's share of one.

    rows : int64 (batch,)
        Their numbers in the log.
    items : int64 (batch, time)
        Padded with 0 from the left.
    channels : Channels
        Of the same rows.
    viewed : (int64 (targets,), int64 (targets,))
        Row and step of each event that has a next one in its session, which is to be predicted.
    whole : MiniBatch
        The mini-batch that this is a share of, or all of.
    """

    rows: NDArray[np.int64]
    items: Tensor
    channels: Channels
    viewed: tuple[Tensor, Tensor]
    whole: MiniBatch

    def to(self, device: torch.device) -> Batch:
        """The tensors on `device`."""
        row, step = self.viewed
        return self._replace(
            items=moved(self.items, device),
            channels=self.channels.to(device),
            viewed=(moved(row, device), moved(step, device)),
        )


def make_batch(
    sessions: SessionInteractions,
    rows: NDArray[np.int64],
    device: torch.device,
    chain: Chain | None = None,
    whole: NDArray[np.int64] | None = None,
) -> Batch:
    """The sessions `rows` as one batch on `device`; as a share of the mini-batch of the sessions `whole`, if given."""
    lengths, places = sessions.offsets[rows + 1] - sessions.offsets[rows], sessions.places(rows)
    real = real_steps(lengths, max(int(lengths.max(initial=0)), 1))  # (batch, time)
    dwell = sessions.flat_dwell_times
    channels = Channels(
        None if sessions.user_ids is None else torch.from_numpy(sessions.user_ids[rows]),
        None if dwell is None else torch.from_numpy(padded(dwell[places], real, np.nan)),
        None if sessions.started is None else torch.from_numpy(sessions.started[rows]),
        chain,
    )
    row, step = np.nonzero(real[:, :-1])
    viewed = torch.from_numpy(row), torch.from_numpy(step)
    items = torch.from_numpy(padded(sessions.items[places].astype(np.int64), real, PADDING_IDX))
    return Batch(rows, items, channels, viewed, _mini_batch(sessions, rows if whole is None else whole)).to(device)


def _mini_batch(sessions: SessionInteractions, rows: NDArray[np.int64]) -> MiniBatch:
    events = sessions.items[sessions.places(rows)].astype(np.int64)
    targets = (sessions.offsets[rows + 1] - sessions.offsets[rows] - 1).clip(min=0).sum()
    return MiniBatch(events, len(rows), int(targets))


def training_batches(
    sessions: SessionInteractions,
    batch_size: int,
    random_state: RandomState,
    device: torch.device,
    start: int = 0,
    processes: Processes = ALONE,
) -> Iterator[Batch]:
    """One epoch: every session of two events or more once, in random order, without the first `start` batches.

    Rows are shuffled, sorted by length within pools of ``POOL`` batches, cut into batches, and the batches shuffled.
    Each of the `processes` gets its share of every batch, which may be empty.
    """
    lengths = sessions.lengths
    rows = random_state.permutation(np.flatnonzero(lengths >= 2))
    pool = np.arange(len(rows)) // (batch_size * POOL)
    rows = rows[np.lexsort((lengths[rows], pool))]
    for first in random_state.permutation(np.arange(0, len(rows), batch_size))[start:]:
        whole = rows[first : first + batch_size]
        yield make_batch(sessions, whole[processes.rank :: processes.size], device, whole=whole)


def user_parallel_batches(
    sessions: SessionInteractions,
    batch_size: int,
    device: torch.device,
    random_state: RandomState | None = None,
    start: int = 0,
    processes: Processes = ALONE,
) -> Iterator[Batch]:
    """Every session once, in batches of whole users with their sessions in the order of time (eq. 13).

    Users come in random order with a `random_state`, else in the order of their ids; a session of an unknown user
    counts as a user of its own. A batch has about `batch_size` sessions. The sessions of a user who has more are cut
    into pieces of that size, in batches one after the other, so that a piece starts from the state that the last one
    left. The first `start` batches are left out; each of the `processes` gets its share of the users of the others.
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
        share = chunk[user % processes.size == processes.rank]
        yield make_batch(sessions, share, device, _chain(owners[share]), whole=chunk)


def _chain(owners: NDArray[np.int64]) -> Chain:
    """The chain of sessions that are grouped by their `owners`."""
    starts = np.diff(owners, prepend=-1) != 0
    user = np.cumsum(starts) - 1
    place = np.arange(len(owners)) - np.flatnonzero(starts)[user]
    sizes = int(user.max(initial=-1)) + 1, int(place.max(initial=-1)) + 1
    return Chain(torch.from_numpy(user), torch.from_numpy(place), sizes)


def scoring_batches(sessions: SessionInteractions, batch_size: int, device: torch.device) -> Iterator[Batch]:
    """Every session once, the short ones first; ``Batch.rows`` gives their numbers.

    A batch has at most `batch_size` sessions, and at most ``STEPS_AT_ONCE`` steps unless a single session has more.
    """
    order = np.argsort(sessions.lengths, kind="stable")
    lengths = sessions.lengths[order]
    start = 0
    while start < len(order):
        stop = min(start + batch_size, len(order))
        steps = lengths[start:stop] * np.arange(1, stop - start + 1)  # of a batch that ends with each session; rises
        stop = start + max(1, int(np.searchsorted(steps, STEPS_AT_ONCE, side="right")))
        yield make_batch(sessions, order[start:stop], device)
        start = stop
