r"""Learned terms in the score for the items that the user has viewed before.

.. math:: r'_{jk} = r_{jk} + [k \in H_u] \, \big( g_H(q_j) + T_H(k) \big)
                    + [k \in S_j] \, \big( g_S(q_j) + T_S(j, k) \big)

.. math:: T_H(k) = w_{seen} + w_{times} \log(1 + n_k) + w_{sessions} \, a_k^{-\lambda_1}
                   + w_{time} \, (1 + \delta_k)^{-\lambda_2} + w_{dwell} \log(1 + d_k) + c_k

.. math:: T_S(j, k) = w_{here} + w_{steps} \, (1 + b_{jk})^{-\lambda_3} + w_{last} \, [b_{jk} = 0] + c_{jk}

:math:`H_u` are the items of the user's earlier sessions: viewed :math:`n_k` times, for :math:`d_k` seconds on average,
the last time :math:`a_k` sessions and :math:`\delta_k` days ago. :math:`S_j` are the items of this session up to event
j, viewed :math:`b_{jk}` steps ago; :math:`c` is the weight of the kind of the last view, 0 where it is unknown. Where
the kind of the event to come is known, there is one more weight of each pair of these kinds. The gates :math:`g` are
linear in the state :math:`q_j`: inside a softmax, they trade repeating for exploring. All weights start at 0, so an
untrained memory changes no score; all :math:`\lambda` start at 1. Once training is over, the terms count ``gain`` times
as much. Only the items of a history have terms: their cost does not depend on the catalogue.

References
----------
P. Ren et al.: RepeatNet: A repeat aware neural recommendation machine for session-based recommendation. AAAI 2019.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spotlight_asars._checks import LARGEST_ID
from spotlight_asars.memory.kind_weights import kind_weights, pair_weights
from spotlight_asars.memory.score_terms import ScoreTerms
from spotlight_asars.runtime.devices import take
from spotlight_asars.sessions import PADDING_IDX
from spotlight_asars.sessions.channels import Channels, History

DAY = 86400.0  # [s]
EARLIER_TERMS = ("seen", "times", "sessions_ago", "time_ago", "dwell")
SESSION_TERMS = ("here", "steps_ago", "last")
DECAYS = ("sessions_ago", "time_ago", "steps_ago")


class HistoryTerms(nn.Module):
    """Terms from earlier sessions, ``channels.history``, and from the session itself, for a ``RecallNet``."""

    gain: Tensor

    def __init__(self, state_size: int, num_kinds: int, gain: float) -> None:
        super().__init__()
        self.register_buffer("gain", torch.tensor(gain))
        self.earlier = nn.Parameter(torch.zeros(len(EARLIER_TERMS)))
        self.here = nn.Parameter(torch.zeros(len(SESSION_TERMS)))
        self.log_decay = nn.Parameter(torch.zeros(len(DECAYS)))
        self.gates = nn.Linear(state_size, 2, bias=False)
        nn.init.zeros_(self.gates.weight)
        self.of_kind, self.of_earlier_kind = kind_weights(num_kinds, start=0.0), kind_weights(num_kinds, start=0.0)
        self.of_pair, self.of_earlier_pair = pair_weights(num_kinds), pair_weights(num_kinds)

    def weights(self) -> dict[str, float]:
        r"""The learned weight of each term, by its name; "decay of ..." is its :math:`\lambda`."""
        weights = torch.cat([self.earlier, self.here, self.log_decay.exp()]).tolist()
        names = (*EARLIER_TERMS, *SESSION_TERMS, *(f"decay of {name}" for name in DECAYS))
        found = dict(zip(names, weights, strict=True))
        for what, parts in (
            ("here, of", (self.of_kind, self.of_pair)),
            ("seen, of", (self.of_earlier_kind, self.of_earlier_pair)),
        ):
            for part in parts:
                found |= {} if part is None else part.named(what)
        return found

    def recall(self, items: Tensor, channels: Channels) -> ViewedItems:
        """What the users of a batch viewed before each step of items, int64 (batch, time)."""
        history = channels.history
        if history is None:
            return ViewedItems(items, None, None, channels.kinds, channels.asked)
        order = torch.where(history.items == PADDING_IDX, LARGEST_ID + 1, history.items).argsort(dim=1)
        history = History(*(column.gather(1, order) for column in history))  # the items rise, as terms have them
        return ViewedItems(items, history, self.earlier_terms(history), channels.kinds, channels.asked)

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
        if self.of_earlier_kind is not None:
            terms = terms + self.of_earlier_kind(history.kinds)
        return terms * (history.items != PADDING_IDX)

    def session_terms(self, ago: Tensor) -> Tensor:
        """:math:`T_S` of items viewed so many steps ago."""
        here, steps_ago, last = self.here
        return here + steps_ago * torch.exp(-self.log_decay[2].exp() * torch.log1p(ago)) + last * (ago == 0)

    def forward(self, viewed: ViewedItems, values: Tensor, rows: Tensor, steps: Tensor) -> list[ScoreTerms]:
        """Terms for the states `values` (states, ...) after these steps of these rows, int64 (states,) each."""
        gates = self.gates(values.flatten(1)).to(self.earlier.dtype)  # (states, 2), in full also where nets are in half
        items, number = take(viewed.items, 0, rows), take(viewed.number, 0, rows)  # (states, time)
        step = steps.unsqueeze(1)
        so_far = torch.arange(items.shape[1], device=rows.device) <= step
        latest = so_far & (take(viewed.next_view, 0, rows) > step) & (items != PADDING_IDX)  # view of each item
        ago = (number.gather(1, step) - number).clamp(min=0)
        # on a GPU, to add up the gradient of a few ages takes longer than to compute all
        if rows.device.type == "cpu":
            by_age = self.session_terms(torch.arange(items.shape[1]).to(values.dtype))
            terms = by_age.index_select(0, ago.flatten()).view(ago.shape)
        else:
            terms = self.session_terms(ago.to(values.dtype))
        terms = terms + gates[:, :1]
        if self.of_kind is not None and viewed.kinds is not None:
            terms = terms + self.of_kind(viewed.kinds[rows, : items.shape[1]])
        asked = None if viewed.asked is None else viewed.asked[rows, steps].unsqueeze(1)
        if self.of_pair is not None and asked is not None:
            kinds = torch.zeros_like(items) if viewed.kinds is None else viewed.kinds[rows, : items.shape[1]]
            terms = terms + self.of_pair(kinds, asked)
        found = [ScoreTerms(items * latest, terms * latest)]
        if viewed.history is not None and viewed.earlier_terms is not None:
            before, row = viewed.history.items, rows.unsqueeze(1)  # (batch, slots), (states, 1)
            earlier = viewed.earlier_terms.to(gates.dtype)
            values = torch.cat([earlier, (before != PADDING_IDX).to(gates.dtype)])  # the second half is for the gate
            weight = torch.cat([torch.ones_like(gates[:, 1:]), gates[:, 1:]], dim=1)
            row = torch.cat([row, row + len(before)], dim=1)
            found.append(ScoreTerms(torch.cat([before, before]), values, row, weight))
            if self.of_earlier_pair is not None and asked is not None:
                earlier = self.of_earlier_pair(viewed.history.kinds[rows], asked)
                found.append(ScoreTerms(before[rows], earlier * (before[rows] != PADDING_IDX)))
        return found if self.training else [terms.times(self.gain) for terms in found]


class ViewedItems:
    """What the users of a batch have viewed, in this session and in earlier ones.

    Parameters
    ----------
    items : int64 (batch, time)
        Of this session, padded with 0 anywhere.
    history : History, optional
        Of earlier sessions.
    earlier_terms : float (batch, slots), optional
        Of the items of `history`.
    kinds : int64 (batch, time), optional
        Of the events of this session.
    asked : int64 (batch, time), optional
        Of the event after each.

    Attributes
    ----------
    number : int64 (batch, time)
        Events of the session up to each step.
    next_view : int64 (batch, time)
        The step at which the item of each step comes again; `time` where it does not.
    """

    def __init__(
        self,
        items: Tensor,
        history: History | None,
        earlier_terms: Tensor | None,
        kinds: Tensor | None = None,
        asked: Tensor | None = None,
    ) -> None:
        self.items, self.history, self.earlier_terms, self.kinds, self.asked = (
            items,
            history,
            earlier_terms,
            kinds,
            asked,
        )
        self.number = (items != PADDING_IDX).cumsum(dim=1)
        ordered, order = items.sort(dim=1, stable=True)
        following = torch.full_like(items, items.shape[1])
        again = ordered[:, 1:] == ordered[:, :-1]
        following[:, :-1] = torch.where(again, order[:, 1:], following[:, :-1])
        self.next_view = torch.empty_like(items).scatter(1, order, following)
