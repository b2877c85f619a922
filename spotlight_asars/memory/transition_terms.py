r"""Learned terms in the score for the items that followed, or came together with, the session's latest ones.

.. math:: r'_{jk} = r_{jk} + \sum_{d=1}^{6} c_d \big(w_d + \tfrac{1}{d} g(q_j)\big)
                    \big( a_F \log(1 + \beta_F F_{i_d k}) + a_G \log(1 + \beta_G G_{i_d k}) \big)

with the counts F and G of ``Transitions``; :math:`i_1` is the session's last item, :math:`i_2` the one before. Inside a
softmax, the logarithm of a count acts as popularity after an item. The gate :math:`g` is linear in the state
:math:`q_j` and starts at 0, :math:`w_d` at :math:`1 / d`, all :math:`a` at 1/4, and all :math:`\beta` at 1.
:math:`c_d` is the weight of the kind of the event of :math:`i_d`, which starts at 1, and stays there for unknown kinds;
where the kind of the event to come is known, it is that times another weight of that kind, likewise. Once training is
over, the terms count ``gain`` times as much.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from spotlight_asars.memory.item_transitions import EVIDENCE, LATEST
from spotlight_asars.memory.kind_weights import kind_weights
from spotlight_asars.memory.table_terms import TableTerms
from spotlight_asars.sessions.channels import Channels


class TransitionTerms(nn.Module):
    """Terms from ``channels.transitions``, for a ``RecallNet``."""

    gain: Tensor

    def __init__(self, state_size: int, num_kinds: int, gain: float) -> None:
        super().__init__()
        self.register_buffer("gain", torch.tensor(gain))
        self.place = nn.Parameter(_by_place())
        self.kind = nn.Parameter(torch.full((len(EVIDENCE),), 0.25))
        self.log_beta = nn.Parameter(torch.zeros(len(EVIDENCE)))
        self.gate = nn.Linear(state_size, 1, bias=False)
        nn.init.zeros_(self.gate.weight)
        self.of_kind, self.of_asked = kind_weights(num_kinds, start=1.0), kind_weights(num_kinds, start=1.0)

    def weights(self) -> dict[str, float]:
        r"""The learned weight of each term, by its name; "scale of ..." is its :math:`\beta`."""
        places = ("last", *(f"{d} before" for d in range(1, LATEST)))
        names = [f"{kind} {place}" for kind in EVIDENCE for place in places]
        each = self.kind.unsqueeze(1) * self.place
        weights = torch.cat([each.flatten(), self.log_beta.exp()]).tolist()
        found = dict(zip((*names, *(f"scale of {name}" for name in EVIDENCE)), weights, strict=True))
        if self.of_kind is None or self.of_asked is None:
            return found
        return {**found, **self.of_kind.named("what follows"), **self.of_asked.named("what follows, asked for")}

    def recall(self, items: Tensor, channels: Channels) -> Channels:
        """The channels of a batch, with a query for candidates."""
        return channels

    def forward(self, channels: Channels, values: Tensor, rows: Tensor, steps: Tensor) -> list[TableTerms]:
        """Terms for the states `values` (states, ...) after these steps of these rows, int64 (states,) each."""
        if channels.transitions is None:
            return []
        found, kinds = channels.transitions.candidates(rows, steps), channels.kinds
        gate = self.gate(values.flatten(1)).to(self.place.dtype)  # (states, 1)
        weight = (self.place + gate * _by_place(rows.device)) * found.real  # (states, places)
        if self.of_kind is not None and kinds is not None:
            weight = weight * self.of_kind(kinds[rows.unsqueeze(1), found.step])
        if self.of_asked is not None and channels.asked is not None:
            weight = weight * self.of_asked(channels.asked[rows, steps].unsqueeze(1))
        weight = weight if self.training else weight * self.gain
        terms = [TableTerms(found.rows, self.value, found.row, found.real, weight)]
        if found.own is not None:
            terms.append(TableTerms(found.own, self._change, found.row, found.real, weight))
        return terms

    def _change(self, strength: Sequence[Tensor]) -> Tensor:
        """What it changes to leave a session out: by the counts of each kind with it, and then by those without it."""
        return self.value(strength[len(EVIDENCE) :]) - self.value(strength[: len(EVIDENCE)])

    def value(self, strength: Sequence[Tensor]) -> Tensor:
        """What the counts of candidates are worth, (...), by their counts of each kind, (...)."""
        logs = [
            torch.log1p(beta * counts.to(beta.dtype))
            for beta, counts in zip(self.log_beta.exp(), strength, strict=True)
        ]
        return torch.addcmul(self.kind[0] * logs[0], self.kind[1], logs[1])


def _by_place(device: torch.device | None = None) -> Tensor:
    """1 for the last event, 1/2 for the one before, ...: float (places,)."""
    return 1.0 / torch.arange(1, LATEST + 1, device=device)
