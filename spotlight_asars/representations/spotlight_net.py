"""Spotlight's own nets, and any with the same methods, as a ``Representation``."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spotlight_asars.representations.padding import after_each_step, events_first
from spotlight_asars.sessions.channels import Channels

MOST_NUMBERS = 2**24  # entries of the largest intermediate tensor when a whole catalogue is scored


class SpotlightNet(nn.Module):
    """A net with Spotlight's ``user_representation(items)`` and ``forward(representation, targets)``.

    Channels are ignored. States are (batch, time, ...) with any further axes that the net uses.
    """

    def __init__(self, net: nn.Module, num_items: int) -> None:
        super().__init__()
        self.net, self.num_items = net, num_items

    def states(self, items: Tensor, channels: Channels | None = None) -> Tensor:
        """State after each step, (batch, time, ...); Spotlight's nets see no padding before the events."""
        real, order = events_first(items)
        every, final = self.net.user_representation(items.gather(1, order))  # type: ignore[operator]
        if final.dim() < every.dim():
            final = final.unsqueeze(-1)
        return after_each_step(torch.cat([every, final], dim=-1).movedim(-1, 1), real)[:, 1:]

    def score(self, states: Tensor, targets: Tensor) -> Tensor:
        """Scores of one item for each state: (rows, ...), (rows,) -> (rows,)."""
        return self._score(states.unsqueeze(1), targets.unsqueeze(1)).squeeze(1)

    def score_items(self, states: Tensor, item_ids: Tensor | None = None) -> Tensor:
        """Scores of the same items, or of the whole catalogue, for every state: (rows, items)."""
        if item_ids is None:
            item_ids = torch.arange(self.num_items, device=states.device)
        per_row = len(item_ids) * states[0].numel()  # the nets score by elementwise products: chunks bound the memory
        scores = [
            self._score(rows.unsqueeze(1).expand(-1, len(item_ids), *rows.shape[1:]), item_ids.expand(len(rows), -1))
            for rows in states.split(max(1, MOST_NUMBERS // per_row))
        ]
        return torch.cat(scores)

    def _score(self, states: Tensor, targets: Tensor) -> Tensor:
        batch, time = targets.shape
        if time == 1:  # Spotlight's bare squeeze() would drop the axis
            states, targets = torch.cat([states, states], dim=1), torch.cat([targets, targets], dim=1)
        scores = self.net(states.movedim(1, -1), targets).reshape(batch, -1)
        return scores[:, :time]
