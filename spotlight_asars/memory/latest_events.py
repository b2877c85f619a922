"""The latest events of sessions that are padded anywhere."""

from __future__ import annotations

import torch
from torch import Tensor

from spotlight_asars.sessions import PADDING_IDX

LAST, BEFORE = 0.5, 2.0  # views that the last event and the one before it count for; others count for one


class LatestEvents:
    """Finds the latest events up to any step, in tensors of a fixed size.

    Parameters
    ----------
    items : int64 (batch, time)
        Padded with 0 anywhere.

    Attributes
    ----------
    number : int64 (batch, time)
        Events up to each step.

    Examples
    --------
    >>> items, number = LatestEvents(torch.tensor([[5, 0, 6, 7]])).before(torch.tensor([0]), torch.tensor([2]), 3)
    >>> items.tolist(), number.tolist()
    ([[6, 5, 0]], [[2, 1, 0]])
    """

    def __init__(self, items: Tensor) -> None:
        self._items = items
        real = items != PADDING_IDX  # (batch, time)
        self.number = real.cumsum(dim=1)
        step = torch.arange(items.shape[1], device=items.device).expand(items.shape)
        steps = items.new_zeros(len(items), items.shape[1] + 1)
        self._step_of = steps.scatter(1, self.number * real, step)  # of the event of each number, from 1

    def before(self, rows: Tensor, steps: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """The last `count` events up to these steps of these rows, int64 (states,) each, the latest first.

        Returns
        -------
        items : int64 (states, count)
            0 where there was none.
        number : int64 (states, count)
            Of the event in its session, from 1; 0 where there was none.
        """
        number = (self.number[rows, steps].unsqueeze(1) - torch.arange(count, device=rows.device)).clamp(min=0)
        items = self._items[rows.unsqueeze(1), self.step_of(rows, number)]
        return torch.where(number > 0, items, PADDING_IDX), number

    def step_of(self, rows: Tensor, number: Tensor) -> Tensor:
        """The steps of events by their numbers, int64 (states, count); any step for number 0."""
        return self._step_of[rows.unsqueeze(1), number]


def views(items: Tensor) -> Tensor:
    """How often the item of each event has been viewed, by events int64 (states, n), the last one first: as floats.

    What is on the screen is less likely to be asked for again, and going back one event more likely.
    """
    same = (items.unsqueeze(2) == items.unsqueeze(1)).float()
    last, before = same[:, :, :1].sum(dim=2), same[:, :, 1:2].sum(dim=2)
    return same.sum(dim=2) + (LAST - 1) * last + (BEFORE - 1) * before


def distinct(items: Tensor) -> Tensor:
    """`items` (states, n) with 0 in the place of those that come again in their row."""
    again = (items.unsqueeze(2) == items.unsqueeze(1)).tril(-1).any(dim=2)
    return items.masked_fill(again, PADDING_IDX)
