r"""Counts in the score: learned terms for the items that followed, or came together with, the latest ones.

.. math:: r'_{jk} = r_{jk} + (w_F + g_F(q_j)) \log(1 + \beta_F f_{jk}) + (w_G + g_G(q_j)) \log(1 + \beta_G g_{jk})

with the counts f and g of ``Transitions``. Inside a softmax, the logarithm of a count is how popularity after an item
speaks. The gates :math:`g_F, g_G` are linear in the state :math:`q_j`. All weights start from 0, and all :math:`\beta`
from 1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spotlight_asars.memory.recall_net import Added
from spotlight_asars.sessions.channels import Channels, Questions

KINDS = ("follows", "together")


class TransitionTerms(nn.Module):
    """Terms of ``channels.transitions``, for a ``RecallNet``."""

    def __init__(self, state_size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(len(KINDS)))
        self.log_beta = nn.Parameter(torch.zeros(len(KINDS)))
        self.gates = nn.Linear(state_size, len(KINDS), bias=False)
        nn.init.zeros_(self.gates.weight)

    def weights(self) -> dict[str, float]:
        r"""What each term has learned, by its name; "scale of ..." is its :math:`\beta`."""
        weights = torch.cat([self.weight, self.log_beta.exp()]).tolist()
        return dict(zip((*KINDS, *(f"scale of {name}" for name in KINDS)), weights, strict=True))

    def recall(self, items: Tensor, channels: Channels) -> Questions | None:
        """What the counts are asked about a batch."""
        return channels.transitions

    def forward(self, questions: Questions | None, values: Tensor, rows: Tensor, steps: Tensor) -> Added:
        """What is added for the states `values` (states, ...) after these steps of these rows."""
        if questions is None:
            nothing = torch.zeros(0, dtype=torch.int64, device=values.device)
            return Added(nothing, nothing, values.new_zeros(0))
        weights = (self.weight + self.gates(values.flatten(1))).unbind(1)  # (states,) of each kind
        parts = [
            Added(state, items, weight.index_select(0, state) * torch.log1p(beta * strength.to(values.dtype)))
            for weight, beta, (state, items, strength) in zip(
                weights, self.log_beta.exp(), questions.at(rows, steps), strict=True
            )
        ]
        return Added.of(parts)
