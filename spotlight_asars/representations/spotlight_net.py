"""Spotlight's own nets, and any with the same methods, as a ``Representation``."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from spotlight_asars.representations.padding import after_each_step, events_first
from spotlight_asars.representations.spotlight_scores import MOST_NUMBERS, rows_of, scoring_of
from spotlight_asars.sessions.channels import Channels


class SpotlightNet(nn.Module):
    """A net with Spotlight's ``user_representation(items)`` and ``forward(representation, targets)``.

    Channels are ignored. States are (batch, time, ...) with any further axes that the net uses. Scores are those of
    ``forward``; Spotlight's own nets give them by products of matrices.
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
        scoring = scoring_of(self.net)
        if scoring is None:
            return self._score(states.unsqueeze(1), targets.unsqueeze(1)).squeeze(1)
        vectors, biases = self._tables(states, targets)
        return scoring.pairs(states, vectors) + biases

    def score_items(self, states: Tensor, item_ids: Tensor | None = None) -> Tensor:
        """Scores of the same items, or of the whole catalogue, for every state: (rows, items)."""
        scoring = scoring_of(self.net)
        if scoring is not None:
            return scoring.matrix(states, *self._tables(states, item_ids))
        if item_ids is None:
            item_ids = torch.arange(self.num_items, device=states.device)
        per_row = (
            len(item_ids) * states[0].numel()
        )  # the net may score by elementwise products: chunks bound the memory
        scores = [
            self._score(rows.unsqueeze(1).expand(-1, len(item_ids), *rows.shape[1:]), item_ids.expand(len(rows), -1))
            for rows in states.split(max(1, MOST_NUMBERS // per_row))
        ]
        return torch.cat(scores)

    def _tables(self, states: Tensor, item_ids: Tensor | None) -> tuple[Tensor, Tensor]:
        """Vectors, (items, dim), and biases, (items,), of these items or of the catalogue."""
        net: Any = self.net
        layers = net.item_embeddings, net.item_biases
        vectors, biases = (rows_of(layer, item_ids, self.num_items, states.device) for layer in layers)
        return vectors, biases.squeeze(-1)

    def _score(self, states: Tensor, targets: Tensor) -> Tensor:
        """By the net's ``forward``: (batch, time, ...), (batch, time) -> (batch, time)."""
        batch, time = targets.shape
        if time == 1:  # Spotlight's bare squeeze() would drop the axis
            states, targets = torch.cat([states, states], dim=1), torch.cat([targets, targets], dim=1)
        scores = self.net(states.movedim(1, -1), targets).reshape(batch, -1)
        return scores[:, :time]
