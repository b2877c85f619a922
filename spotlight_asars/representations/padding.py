"""Padding that changes no state: events are moved to the front for a net, and its states back to their steps."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from spotlight_asars._spotlight import PADDING_IDX
from spotlight_asars.runtime.devices import take


def events_first(items: Tensor) -> tuple[Tensor, Tensor]:
    """Which steps are events, bool (batch, time), and the order that puts them first, int64 (batch, time)."""
    real = items != PADDING_IDX
    number = real.cumsum(dim=1)
    step = torch.arange(items.shape[1], device=items.device).expand_as(items)
    place = torch.where(real, number - 1, number[:, -1:] + step - number)
    return real, torch.empty_like(place).scatter(1, place, step)  # ONNX has no stable sort


def after_each_step(trace: Tensor, real: Tensor) -> Tensor:
    """The states before the first step and after each one, from those after 0, 1, 2, ... events.

    Parameters
    ----------
    trace : float (batch, 1 + time, ...)
        Events first.
    real : bool (batch, time)
        True at events.

    Returns
    -------
    float (batch, 1 + time, ...)
        At padding, the state after the last event before it.
    """
    seen = F.pad(real.cumsum(dim=1), (1, 0))  # (batch, 1 + time)
    rows, width = trace.shape[:2]
    first = torch.arange(rows, device=trace.device).unsqueeze(1) * width  # of each row, in a flat trace
    return take(trace.flatten(0, 1), 0, (first + seen).flatten()).unflatten(0, seen.shape)


class SortedEvents(NamedTuple):
    """A batch with the events of each row first, and its padding after them.

    items : int64 (batch, time)
    dwell_times : float (batch, time) [s], NaN where unknown
    real : bool (batch, time), True at events
    kinds : int64 (batch, time), or None where none is known
    """

    items: Tensor
    dwell_times: Tensor
    real: Tensor
    kinds: Tensor | None = None

    @classmethod
    def sort(cls, items: Tensor, dwell_times: Tensor | None, kinds: Tensor | None = None) -> SortedEvents:
        """From items, dwell times and kinds (batch, time) with padding anywhere."""
        real, order = events_first(items)
        if dwell_times is None:
            dwell_times = torch.full(items.shape, torch.nan, device=items.device)
        kinds = None if kinds is None else kinds.gather(1, order)
        return cls(items.gather(1, order), dwell_times.gather(1, order), real.gather(1, order), kinds)

    def final(self, states: Tensor) -> Tensor:
        """Of the states after each event, (batch, time, dim), that after the last; zeros where there is no event."""
        return F.pad(states, (0, 0, 1, 0))[torch.arange(states.shape[0], device=states.device), self.real.sum(dim=1)]
