r"""Memory in the score: learned terms for the items that the user has viewed before, whatever scores all items.

.. math:: r'_{jk} = r_{jk} + [k \in H_u] \, \big( g_H(q_j) + T_H(k) \big)
                    + [k \in S_j] \, \big( g_S(q_j) + T_S(j, k) \big)

.. math:: T_H(k) = w_{seen} + w_{times} \log(1 + n_k) + w_{sessions} \, a_k^{-\lambda_1}
                   + w_{time} \, (1 + \delta_k)^{-\lambda_2} + w_{dwell} \log(1 + d_k)

.. math:: T_S(j, k) = w_{here} + w_{steps} \, (1 + b_{jk})^{-\lambda_3} + w_{last} \, [b_{jk} = 0]

:math:`H_u` are the items of the user's earlier sessions: viewed :math:`n_k` times, for :math:`d_k` seconds on average,
the last time :math:`a_k` sessions and :math:`\delta_k` days ago. :math:`S_j` are those of this session up to event j,
viewed :math:`b_{jk}` steps ago. The gates :math:`g` are linear in the state :math:`q_j`: inside a softmax, they trade
repeating for exploring. All weights start from 0, so at first the memory is silent; all :math:`\lambda` start from 1.

The terms touch only the items of a history: their cost does not depend on the catalogue.

References
----------
P. Ren et al.: RepeatNet: A repeat aware neural recommendation machine for session-based recommendation. AAAI 2019.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from spotlight_asars._spotlight import PADDING_IDX
from spotlight_asars.channels import Channels, History
from spotlight_asars.representations.dynamics import DAY

EARLIER = ("seen", "times", "sessions_ago", "time_ago", "dwell")
HERE = ("here", "steps_ago", "last")
DECAYS = ("sessions_ago", "time_ago", "steps_ago")


class HistoryNet(nn.Module):
    """Any representation, with the terms of the memory added to its scores.

    Its states are ``RecalledStates`` in the place of tensors.

    Parameters
    ----------
    net : Representation
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        self.earlier = nn.Parameter(torch.zeros(len(EARLIER)))
        self.here = nn.Parameter(torch.zeros(len(HERE)))
        self.log_decay = nn.Parameter(torch.zeros(len(DECAYS)))
        with torch.no_grad():
            state = net.states(torch.ones(1, 1, dtype=torch.int64))[0, 0]  # type: ignore[operator]
        self.gates = nn.Linear(state.numel(), 2, bias=False)
        nn.init.zeros_(self.gates.weight)

    def weights(self) -> dict[str, float]:
        r"""What each term has learned, by its name; "decay of ..." is its :math:`\lambda`."""
        weights = torch.cat([self.earlier, self.here, self.log_decay.exp()]).tolist()
        return dict(zip((*EARLIER, *HERE, *(f"decay of {name}" for name in DECAYS)), weights, strict=True))

    def states(self, items: Tensor, channels: Channels | None = None) -> RecalledStates:
        """State after each step, (batch, time, ...), and what the memory holds for it.

        Parameters
        ----------
        items : int64 (batch, time)
            Padded with 0 anywhere.
        channels : Channels, optional
            ``channels.history`` are the items of earlier sessions; the terms of this session need no channel.
        """
        channels = channels or Channels()
        values = self.net.states(items, channels)  # type: ignore[operator]
        rows = torch.arange(len(items), device=items.device).unsqueeze(1).expand(items.shape)
        steps = torch.arange(items.shape[1], device=items.device).expand(items.shape)
        return RecalledStates(values, rows, steps, Recalled(self, items, channels.history))

    def score(self, states: RecalledStates, targets: Tensor) -> Tensor:
        """Scores of one item for each state: (rows, ...), (rows,) -> (rows,)."""
        scores: Tensor = self.net.score(states.values, targets)  # type: ignore[operator]
        items, terms = states.terms
        return scores + (terms * (items == targets.unsqueeze(1))).sum(dim=1)

    def score_items(self, states: RecalledStates, item_ids: Tensor | None = None) -> Tensor:
        """Scores of the same items, or the whole catalogue, for every state: (rows, items)."""
        scores: Tensor = self.net.score_items(states.values, item_ids)  # type: ignore[operator]
        items, terms = states.terms
        if item_ids is None:
            return scores.scatter_add(1, items, terms.to(scores.dtype))
        distinct, column = item_ids.unique(return_inverse=True)
        place, found = _places(distinct, items)
        added = terms.new_zeros(len(terms), len(distinct)).scatter_add(1, place, terms * found)
        return scores + added[:, column]

    def earlier_terms(self, history: History) -> Tensor:
        """:math:`T_H` of each item of each user's history: (batch, slots), 0 at padding."""
        sessions_decay, time_decay, _ = self.log_decay.exp()
        days = history.seconds_ago.nan_to_num(0.0).clamp(min=0) / DAY  # NaN would spoil the gradient of the decay
        features = (
            torch.ones_like(history.times),
            torch.log1p(history.times),
            history.sessions_ago.clamp(min=1) ** -sessions_decay,
            (1 + days) ** -time_decay * history.seconds_ago.isfinite(),
            torch.log1p(history.dwell).nan_to_num(0.0),
        )
        terms = sum(weight * feature for weight, feature in zip(self.earlier, features, strict=True))
        return terms * (history.items != PADDING_IDX)

    def here_terms(self, ago: Tensor) -> Tensor:
        """:math:`T_S` of items viewed so many steps ago."""
        here, steps_ago, last = self.here
        return here + steps_ago * (1 + ago) ** -self.log_decay[2].exp() + last * (ago == 0)


