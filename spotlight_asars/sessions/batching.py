"""Sessions become mini-batches: cut to the longest row, bucketed by length, in a new random order each epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.random import RandomState
from numpy.typing import NDArray
from torch import Tensor

from spotlight_asars._spotlight import PADDING_IDX
from spotlight_asars.events.labels import UNKNOWN
from spotlight_asars.runtime.devices import moved
from spotlight_asars.runtime.distributed import ALONE, Processes
from spotlight_asars.sessions.channels import Chain, Channels
from spotlight_asars.sessions.interactions import SessionInteractions

STEPS_AT_ONCE = 2**16  # rows times columns of a batch that is scored: long sessions come in fewer rows
WASTE = 4  # times as many steps as targets, beyond which a mini-batch becomes no block
POOL = 64  # batches whose rows are sorted by length together, so that rows of like length share a batch


class MiniBatch(NamedTuple):
    """What every process needs to know of a mini-batch of which it trains on a share.

    events : int64 (events,), the items of all its events; of a ``Block``, with padding behind them
    sessions, targets : number of its sessions, and of its events to be predicted; of a ``Block``, of all ``viewed``
    """

    events: Tensor
    sessions: int
    targets: int


class Batch(NamedTuple):
    """Sessions as tensors, padded to the longest of them: a mini-batch, or this process's share of one.

    rows : int64 (batch,)
        Their numbers in the log, on the host; empty where it does not know them.
    numbers : int64 (batch,)
        The same, on the device.
    first : int64 (batch,)
        Place of the first event of each among the events of the log.
    items : int64 (batch, time)
        Padded with 0 from the left.
    channels : Channels
        Of the same rows.
    viewed : (int64 (targets,), int64 (targets,))
        Row and step of each event that has a next one in its session, which is to be predicted.
    whole : MiniBatch
        The mini-batch that this is a share of, or all of.
    real : bool (targets,), optional
        Which of ``viewed`` are events that have a next one; None where all are.
    """

    rows: NDArray[np.int64]
    numbers: Tensor
    first: Tensor
    items: Tensor
    channels: Channels
    viewed: tuple[Tensor, Tensor]
    whole: MiniBatch
    real: Tensor | None = None


class Block(NamedTuple):
    """Sessions that become a batch on the device, whose shapes depend on nothing but their number and `time`.

    numbers : int64 (batch,), on the device
    time : int, columns, of which there are as many as the longest session has events, or some more
    """

    numbers: Tensor
    time: int


class SessionsOnDevice:
    """Sessions whose events are on a device, where batches of them are gathered.

    The sizes of a batch are computed on the host, so that none has to be asked of the device.

    Parameters
    ----------
    sessions : SessionInteractions
    device : torch.device
    """

    def __init__(self, sessions: SessionInteractions, device: torch.device) -> None:
        def on_device(array: NDArray[Any] | None) -> Tensor | None:
            return None if array is None else moved(torch.from_numpy(np.ascontiguousarray(array)), device)

        self.device, self._lengths = device, sessions.lengths
        self._items = moved(torch.from_numpy(sessions.items.astype(np.int64)), device)
        self._offsets = moved(torch.from_numpy(sessions.offsets.astype(np.int64)), device)
        self._dwell_times = on_device(sessions.flat_dwell_times)
        self._user_ids, self._started = on_device(sessions.user_ids), on_device(sessions.started)
        self._kinds, self._context = on_device(sessions.flat_kinds), on_device(sessions.context)

    def batch(
        self,
        rows: NDArray[np.int64],
        numbers: Tensor | None = None,
        chain: Chain | None = None,
        whole: NDArray[np.int64] | None = None,
    ) -> Batch:
        """The sessions `rows` as one batch; as a share of the mini-batch of the sessions `whole`, if given.

        `numbers` are the rows on the device, where they are there already.
        """
        if numbers is None:
            numbers = moved(torch.from_numpy(rows), self.device)
        lengths = self._lengths[rows]
        time = max(int(lengths.max(initial=0)), 1)
        first, stop, items, channels = self._padded(numbers, time)
        channels = channels._replace(chain=None if chain is None else chain.to(self.device))
        row, number = numbered((stop - first - 1).clamp(min=0), int((lengths - 1).clip(min=0).sum()))
        viewed = row, number + time - (stop - first)[row]
        if whole is not None and len(whole) > len(rows):
            rows_of_all, numbers_of_all = whole, moved(torch.from_numpy(whole), self.device)
        else:
            rows_of_all, numbers_of_all = rows, numbers
        return Batch(rows, numbers, first, items, channels, viewed, self._mini_batch(rows_of_all, numbers_of_all))

    def gather(self, block: Block) -> Batch:
        """The sessions of a block as a batch, with all steps but the last as ``viewed``, and which of them are real.

        Nothing here is known to the host, so ``rows`` is empty, and ``whole`` has the padding, too, behind its events.
        """
        numbers, time = block
        first, _, items, channels = self._padded(numbers, time)
        number = torch.arange(len(numbers) * (time - 1), device=self.device)
        row = number // (time - 1)
        viewed, real = (row, number - row * (time - 1)), items[:, :-1].flatten() != PADDING_IDX
        events = items.flatten()[(items.flatten() == PADDING_IDX).sort(stable=True).indices]
        whole = MiniBatch(events, len(numbers), len(number))
        return Batch(np.zeros(0, np.int64), numbers, first, items, channels, viewed, whole, real)

    def _padded(self, numbers: Tensor, time: int) -> tuple[Tensor, Tensor, Tensor, Channels]:
        """Sessions in so many columns: where their events begin and end, (batch,), items (batch, time) and channels."""
        first, stop = self._offsets[numbers], self._offsets[numbers + 1]
        place = stop.unsqueeze(1) - time + torch.arange(time, device=self.device)
        real = place >= first.unsqueeze(1)  # (batch, time)
        place = torch.where(real, place, 0)

        def padded(flat: Tensor, filler: float) -> Tensor:
            return torch.where(real, flat[place], filler) if len(flat) else flat.new_full(place.shape, filler)

        channels = Channels(
            None if self._user_ids is None else self._user_ids[numbers],
            None if self._dwell_times is None else padded(self._dwell_times, torch.nan),
            None if self._started is None else self._started[numbers],
            kinds=None if self._kinds is None else padded(self._kinds, UNKNOWN),
            context=None if self._context is None else self._context[numbers],
        )
        return first, stop, padded(self._items, PADDING_IDX), channels

    def _mini_batch(self, rows: NDArray[np.int64], numbers: Tensor) -> MiniBatch:
        lengths, first = self._lengths[rows], self._offsets[numbers]
        row, number = numbered(self._offsets[numbers + 1] - first, int(lengths.sum()))
        return MiniBatch(self._items[first[row] + number], len(rows), int((lengths - 1).clip(min=0).sum()))


def numbered(counts: Tensor, total: int) -> tuple[Tensor, Tensor]:
    """For so many entries of each row, `total` in all: the row of each, and its number in the row, from 0.

    >>> [part.tolist() for part in numbered(torch.tensor([2, 0, 3]), 5)]
    [[0, 0, 2, 2, 2], [0, 1, 0, 1, 2]]
    """
    row = torch.arange(len(counts), device=counts.device).repeat_interleave(counts, output_size=total)
    return row, torch.arange(total, device=counts.device) - (counts.cumsum(0) - counts)[row]


def training_rows(
    sessions: SessionInteractions,
    batch_size: int,
    random_state: RandomState,
    start: int = 0,
    last: NDArray[np.bool_] | None = None,
    before_last: Callable[[], None] = lambda: None,
) -> tuple[NDArray[np.int64], Iterator[slice]]:
    """One epoch: every session of two events or more once, in random order, int64 (rows,), and which slices of these
    are the mini-batches, without the first `start`.

    Rows are shuffled, sorted by length within pools of ``POOL`` batches, cut into batches, and the batches shuffled.
    Sessions that are to come `last`, bool (session,), come after all others; ``before_last()`` is called before them.
    """
    long_enough, later = sessions.lengths >= 2, np.zeros(len(sessions), bool) if last is None else last
    parts = [_shuffled(sessions, which & long_enough, batch_size, random_state) for which in (~later, later)]
    rows, cuts = np.concatenate([rows for rows, _ in parts]), [*parts[0][1], *(parts[1][1] + len(parts[0][0]))]

    def batches() -> Iterator[slice]:
        for number, bounds in enumerate(cuts):
            if last is not None and number == len(parts[0][1]) and number >= start:
                before_last()
            if number >= start:
                yield slice(*bounds)

    return rows, batches()


def training_batches(
    sessions: SessionInteractions,
    batch_size: int,
    log: SessionsOnDevice,
    random_state: RandomState,
    start: int = 0,
    processes: Processes = ALONE,
    last: NDArray[np.bool_] | None = None,
    before_last: Callable[[], None] = lambda: None,
) -> Iterator[Batch]:
    """The batches of ``training_rows``, of which each of the `processes` gets its share, which may be empty."""
    rows, batches = training_rows(sessions, batch_size, random_state, start, last, before_last)
    numbers, share = moved(torch.from_numpy(rows), log.device), slice(processes.rank, None, processes.size)
    for part in batches:
        yield log.batch(rows[part][share], numbers[part][share], whole=rows[part])


def training_blocks(
    sessions: SessionInteractions,
    batch_size: int,
    log: SessionsOnDevice,
    random_state: RandomState,
    start: int = 0,
    last: NDArray[np.bool_] | None = None,
    before_last: Callable[[], None] = lambda: None,
) -> Iterator[Block | Batch]:
    """The mini-batches of ``training_batches`` as blocks of few shapes, but for those that would be mostly padding."""
    rows, batches = training_rows(sessions, batch_size, random_state, start, last, before_last)
    numbers = moved(torch.from_numpy(rows), log.device)
    for part in batches:
        lengths = sessions.lengths[rows[part]]
        time = _few_widths(int(lengths.max()))
        if len(lengths) * (time - 1) > WASTE * (lengths - 1).sum():
            yield log.batch(rows[part], numbers[part])
        else:
            yield Block(numbers[part], time)


def _few_widths(time: int) -> int:
    """So many columns, or up to an eighth more.

    >>> [_few_widths(time) for time in (2, 15, 16, 17, 33, 199)]
    [2, 15, 16, 18, 36, 208]
    """
    step = max(1, 2 ** (time - 1).bit_length() // 16)
    return -(-time // step) * step


def _shuffled(
    sessions: SessionInteractions, which: NDArray[np.bool_], batch_size: int, random_state: RandomState
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Some of the sessions in random order, and where each batch of them begins and ends: (rows,) and (batches, 2)."""
    rows = random_state.permutation(np.flatnonzero(which))
    pool = np.arange(len(rows)) // (batch_size * POOL)
    rows = rows[np.lexsort((sessions.lengths[rows], pool))]
    first = random_state.permutation(np.arange(0, len(rows), batch_size))
    return rows, np.stack([first, np.minimum(first + batch_size, len(rows))], axis=1)


def user_parallel_batches(
    sessions: SessionInteractions,
    batch_size: int,
    log: SessionsOnDevice,
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
        yield log.batch(share, chain=_chain(owners[share]), whole=chunk)


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
    lengths, log = sessions.lengths[order], SessionsOnDevice(sessions, device)
    numbers, start = moved(torch.from_numpy(order), device), 0
    while start < len(order):
        stop = min(start + batch_size, len(order))
        steps = lengths[start:stop] * np.arange(1, stop - start + 1)  # of a batch that ends with each session; rises
        stop = start + max(1, int(np.searchsorted(steps, STEPS_AT_ONCE, side="right")))
        yield log.batch(order[start:stop], numbers[start:stop])
        start = stop
