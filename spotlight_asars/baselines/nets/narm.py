"""NARM: a recurrent net whose last state attends to all states of the session."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spotlight_asars._spotlight import PADDING_IDX
from spotlight_asars.representations import Blueprint
from spotlight_asars.representations.padding import after_each_step, events_first
from spotlight_asars.sessions.channels import Channels

ITEM_SCALE = 0.3  # standard deviation of new item embeddings, as in the other nets of this package
CONTEXT_DROPOUT = 0.5  # dropout of the session's representation, as in the paper


class NARMNet(nn.Module):
    r"""Neural attentive recommendation machine (NARM).

    A GRU turns the items into states :math:`h_1 .. h_t`. The last is the *global* encoder, :math:`c^g_t = h_t`; the
    *local* one attends to all states by their relation to the last (eqs. 5-8 of the paper):

    .. math:: c^l_t = \sum_{j \le t} \alpha_{tj} h_j, \qquad \alpha_{tj} = v \cdot \sigma(A_1 h_t + A_2 h_j)

    and a bilinear decoder compares both with the items, :math:`r_{t,i} = q_i \cdot B \, [c^g_t; c^l_t]` (eqs. 9, 10).
    As in the paper the attention is not normalised. Channels are ignored.

    Parameters
    ----------
    num_items : int
        Size of the catalogue, padding included.
    embedding_dim, hidden_dim : int
        Sizes of the item embedding and of the GRU.
    dropout : float
        Dropout of the item embeddings.

    References
    ----------
    J. Li, P. Ren, Z. Chen, Z. Ren, T. Lian, J. Ma: Neural attentive session-based recommendation. CIKM 2017.

    Examples
    --------
    >>> NARMNet(num_items=7).states(torch.tensor([[0, 3, 1]])).shape
    torch.Size([1, 3, 64])
    """

    def __init__(self, num_items: int, embedding_dim: int = 64, hidden_dim: int = 100, dropout: float = 0.25) -> None:
        super().__init__()
        self.item_embeddings = nn.Embedding(num_items, embedding_dim, padding_idx=PADDING_IDX)
        nn.init.normal_(self.item_embeddings.weight[1:], std=ITEM_SCALE)
        self.dropout, self.context_dropout = nn.Dropout(dropout), nn.Dropout(CONTEXT_DROPOUT)
        self.gru = nn.GRU(embedding_dim, hidden_dim, batch_first=True)
        self.last, self.each = (nn.Linear(hidden_dim, hidden_dim, bias=False) for _ in range(2))
        self.energy = nn.Linear(hidden_dim, 1, bias=False)
        self.decoder = nn.Linear(2 * hidden_dim, embedding_dim, bias=False)

    @classmethod
    def of(cls, blueprint: Blueprint) -> NARMNet:
        """The net for a model's options."""
        return cls(blueprint.num_items, blueprint.embedding_dim, blueprint.hidden_dim, blueprint.dropout)

    def states(self, items: Tensor, channels: Channels | None = None) -> Tensor:
        """State after each step, to be compared with item embeddings: (batch, time, dim)."""
        real, order = events_first(items)
        hidden, _ = self.gru(self.dropout(self.item_embeddings(items.gather(1, order))))  # (batch, time, dim)
        related = torch.sigmoid(self.last(hidden).unsqueeze(2) + self.each(hidden).unsqueeze(1))
        weight = self.energy(related).squeeze(3).tril()  # (batch, time, time)
        context = torch.cat([hidden, weight @ hidden], dim=2)  # (batch, time, dim)
        decoded = self.decoder(self.context_dropout(context))
        start = decoded.new_zeros(len(items), 1, decoded.shape[2])
        return after_each_step(torch.cat([start, decoded], dim=1), real)[:, 1:]

    def score(self, states: Tensor, targets: Tensor) -> Tensor:
        """Scores of one item for each state: (rows, dim), (rows,) -> (rows,)."""
        return (states * self.item_embeddings(targets)).sum(dim=1)

    def score_items(self, states: Tensor, item_ids: Tensor | None = None) -> Tensor:
        """Scores of the same items for every state, (rows, items); of the whole catalogue without `item_ids`."""
        vectors = self.item_embeddings.weight if item_ids is None else self.item_embeddings(item_ids)
        return states @ vectors.T