class Recalled:
    """What the memory holds for a batch, shared by its states."""

    def __init__(self, net: HistoryNet, items: Tensor, history: History | None) -> None:
        self.net, self.items, self.history = net, items, history
        self.earlier = None if history is None else net.earlier_terms(history)
        self.place = (items != PADDING_IDX).cumsum(dim=1)  # number of each event among those of its session
        ordered, order = items.sort(dim=1, stable=True)
        following = torch.full_like(items, items.shape[1])
        again = ordered[:, 1:] == ordered[:, :-1]
        following[:, :-1] = torch.where(again, order[:, 1:], following[:, :-1])
        self.next = torch.empty_like(items).scatter(1, order, following)  # step of the item's next view

    def terms(self, values: Tensor, rows: Tensor, steps: Tensor) -> tuple[Tensor, Tensor]:
        """Items that the terms touch, and what they add to the scores: (rows, slots) each, 0 at padding."""
        gates = self.net.gates(values.flatten(1))  # (rows, 2)
        viewed = self.items[rows]  # (rows, time)
        here = torch.arange(viewed.shape[1], device=rows.device) <= steps.unsqueeze(1)
        here = here & (self.next[rows] > steps.unsqueeze(1)) & (viewed != PADDING_IDX)  # the latest view of each item
        ago = (self.place[rows, steps].unsqueeze(1) - self.place[rows]).clamp(min=0).to(values.dtype)
        items, terms = viewed * here, (self.net.here_terms(ago) + gates[:, :1]) * here
        if self.history is None or self.earlier is None:
            return items, terms
        before = self.history.items[rows]
        earlier = self.earlier[rows] + gates[:, 1:] * (before != PADDING_IDX)
        return torch.cat([before, items], dim=1), torch.cat([earlier, terms], dim=1)


class RecalledStates:
    """States that know which steps of which sessions they are of; indexed like a tensor (batch, time, ...)."""

    def __init__(self, values: Tensor, rows: Tensor, steps: Tensor, recalled: Recalled) -> None:
        self.values, self.rows, self.steps, self.recalled = values, rows, steps, recalled

    def __getitem__(self, key: Any) -> RecalledStates:
        return RecalledStates(self.values[key], self.rows[key], self.steps[key], self.recalled)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def device(self) -> torch.device:
        return self.values.device

    @cached_property
    def terms(self) -> tuple[Tensor, Tensor]:
        """Items that the memory touches and what it adds, (rows, slots) each; an item may stand there twice."""
        return self.recalled.terms(self.values, self.rows, self.steps)

    def distinct(self) -> tuple[Tensor, Tensor]:
        """The items that the memory touches in any row, int64 (items,), and in which, bool (rows, items)."""
        items, _ = self.terms
        distinct = items.unique()
        distinct = distinct[distinct != PADDING_IDX]
        place, found = _places(distinct, items)
        hits = torch.zeros(len(items), len(distinct) + 1, dtype=torch.bool, device=items.device)
        hits.scatter_(1, torch.where(found, place, len(distinct)), True)
        return distinct, hits[:, :-1]


def _places(distinct: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
    """Where `items` stand among the sorted `distinct` ones, and whether they do."""
    if not len(distinct):
        return torch.zeros_like(items), torch.zeros_like(items, dtype=torch.bool)
    place = torch.searchsorted(distinct, items).clamp(max=len(distinct) - 1)
    return place, distinct[place] == items
