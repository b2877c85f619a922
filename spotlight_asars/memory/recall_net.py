"""A representation whose scores have terms from the memories: of few items for each state, whatever the catalogue."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from spotlight_asars.memory.history_terms import HistoryTerms
from spotlight_asars.memory.neighbour_terms import NeighbourTerms
from spotlight_asars.memory.score_terms import Columns, Terms, touched_items
from spotlight_asars.memory.transition_terms import TransitionTerms
from spotlight_asars.runtime.devices import take
from spotlight_asars.sessions.channels import Channels


class Gains(NamedTuple):
    """How many times as much terms count once training is over: in training, the net knows the sessions by heart.

    learned : terms whose weights are learned in training
    found : those of neighbours and repeats, whose weights are found on sessions that the net has not been trained on
    """

    learned: float = 1.7
    found: float = 1.0


USUAL_GAINS = Gains()


def with_recall(
    net: nn.Module,
    num_items: int,
    history: bool,
    transitions: bool,
    neighbours: bool = False,
    num_kinds: int = 0,
    gains: Gains = USUAL_GAINS,
) -> nn.Module:
    """`net` with terms of its users' histories, of item transitions and of neighbour sessions, if wanted.

    Where there are several kinds of events, `num_kinds`, the unknown one included, the first two weigh them.
    """
    device = next((tensor.device for tensor in (*net.parameters(), *net.buffers())), None)  # of a net of one's own, too
    with torch.no_grad():
        item = torch.ones(1, 1, dtype=torch.int64, device=device)
        state_size = net.states(item)[0, 0].numel()  # type: ignore[operator]
    terms: list[nn.Module] = [HistoryTerms(state_size, num_kinds, gains.learned)] * history
    terms += [TransitionTerms(state_size, num_kinds, gains.learned)] * transitions
    terms += [NeighbourTerms(gains.found)] * neighbours
    return RecallNet(net, num_items, *terms) if terms else net


def looked_up(net: Any, item_ids: Tensor) -> AbstractContextManager[None]:
    """A block in which there are no items but these, int64 (n,), and padding, each of which is looked up once.

    Only for a net with a method of that name, as ``ASARSNet`` has it; others look up what they are asked for.
    """
    block: AbstractContextManager[None] = net.looked_up(item_ids) if hasattr(net, "looked_up") else nullcontext()
    return block


class RecallNet(nn.Module):
    """Any representation, with the terms of memories added to its scores.

    Its states are ``RecalledStates`` instead of tensors.

    Parameters
    ----------
    net : Representation
    num_items : int
        Size of the catalogue, padding included.
    *terms : nn.Module
        Each has ``recall(items, channels)``, which looks a batch up in its memory, and
        ``forward(recalled, values, rows, steps)``, the ``Terms`` of states, one for each kind.
    """

    def __init__(self, net: nn.Module, num_items: int, *terms: nn.Module) -> None:
        super().__init__()
        self.net, self.num_items, self.terms = net, num_items, nn.ModuleList(terms)

    def weights(self) -> dict[str, float]:
        """The learned weight of each term, by its name."""
        return {name: weight for terms in self.terms for name, weight in terms.weights().items()}  # type: ignore[operator]

    def states(self, items: Tensor, channels: Channels | None = None) -> RecalledStates:
        """State after each step, (batch, time, ...), of items (batch, time), padded with 0 anywhere."""
        channels = channels or Channels()
        return self.recall(self.net.states(items, channels), items, channels)  # type: ignore[operator]

    def looked_up(self, item_ids: Tensor) -> AbstractContextManager[None]:
        """A block in which there are no items but these, int64 (n,)."""
        return looked_up(self.net, item_ids)

    def recall(self, values: Tensor, items: Tensor, channels: Channels) -> RecalledStates:
        """The net's own states, (batch, time, ...), together with what the memories hold for them."""
        rows = torch.arange(len(items), device=items.device).unsqueeze(1).expand(items.shape)
        steps = torch.arange(items.shape[1], device=items.device).expand(items.shape)
        recalled = [(terms, terms.recall(items, channels)) for terms in self.terms]  # type: ignore[operator]
        features = getattr(self.net, "item_features", None)
        return RecalledStates(values, rows, steps, recalled, features.kept() if features and self.training else None)

    def score(self, states: RecalledStates, targets: Tensor) -> Tensor:
        """Scores of one item for each state: (rows, ...), (rows,) -> (rows,)."""
        return self.score_pairs(states, targets.unsqueeze(1)).squeeze(1)

    def score_pairs(self, states: RecalledStates, items: Tensor) -> Tensor:
        """Scores of items of each state's own: int64 (rows, n) -> float (rows, n)."""
        state = torch.arange(len(items), device=items.device).repeat_interleave(items.shape[1])
        values = states.values if items.shape[1] == 1 else take(states.values, 0, state)
        scores: Tensor = self.net.score(values, items.flatten())  # type: ignore[operator]
        scores = scores.view(items.shape)
        for part in states.score_terms:
            scores = scores + part.of(items)
        return scores

    def score_items(self, states: RecalledStates, item_ids: Tensor | None = None) -> Tensor:
        """Scores of the same items, or the whole catalogue, for every state: (rows, items)."""
        scores: Tensor = self.net.score_items(states.values, item_ids)  # type: ignore[operator]
        if item_ids is None:
            for terms in states.score_terms:
                scores = terms.added_to(scores)
            return scores
        if not states.score_terms:
            return scores
        return scores + Columns(item_ids, self.num_items).terms(states.score_terms)


class RecalledStates:
    """States that know which steps of which sessions they follow; indexed like a tensor (batch, time, ...).

    Where only some items have terms, in training, these are `kept`, bool (items,).
    """

    def __init__(
        self,
        values: Tensor,
        rows: Tensor,
        steps: Tensor,
        recalled: list[tuple[nn.Module, Any]],
        kept: Tensor | None = None,
    ) -> None:
        self.values, self.rows, self.steps, self._recalled, self._kept = values, rows, steps, recalled, kept

    def __getitem__(self, key: Any) -> RecalledStates:
        return RecalledStates(self.values[key], self.rows[key], self.steps[key], self._recalled, self._kept)

    def __len__(self) -> int:
        return len(self.rows)

    def with_values(self, values: Tensor) -> RecalledStates:
        """The same with other `values` of the net's own states, (batch, time, ...)."""
        return RecalledStates(values, self.rows, self.steps, self._recalled, self._kept)

    @cached_property
    def score_terms(self) -> list[Terms]:
        """The terms of all memories for these states (rows, ...), kind by kind."""
        found = (terms(recalled, self.values, self.rows, self.steps) for terms, recalled in self._recalled)
        return [kind if self._kept is None else kind.of_items(self._kept) for kinds in found for kind in kinds]

    def recalled_items(self) -> tuple[Tensor, Tensor]:
        """The distinct items that have terms, int64 (items,), and for which states, bool (rows, items)."""
        return touched_items(self.score_terms, self.rows)
