r"""Learned terms in the score for the items that followed, or came together with, the session's latest ones.

.. math:: r'_{jk} = r_{jk} + \sum_{d=1}^{3} \Big( \big(w_{Fd} + \tfrac{1}{d} g_F(q_j)\big) \log(1 + \beta_F F_{i_d k})
                    + \big(w_{Gd} + \tfrac{1}{d} g_G(q_j)\big) \log(1 + \beta_G G_{i_d k}) \Big)

with the counts F and G of ``Transitions``; :math:`i_1` is the session's last item, :math:`i_2` the one before. Inside a
softmax, the logarithm of a count acts as popularity after an item. The gates :math:`g_F, g_G` are linear in
the state :math:`q_j`, and start at 0; the weights start at :math:`1 / 4d`, and all :math:`\beta` at 1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spotlight_asars.memory.item_transitions import EVIDENCE, LATEST
from spotlight_asars.memory.score_terms import ScoreTerms
from spotlight_asars.sessions.channels import CandidateQuery, Channels


class TransitionTerms(nn.Module):
    """Terms from ``channels.transitions``, for a ``RecallNet``."""

    def __init__(self, state_size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(_by_place().repeat(len(EVIDENCE), 1) / 4)  # (kinds, places)
        self.log_beta = nn.Parameter(torch.zeros(len(EVIDENCE)))
        self.gates = nn.Linear(state_size, len(EVIDENCE), bias=False)
        nn.init.zeros_(self.gates.weight)

    def weights(self) -> dict[str, float]:
        r"""The learned weight of each term, by its name; "scale of ..." is its :math:`\beta`."""
        names = [
            f"{name} {place}" for name in EVIDENCE for place in ("last", *(f"{d} before" for d in range(1, LATEST)))
        ]
        weights = torch.cat([self.weight.flatten(), self.log_beta.exp()]).tolist()
        return dict(zip((*names, *(f"scale of {name}" for name in EVIDENCE)), weights, strict=True))

    def recall(self, items: Tensor, channels: Channels) -> CandidateQuery | None:
        """The query for candidates of a batch."""
        return channels.transitions

    def forward(self, query: CandidateQuery | None, values: Tensor, rows: Tensor, steps: Tensor) -> list[ScoreTerms]:
        """Terms for the states `values` (states, ...) after these steps of these rows, int64 (states,) each."""
        if query is None:
            return []
        found = query.candidates(rows, steps)
        gates = self.gates(values.flatten(1)).to(self.weight.dtype).unsqueeze(2)  # (states, kinds, 1)
        weights = (self.weight + gates * _by_place(rows.device)) * found.real.unsqueeze(1)  # (states, kinds, places)
        terms = []
        for kind, (beta, (items, strength)) in enumerate(zip(self.log_beta.exp(), found.evidence, strict=True)):
            value = torch.log1p(beta * strength.to(self.weight.dtype))  # (rows, slots)
            terms.append(ScoreTerms(items, value, found.row, weights[:, kind]))
            if found.own is not None:
                before, after = (part.to(self.weight.dtype) for part in found.own[kind][1:])
                change = torch.log1p(beta * after) - torch.log1p(beta * before)
                terms.append(ScoreTerms(found.own[kind].items, change, found.row, weights[:, kind]))
        return terms


def _by_place(device: torch.device | None = None) -> Tensor:
    """1 for the last event, 1/2 for the one before, ...: float (places,)."""
    return 1.0 / torch.arange(1, LATEST + 1, device=device)
