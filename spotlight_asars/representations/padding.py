"""Padding is a step at which nothing happens, wherever it stands."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from spotlight_asars._spotlight import PADDING_IDX


def events_first(items: Tensor) -> tuple[Tensor, Tensor]:
    """Which steps are real, bool (batch, time), and the order that puts them first, int64 (batch, time)."""
    real = items != PADDING_IDX
    return real, real.argsort(dim=1, descending=True, stable=True)


def after_each_step(trace: Tensor, real: Tensor) -> Tensor:
    """From the states after 0, 1, 2, ... events to those before the first step and after each.

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
    seen = seen.reshape(*seen.shape, *[1] * (trace.dim() - 2))
    return trace.gather(1, seen.expand(-1, -1, *trace.shape[2:]))
