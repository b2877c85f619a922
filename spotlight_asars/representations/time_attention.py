r"""Attention over a session by dwell time (eqs. 10, 15-18)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spotlight_asars.representations.attention import attend_with_own_term, causal_attention, triangle_attention
from spotlight_asars.representations.dwell_encoding import DwellEncoder

READINGS = ("prefix", "causal")
LAST_DWELL = ("unknown", "observed")


class TimeAttention(nn.Module):
    r"""Average of the session's states up to each event, weighted by a network over the dwell times.

    .. math:: p_j = \tanh(W_s h^{time}_j + b_s), \quad
        \alpha_j = \mathrm{softmax}_j(p_j \cdot h_j), \quad q = \sum_j \alpha_j h_j

    Parameters
    ----------
    encoding : nn.Module
        Maps dwell times to vectors of `time_dim`; see ``TIME_ENCODINGS``.
    hidden_dim, time_dim : int
        Sizes of the session's states and of the dwell encoder.
    attention : {"prefix", "causal"}
        The score of event j is :math:`p_j \cdot h_j` in every row (eq. 18), or :math:`p_j \cdot h_i` in row i.
    last_dwell : {"unknown", "observed"}
        Whether row i may use the dwell of event i.
    """

    def __init__(self, encoding: nn.Module, hidden_dim: int, time_dim: int, attention: str, last_dwell: str) -> None:
        super().__init__()
        self.attention, self.last_dwell = attention, last_dwell
        self.encoder = DwellEncoder(encoding, time_dim)
        self.key = nn.Linear(time_dim, hidden_dim)

    def forward(self, dwell_times: Tensor, hidden: Tensor, mask: Tensor) -> Tensor:
        """float (batch, time) [s], float (batch, time, hidden_dim), bool (batch, time) -> (batch, time, hidden_dim)."""
        known, pending = self.encoder(dwell_times)
        keys = torch.tanh(self.key(torch.stack([known, pending])))  # (2, batch, time, hidden_dim)
        key, own_key = keys if self.last_dwell == "unknown" else (keys[0], None)
        if self.attention == "causal":
            return causal_attention(hidden, key, hidden, own_key)
        score, own_score = (keys * hidden).sum(-1)  # (batch, time)
        if own_key is None:
            return triangle_attention(score, hidden, mask)
        return attend_with_own_term(score, own_score, hidden, mask)
