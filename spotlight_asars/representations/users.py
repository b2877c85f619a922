r"""The persistent user: an embedding, and attention over a session by it (eqs. 11, 19)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spotlight_asars._checks import LARGEST_ID, require
from spotlight_asars.representations.attention import triangle_attention

UNKNOWN = 0  # row of the unknown user in every embedding of users
SESSIONS_TO_KNOW = 2  # training sessions that make a user known


class Users(nn.Module):
    """Embeddings of users with two or more training sessions; all others share the embedding of the unknown user.

    The embedding of a user with a single session could only learn that session by heart.

    Parameters
    ----------
    num_users : int
        Number of users, 0 where none is known.
    user_dim : int
        Size of the embedding.
    dropout : float
        Probability of dropping an entry of an embedding in training.
    sparse : bool
        Use sparse gradients.
    """

    def __init__(self, num_users: int, user_dim: int, dropout: float, sparse: bool) -> None:
        super().__init__()
        way_out = "EventLog gives contiguous ones"
        require(num_users <= LARGEST_ID, "user_ids must be below 2**31 where users are learned", num_users - 1, way_out)
        self.dropout = nn.Dropout(dropout)
        self.embedding = nn.Embedding(num_users + 1, user_dim, sparse=sparse)
        nn.init.normal_(self.embedding.weight, std=1 / user_dim)
        self.register_buffer("met", torch.zeros(num_users, dtype=torch.bool))
        self.met: Tensor

    def add_known(self, user_ids: Tensor) -> None:
        """Know from now on the users who have two or more of these sessions, int64 (session,)."""
        within = user_ids[(user_ids >= 0) & (user_ids < len(self.met))]
        self.met |= torch.bincount(within, minlength=len(self.met)) >= SESSIONS_TO_KNOW

    def rows(self, user_ids: Tensor | None, batch: int) -> Tensor:
        """Row of each user in the embedding, int64 (batch,)."""
        if user_ids is None:
            return torch.full((batch,), UNKNOWN, device=self.embedding.weight.device)
        known = F.pad(self.met, (0, 1))  # the last entry serves every larger id
        place = user_ids.where((user_ids >= 0) & (user_ids < len(self.met)), len(self.met))
        return torch.where(known[place], place + 1, UNKNOWN)

    def forward(self, rows: Tensor) -> Tensor:
        """int64 (batch,) -> float (batch, user_dim)."""
        return self.dropout(self.embedding(rows))


class UserAttention(nn.Module):
    r"""Average of the session's states up to each event, weighted by their affinity to the user (eq. 19).

    .. math:: p_j = \tanh(W_s h_j + b_s), \quad \alpha_j = \mathrm{softmax}_j(p_j \cdot e_u)
    """

    def __init__(self, hidden_dim: int, user_dim: int) -> None:
        super().__init__()
        self.key = nn.Linear(hidden_dim, user_dim)

    def score(self, user: Tensor, hidden: Tensor) -> Tensor:
        """float (..., user_dim), (..., hidden_dim) -> (...), before the softmax."""
        return (torch.tanh(self.key(hidden)) * user).sum(-1)

    def forward(self, user: Tensor, hidden: Tensor, mask: Tensor) -> Tensor:
        """float (batch, user_dim), (batch, time, hidden_dim), bool (batch, time) -> (batch, time, hidden_dim)."""
        return triangle_attention(self.score(user.unsqueeze(1), hidden), hidden, mask)
