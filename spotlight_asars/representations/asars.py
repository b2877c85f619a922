r"""The ASARS network: one net with switches for its user and time channels.

An item RNN reads the session (eqs. 2-4). Time attention averages its states over each prefix of the session, weighted
by a network over the dwell times (eqs. 10, 15-18); the user's embedding is concatenated and passed to a fully
connected layer (section 2.3); candidates are scored by the dot product with their embedding (eq. 20). The design
satisfies:

- padding is a step at which nothing happens: wherever it stands, it changes no state and takes no gradient;
- with ``last_dwell="unknown"`` a state does not depend on the dwell of the event it follows, which is not over yet;
- every channel has a neutral value, so items alone are a valid input and Spotlight's own model can hold the net.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike
from torch import Tensor, nn

from spotlight_asars._checks import one_of, require
from spotlight_asars._spotlight import PADDING_IDX, ZeroEmbedding
from spotlight_asars.channels import Channels
from spotlight_asars.representations.attention import attend_with_own_term, triangle_attention
from spotlight_asars.representations.time_bins import DwellEncoder

ITEM_SCALE = 0.3  # standard deviation of new item embeddings; 1 / embedding_dim, as in Spotlight, learns far slower
UNKNOWN = 0  # row of the user embedding


class ASARSNet(nn.Module):
    r"""Represents a session by its items, the dwell time on each, and its user.

    Parameters
    ----------
    num_items : int
        Size of the catalogue, padding included.
    num_users : int
        Number of users; 0 where none is known.
    user : {None, "cat"}
        "cat" concatenates the user's embedding :math:`e_u` to the session's state.
    time : {None, "att"}
        "att" attends over the session's states by dwell time.
    dwell_edges : float (bins - 1,)
        Between the dwell bins [s]; see ``time_bins.scott_edges``.
    embedding_dim, hidden_dim, user_dim, time_dim : int
        Sizes of the item embedding, the item RNN, the user embedding and the dwell encoder.
    dropout : float
        Share of the item embeddings' entries that is dropped before the RNN.
    residual : bool
        Add the RNN's state to what is attended to, :math:`h + q`; False is the paper's :math:`q`.
    last_dwell : {"unknown", "observed"}
        "observed" uses the dwell of the last viewed event, as the paper does. It is the time up to the very click
        that is to be predicted, so it is not known when recommending.
    sparse : bool
        Use sparse gradients for the embeddings.
    """

    def __init__(
        self,
        num_items: int,
        num_users: int = 0,
        *,
        user: str | None = None,
        time: str | None = None,
        dwell_edges: ArrayLike = (),
        embedding_dim: int = 64,
        hidden_dim: int = 100,
        user_dim: int = 32,
        time_dim: int = 16,
        dropout: float = 0.0,
        residual: bool = True,
        last_dwell: str = "unknown",
        sparse: bool = False,
    ) -> None:
        super().__init__()
        require(user in (None, "cat"), "user must be None or 'cat'", user)
        require(time in (None, "att"), "time must be None or 'att'", time)
        one_of(last_dwell, ("unknown", "observed"), "last_dwell")
        self.residual, self.last_dwell = residual, last_dwell
        self.embedding_dim = embedding_dim

        self.item_embeddings = nn.Embedding(num_items, embedding_dim, padding_idx=PADDING_IDX, sparse=sparse)
        nn.init.normal_(self.item_embeddings.weight[1:], std=ITEM_SCALE)
        self.item_biases = ZeroEmbedding(num_items, 1, padding_idx=PADDING_IDX, sparse=sparse)
        self.dropout = nn.Dropout(dropout)
        self.item_rnn = nn.LSTM(embedding_dim, hidden_dim, batch_first=True)

        self.dwell_encoder: DwellEncoder | None = None
        if time:
            self.dwell_encoder = DwellEncoder(dwell_edges, time_dim)
            self.attention = nn.Linear(time_dim, hidden_dim)

        self.user_embeddings: nn.Embedding | None = None
        if user:
            self.user_embeddings = nn.Embedding(num_users + 1, user_dim, sparse=sparse)
            nn.init.normal_(self.user_embeddings.weight, std=1 / user_dim)
        self.register_buffer("known_users", torch.zeros(num_users, dtype=torch.bool))
        self.known_users: Tensor
        self.output = nn.Linear(hidden_dim + (user_dim if user else 0), embedding_dim)

    def know_users(self, user_ids: Tensor) -> None:
        """From now on these users are known; any other is represented as the unknown user."""
        self.known_users[user_ids[(user_ids >= 0) & (user_ids < len(self.known_users))]] = True

    def states(self, items: Tensor, channels: Channels | None = None) -> Tensor:
        """State after each step.

        Parameters
        ----------
        items : int64 (batch, time)
            Padded with 0 anywhere.
        channels : Channels, optional
            Users and dwell times; without them both are unknown.

        Returns
        -------
        float (batch, time, embedding_dim)
            At padding, the state after the last event before it.
        """
        return self._trace(items, channels)[:, 1:]

    def user_representation(self, items: Tensor, channels: Channels | None = None) -> tuple[Tensor, Tensor]:
        """Spotlight's form of the states.

        Returns
        -------
        every : float (batch, embedding_dim, time)
            States before each step: the first has seen nothing, the last all but the last item.
        final : float (batch, embedding_dim)
            State after all steps.
        """
        trace = self._trace(items, channels)
        return trace[:, :-1].transpose(1, 2), trace[:, -1]

    def forward(self, user_representations: Tensor, targets: Tensor) -> Tensor:
        """Scores of `targets` (batch, time), from `every` or from `final` of ``user_representation``."""
        if user_representations.dim() == 2:
            user_representations = user_representations.unsqueeze(2)
        return self.score(user_representations.transpose(1, 2), targets)

    def score(self, states: Tensor, targets: Tensor) -> Tensor:
        r""":math:`r_{jk} = q_j \cdot e_k + b_k` (eq. 20) of one item for each state: (..., embedding_dim) -> (...)."""
        return (states * self.item_embeddings(targets)).sum(-1) + self.item_biases(targets).squeeze(-1)

    def score_items(self, states: Tensor, item_ids: Tensor | None = None) -> Tensor:
        """Scores of the same items for every state; of the whole catalogue without `item_ids`.

        Parameters
        ----------
        states : float (..., embedding_dim)
        item_ids : int64 (items,), optional

        Returns
        -------
        float (..., items)
        """
        if item_ids is None:
            return F.linear(states, self.item_embeddings.weight, self.item_biases.weight.squeeze(-1))
        return F.linear(states, self.item_embeddings(item_ids), self.item_biases(item_ids).squeeze(-1))

    def _trace(self, items: Tensor, channels: Channels | None) -> Tensor:
        """State before the first step and after each: (batch, 1 + time, embedding_dim)."""
        channels = channels or Channels()
        real = items != PADDING_IDX  # (batch, time)
        order = real.to(torch.uint8).argsort(dim=1, descending=True, stable=True)  # events first, padding after
        mask = real.gather(1, order)
        hidden, _ = self.item_rnn(self.dropout(self.item_embeddings(items.gather(1, order))))
        if self.dwell_encoder is not None:
            dwell = channels.dwell_times
            if dwell is None:
                dwell = torch.full(items.shape, torch.nan, device=items.device)
            attended = self._attend(self.dwell_encoder, dwell.gather(1, order), hidden, mask)
            hidden = hidden + attended if self.residual else attended
        hidden = F.pad(hidden, (0, 0, 1, 0))  # (batch, 1 + time, hidden_dim)
        if self.user_embeddings is not None:
            user = self._user(self.user_embeddings, channels.user_ids, len(items))
            hidden = torch.cat([hidden, user.unsqueeze(1).expand(-1, hidden.shape[1], -1)], dim=2)
        trace = self.output(hidden)
        steps = F.pad(real.cumsum(dim=1), (1, 0))  # events seen before the first step and after each
        return trace.gather(1, steps.unsqueeze(-1).expand(-1, -1, trace.shape[2]))

    def _attend(self, encoder: DwellEncoder, dwell: Tensor, hidden: Tensor, mask: Tensor) -> Tensor:
        r""":math:`s_j = \tanh(W h^{time}_j + b) \cdot h_j` (eqs. 15, 16), softmax over every prefix (eqs. 17, 18)."""
        known, pending = encoder(dwell)
        score = (torch.tanh(self.attention(known)) * hidden).sum(-1)  # (batch, time)
        if self.last_dwell == "observed":
            return triangle_attention(score, hidden, mask)
        own_score = (torch.tanh(self.attention(pending)) * hidden).sum(-1)  # (batch, time)
        return attend_with_own_term(score, own_score, hidden, mask)

    def _user(self, embeddings: nn.Embedding, user_ids: Tensor | None, batch: int) -> Tensor:
        """Embedding of each user, (batch, user_dim); users that training did not meet share one."""
        if user_ids is None:
            return embeddings.weight[UNKNOWN].expand(batch, -1)
        known = F.pad(self.known_users, (0, 1))  # the last place serves every id beyond
        place = user_ids.where((user_ids >= 0) & (user_ids < len(self.known_users)), len(self.known_users))
        return embeddings(torch.where(known[place], place + 1, UNKNOWN))
