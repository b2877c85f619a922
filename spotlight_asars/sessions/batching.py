"""Sessions become batches, padded to the longest of them, on the device where their events are."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spotlight_asars._spotlight import PADDING_IDX
from spotlight_asars.events.labels import UNKNOWN
from spotlight_asars.runtime.devices import moved
from spotlight_asars.sessions.channels import Chain, Channels
from spotlight_asars.sessions.interactions import SessionInteractions


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

    Attributes
    ----------
    lengths : int64 (session,)
        On the host.
    """

    def __init__(self, sessions: SessionInteractions, device: torch.device) -> None:
        def on_device(array: NDArray[Any] | None) -> Tensor | None:
            return None if array is None else moved(torch.from_numpy(np.ascontiguousarray(array)), device)

        self.device, self.lengths = device, sessions.lengths
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
        lengths = self.lengths[rows]
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
        lengths, first = self.lengths[rows], self._offsets[numbers]
        row, number = numbered(self._offsets[numbers + 1] - first, int(lengths.sum()))
        return MiniBatch(self._items[first[row] + number], len(rows), int((lengths - 1).clip(min=0).sum()))


def numbered(counts: Tensor, total: int) -> tuple[Tensor, Tensor]:
    """For so many entries of each row, `total` in all: the row of each, and its number in the row, from 0.

    >>> [part.tolist() for part in numbered(torch.tensor([2, 0, 3]), 5)]
    [[0, 0, 2, 2, 2], [0, 1, 0, 1, 2]]
    """
    row = torch.arange(len(counts), device=counts.device).repeat_interleave(counts, output_size=total)
    return row, torch.arange(total, device=counts.device) - (counts.cumsum(0) - counts)[row]
