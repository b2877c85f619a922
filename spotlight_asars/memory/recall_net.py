"""What is recalled, added to the scores of any representation: few items for each state, whatever the catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from spotlight_asars._spotlight import PADDING_IDX
from spotlight_asars.sessions.channels import Channels


class Added(NamedTuple):
    """What is added to scores, one entry for a state and an item; several for the same two add up.

    state, items : int64 (entries,), padding item 0 takes nothing
    value : float (entries,)
    """

    state: Tensor
    items: Tensor
    value: Tensor

    @classmethod
    def of(cls, parts: Sequence[Added]) -> Added:
        """All parts together."""
        return cls(*(torch.cat(column) for column in zip(*parts, strict=True)))


class RecallNet(nn.Module):
    """Any representation, with what its terms recall added to its scores.

    Its states are ``RecalledStates`` in the place of tensors.

    Parameters
    ----------
    net : Representation
    *terms : nn.Module
        Each has ``recall(items, channels)``, what it finds for a batch, and ``forward(recalled, values, rows, steps)``,
        what is ``Added`` for states.
    """

    def __init__(self, net: nn.Module, *terms: nn.Module) -> None:
        super().__init__()
        self.net, self.terms = net, nn.ModuleList(terms)

    def weights(self) -> dict[str, float]:
        """What each term has learned, by its name."""
        found: dict[str, float] = {}
        for terms in self.terms:
            found.update(terms.weights())  # type: ignore[operator]
        return found

    def states(self, items: Tensor, channels: Channels | None = None) -> RecalledStates:
        """State after each step, (batch, time, ...), of items (batch, time), padded with 0 anywhere."""
        channels = channels or Channels()
        return self.recall(self.net.states(items, channels), items, channels)  # type: ignore[operator]

    def recall(self, values: Tensor, items: Tensor, channels: Channels) -> RecalledStates:
        """The net's own states, (batch, time, ...), with what the terms find for them."""
        rows = torch.arange(len(items), device=items.device).unsqueeze(1).expand(items.shape)
        steps = torch.arange(items.shape[1], device=items.device).expand(items.shape)
        recalled = [(terms, terms.recall(items, channels)) for terms in self.terms]  # type: ignore[operator]
        return RecalledStates(values, rows, steps, recalled)

    def score(self, states: RecalledStates, targets: Tensor) -> Tensor:
        """Scores of one item for each state: (rows, ...), (rows,) -> (rows,)."""
        scores: Tensor = self.net.score(states.values, targets)  # type: ignore[operator]
        state, items, value = states.added
        hit = (items == targets[state]).nonzero().squeeze(1)
        return scores.index_add(0, state[hit], value[hit].to(scores.dtype))

    def score_pairs(self, states: RecalledStates, state: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
        """Scores of pairs of a state and an item, no two alike, and whether anything is recalled for them.

        Parameters
        ----------
        states : RecalledStates (rows, ...)
        state, items : int64 (pairs,)

        Returns
        -------
        scores : float (pairs,)
        recalled : bool (pairs,)
        """
        scores: Tensor = self.net.score(states.values[state], items)  # type: ignore[operator]
        added = states.added
        distinct, column = items.unique(return_inverse=True)
        keys, pair = (state * len(distinct) + column).sort()
        entry, place = _places(distinct, added.items)
        key = added.state[entry] * len(distinct) + place
        nearest = torch.searchsorted(keys, key).clamp(max=max(len(keys) - 1, 0))
        hit = (keys[nearest] == key).nonzero().squeeze(1)
        entry, place = entry[hit], pair[nearest[hit]]
        recalled = torch.zeros_like(items, dtype=torch.bool).index_fill(0, place, True)
        return scores.index_add(0, place, added.value[entry].to(scores.dtype)), recalled

    def score_items(self, states: RecalledStates, item_ids: Tensor | None = None) -> Tensor:
        """Scores of the same items, or the whole catalogue, for every state: (rows, items)."""
        scores: Tensor = self.net.score_items(states.values, item_ids)  # type: ignore[operator]
        state, items, value = states.added
        if item_ids is None:
            return _add(scores, state, items, value)
        distinct, column = item_ids.unique(return_inverse=True)
        entry, place = _places(distinct, items)
        added = _add(scores.new_zeros(len(scores), len(distinct)), state[entry], place, value[entry])
        return scores + added.index_select(1, column)


class RecalledStates:
    """States that know which steps of which sessions they are of; indexed like a tensor (batch, time, ...)."""

    def __init__(self, values: Tensor, rows: Tensor, steps: Tensor, recalled: list[tuple[nn.Module, Any]]) -> None:
        self.values, self.rows, self.steps, self._recalled = values, rows, steps, recalled

    def __getitem__(self, key: Any) -> RecalledStates:
        return RecalledStates(self.values[key], self.rows[key], self.steps[key], self._recalled)

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def added(self) -> Added:
        """What all terms add to the scores of these states (rows, ...)."""
        return Added.of([terms(recalled, self.values, self.rows, self.steps) for terms, recalled in self._recalled])

    def distinct(self) -> tuple[Tensor, Tensor]:
        """The items that are recalled for any state, int64 (items,), and for which, bool (rows, items)."""
        state, items, _ = self.added
        distinct = items.unique()
        distinct = distinct[distinct != PADDING_IDX]
        entry, place = _places(distinct, items)
        hits = torch.zeros(len(self), len(distinct), dtype=torch.bool, device=items.device)
        hits[state[entry], place] = True
        return distinct, hits


def _add(scores: Tensor, state: Tensor, items: Tensor, value: Tensor) -> Tensor:
    """`scores` (rows, items) with each value added in its place."""
    flat = scores.reshape(-1).index_add(0, state * scores.shape[1] + items, value.to(scores.dtype))
    return flat.view(scores.shape)


def _places(distinct: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
    """Which of `items` are among the sorted `distinct` ones, and as which of them: int64 (found,) each."""
    last = int(distinct[-1]) if len(distinct) else -1
    numbers = torch.full((last + 2,), -1, device=items.device)  # one more, for all items beyond
    numbers[distinct] = torch.arange(len(distinct), device=items.device)
    place = numbers[items.clamp(max=last + 1)]
    entry = (place >= 0).nonzero().squeeze(1)
    return entry, place[entry]
