"""Passes over sessions in batches: in a new random order for training, users together, or once for scoring."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.random import RandomState
from numpy.typing import NDArray

from spotlight_asars.runtime.devices import moved
from spotlight_asars.runtime.distributed import ALONE, Processes
from spotlight_asars.sessions.batching import Batch, Block, SessionsOnDevice
from spotlight_asars.sessions.channels import Chain
from spotlight_asars.sessions.interactions import SessionInteractions

STEPS_AT_ONCE = 2**16  # rows times columns of a batch that is scored: long sessions come in fewer rows
WASTE = 4  # times as many steps as targets, beyond which a mini-batch becomes no block
POOL = 64  # batches whose rows are sorted by length together, so that rows of like length share a batch


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


def as_blocks(log: SessionsOnDevice, rows: NDArray[np.int64], batches: Iterator[slice]) -> Iterator[Block | Batch]:
    """The mini-batches of ``training_rows`` as blocks of few shapes, but for those that would be mostly padding."""
    numbers = moved(torch.from_numpy(rows), log.device)
    for part in batches:
        lengths = log.lengths[rows[part]]
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
