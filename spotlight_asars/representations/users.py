r"""The persistent user: an embedding, and attention over a session by it (eqs. 11, 19)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spotlight_asars.representations.attention import triangle_attention

UNKNOWN = 0  # row of every table of users


class Users(nn.Module):
    """Embeddings of the users that training met; all others share the row of the unknown user.

    Parameters
    ----------
    num_users : int
        Number of users, 0 where none is known.
    user_dim : int
        Size of the embedding.
    sparse : bool
        Use sparse gradients.
    """

    def __init__(self, num_users: int, user_dim: int, sparse: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(num_users + 1, user_dim, sparse=sparse)
        nn.init.normal_(self.embedding.weight, std=1 / user_dim)
        self.register_buffer("met", torch.zeros(num_users, dtype=torch.bool))
        self.met: Tensor

    def meet(self, user_ids: Tensor) -> None:
        """From now on these users are known, int64 (users,)."""
        self.met[user_ids[(user_ids >= 0) & (user_ids < len(self.met))]] = True

    def rows(self, user_ids: Tensor | None, batch: int) -> Tensor:
        """Row of each user in the tables, int64 (batch,)."""
        if user_ids is None:
            return torch.full((batch,), UNKNOWN, device=self.embedding.weight.device)
        known = F.pad(self.met, (0, 1))  # the last place serves every id beyond
        place = user_ids.where((user_ids >= 0) & (user_ids < len(self.met)), len(self.met))
        return torch.where(known[place], place + 1, UNKNOWN)

    def forward(self, rows: Tensor) -> Tensor:
        """int64 (batch,) -> float (batch, user_dim)."""
        return self.embedding(rows)


class UserAttention(nn.Module):
    r"""Average of the session's states up to each event, weighted by how well they suit the user (eq. 19).

    .. math:: p_j = \tanh(W_s h_j + b_s), \quad \alpha_j = \mathrm{softmax}_j(p_j \cdot e_u)
    """

    def __init__(self, hidden_dim: int, user_dim: int) -> None:
        super().__init__()
        self.key = nn.Linear(hidden_dim, user_dim)

    def forward(self, user: Tensor, hidden: Tensor, mask: Tensor) -> Tensor:
        """float (batch, user_dim), (batch, time, hidden_dim), bool (batch, time) -> (batch, time, hidden_dim)."""
        score = (torch.tanh(self.key(hidden)) * user.unsqueeze(1)).sum(-1)  # (batch, time)
        return triangle_attention(score, hidden, mask)
