r"""Learned terms in the score for the items that followed, or came together with, the session's latest ones.

.. math:: r'_{jk} = r_{jk} + (w_F + g_F(q_j)) \log(1 + \beta_F f_{jk}) + (w_G + g_G(q_j)) \log(1 + \beta_G g_{jk})

with the counts f and g of ``Transitions``. Inside a softmax, the logarithm of a count acts as popularity after an item.
The gates :math:`g_F, g_G` are linear in the state :math:`q_j`. All weights start at 0, and all :math:`\beta` at 1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spotlight_asars.memory.item_transitions import EVIDENCE
from spotlight_asars.memory.score_terms import ScoreTerms
from spotlight_asars.runtime.devices import take
from spotlight_asars.sessions.channels import CandidateQuery, Channels


class TransitionTerms(nn.Module):
    """Terms from ``channels.transitions``, for a ``RecallNet``."""

    def __init__(self, state_size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(len(EVIDENCE)))
        self.log_beta = nn.Parameter(torch.zeros(len(EVIDENCE)))
        self.gates = nn.Linear(state_size, len(EVIDENCE), bias=False)
        nn.init.zeros_(self.gates.weight)

    def weights(self) -> dict[str, float]:
        r"""The learned weight of each term, by its name; "scale of ..." is its :math:`\beta`."""
        weights = torch.cat([self.weight, self.log_beta.exp()]).tolist()
        return dict(zip((*EVIDENCE, *(f"scale of {name}" for name in EVIDENCE)), weights, strict=True))

    def recall(self, items: Tensor, channels: Channels) -> CandidateQuery | None:
        """The query for candidates of a batch."""
        return channels.transitions

    def forward(self, query: CandidateQuery | None, values: Tensor, rows: Tensor, steps: Tensor) -> list[ScoreTerms]:
        """Terms for the states `values` (states, ...) after these steps of these rows, int64 (states,) each."""
        if query is None:
            return []
        weights = (self.weight + self.gates(values.flatten(1))).unbind(1)  # (states,) for each kind of evidence
        candidates = query.candidates(rows, steps)
        return [
            ScoreTerms(state, items, take(weight, 0, state) * torch.log1p(beta * strength.to(values.dtype)))
            for weight, beta, (state, items, strength) in zip(weights, self.log_beta.exp(), candidates, strict=True)
        ]
