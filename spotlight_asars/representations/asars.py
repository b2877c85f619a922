r"""The ASARS network: one net with switches for its time and user channels.

An item RNN (eqs. 2-4), or a transformer in its place, reads the session. Time attention averages its states over each
prefix of the session, weighted by a network over the dwell times (eqs. 10, 15-18). The user's embedding, which may
drift from session to session (eqs. 11-14), is concatenated and passed to a fully connected layer (section 2.3).
Candidates are scored by the dot product with their embedding (eq. 20). The design satisfies:

- padding changes no state and takes no gradient, wherever it stands;
- with ``last_dwell="unknown"`` a state does not depend on the dwell of the latest event, which is not over yet;
- every channel may be unknown, so items alone are a valid input and Spotlight's own model can use the net.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike
from torch import Tensor, nn

from spotlight_asars._checks import require
from spotlight_asars._spotlight import PADDING_IDX, ZeroEmbedding
from spotlight_asars.events.item_features import FeatureSizes
from spotlight_asars.representations.asked_kinds import AskedKinds
from spotlight_asars.representations.dwell_encoding import TIME_ENCODINGS
from spotlight_asars.representations.item_vectors import ItemVectors
from spotlight_asars.representations.label_vectors import label_vectors
from spotlight_asars.representations.padding import SortedEvents, after_each_step
from spotlight_asars.representations.time_attention import LAST_DWELL, READINGS, TimeAttention
from spotlight_asars.representations.transformer import Transformer
from spotlight_asars.representations.user_drift import UserDrift
from spotlight_asars.representations.users import UserAttention, Users
from spotlight_asars.sessions.channels import Channels

READERS = ("rnn", "transformer", "time_transformer")
CELLS: dict[str, Callable[..., nn.Module]] = {"lstm": nn.LSTM, "gru": nn.GRU}


class ASARSNet(ItemVectors):
    r"""Represents a session by its items, the dwell time on each, and its user.

    Parameters
    ----------
    num_items : int
        Size of the catalogue, padding included.
    num_users : int
        Number of users; 0 where none is known.
    user : {None, "cat", "att"}
        "cat" concatenates the user's embedding :math:`e_u` to the session's state; "att" also lets it attend over the
        session's states (eq. 19).
    time : {None, "att", "cat"}
        "att" attends over the session's states by dwell time; "cat" concatenates a vector of the dwell time to each
        item embedding, before the RNN.
    drift : bool
        Let the user's embedding drift with their earlier sessions (eq. 14); needs `user`.
    reader : {"rnn", "transformer", "time_transformer"}
        What reads the items of a session: the item RNN, or a ``Transformer``, which may know the time between events.
    cell : {"lstm", "gru"}
        Kind of the item RNN.
    attention : {"prefix", "causal"}
        Reading of the time attention's score; see ``TimeAttention``.
    residual : bool
        Add the RNN's state to the output of attention, :math:`h + q`; False is the paper's :math:`q`.
    time_encoding : str
        One of ``TIME_ENCODINGS``.
    dwell_scale : float array
        Result of the time encoding's ``fit`` on the training dwell.
    offset : bool
        Add :math:`\mu + b_u(t)` to every score (eqs. 6, 12, 20). It is the same for all items, so it changes no
        ranking and matters only to losses of single scores.
    embedding_dim, hidden_dim, user_dim, time_dim : int
        Sizes of the item embedding, the state of the item RNN or transformer, the user embedding and the dwell encoder.
    item_neighbours : int
        Neighbours of each item whose embeddings are added to its own, see ``ItemGraph``; 0 for none.
    dropout : float
        Probability of dropping an entry of an item's vector, of a user embedding, or of an earlier session's final
        state.
    last_dwell : {"unknown", "observed"}
        "observed" uses the dwell of the latest event, as the paper does. It is the time up to the very click that is
        to be predicted, so it is not known when recommending.
    sparse : bool
        Use sparse gradients for the embeddings of items and users.
    feature_sizes : FeatureSizes, optional
        Of what is known of items, which becomes a part of their vectors and biases; see ``FeatureVectors``.
    id_dropout : float
        Chance that an item is all features for a moment, in training.
    num_kinds : int
        Number of the kinds of events, the unknown one included; a vector of its kind is added to that of an event's
        item where there are several, and the kind of the event to come changes the state, where it is known.
    context_sizes : tuple of int
        Number of labels in each column of the context, likewise; vectors of a session's labels are added to its states.
    """

    def __init__(
        self,
        num_items: int,
        num_users: int = 0,
        *,
        user: str | None = None,
        time: str | None = None,
        drift: bool = False,
        reader: str = "rnn",
        cell: str = "lstm",
        attention: str = "prefix",
        residual: bool = True,
        time_encoding: str = "scott",
        dwell_scale: ArrayLike | None = None,
        offset: bool = False,
        embedding_dim: int = 64,
        hidden_dim: int = 100,
        user_dim: int = 32,
        time_dim: int = 16,
        item_neighbours: int = 0,
        dropout: float = 0.0,
        last_dwell: str = "unknown",
        sparse: bool = False,
        feature_sizes: FeatureSizes | None = None,
        id_dropout: float = 0.0,
        num_kinds: int = 0,
        context_sizes: tuple[int, ...] = (),
    ) -> None:
        switches = (
            ("user", user, (None, "cat", "att")),
            ("time", time, (None, "att", "cat")),
            ("reader", reader, READERS),
            ("cell", cell, tuple(CELLS)),
            ("attention", attention, READINGS),
            ("time_encoding", time_encoding, tuple(TIME_ENCODINGS)),
            ("last_dwell", last_dwell, LAST_DWELL),
        )
        for name, value, choices in switches:
            require(value in choices, f"{name} must be one of {list(choices)}", value)
        require(bool(user) or not drift, "user must be 'cat' or 'att' where the user drifts", user)
        super().__init__(num_items, embedding_dim, item_neighbours, feature_sizes, id_dropout, sparse)
        self.residual, self.last_dwell = residual, last_dwell

        self.kinds = label_vectors([num_kinds], embedding_dim)
        self.context = label_vectors(context_sizes, embedding_dim)
        self.of_asked = AskedKinds(num_kinds, embedding_dim) if num_kinds > 2 else None
        self.dropout = nn.Dropout(dropout)
        input_dim = embedding_dim + (time_dim if time == "cat" else 0)
        self.item_rnn = CELLS[cell](input_dim, hidden_dim, batch_first=True) if reader == "rnn" else None
        self.transformer: Transformer | None = None
        if reader != "rnn":
            self.transformer = Transformer(input_dim, hidden_dim, dropout, reader == "time_transformer", last_dwell)

        self.dwell: nn.Module | None = None
        self.time_attention: TimeAttention | None = None
        self.dwell_in_rnn = time == "cat"
        if time:
            encoding = TIME_ENCODINGS[time_encoding]
            self.dwell = encoding.module(encoding.fit([]) if dwell_scale is None else dwell_scale, time_dim)
            self.bin_bias = nn.Linear(time_dim, embedding_dim, bias=False)
            nn.init.zeros_(self.bin_bias.weight)
        if time == "att":
            assert self.dwell is not None
            self.time_attention = TimeAttention(self.dwell, hidden_dim, time_dim, attention, last_dwell)

        self.users = Users(num_users, user_dim, dropout, sparse) if user else None
        self.user_attention = UserAttention(hidden_dim, user_dim) if user == "att" else None
        self.drift = UserDrift(num_users, hidden_dim, user_dim, dropout) if drift else None
        self.output = nn.Linear(hidden_dim + (user_dim if user else 0), embedding_dim)

        self.mean = nn.Parameter(torch.zeros(1)) if offset else None
        self.user_biases = ZeroEmbedding(num_users + 1, 1) if offset and user else None

    def add_known_users(self, user_ids: Tensor, started: Tensor | None = None) -> None:
        """Know from now on the users who have two or more of these training sessions; all others are unknown.

        Parameters
        ----------
        user_ids : int64 (session,)
        started : float64 (session,) [s], optional
            When the sessions start.
        """
        if self.users is not None:
            self.users.add_known(user_ids)
            if self.drift is not None and started is not None:
                self.drift.fit_mean_times(self.users.rows(user_ids, len(user_ids)), started)

    def input_vectors(self, items: Tensor, kinds: Tensor | None) -> Tensor:
        """Vectors of events, of items and their kinds, int64 (...): float (..., dim), what is read."""
        vectors = self.item_vectors(items)
        return vectors if self.kinds is None or kinds is None else vectors + self.kinds(kinds.unsqueeze(-1))

    def states(self, items: Tensor, channels: Channels | None = None) -> Tensor:
        """State after each step.

        Parameters
        ----------
        items : int64 (batch, time)
            Padded with 0 anywhere.
        channels : Channels, optional
            Users, dwell times, starts, kinds and context, and the kinds that are asked for; without them all are
            unknown.

        Returns
        -------
        float (batch, time, state)
            At padding, the state after the last event before it.
        """
        states = self._trace(items, channels)[:, 1:]
        return states if channels is None else self.asking(states, channels.asked)

    def asking(self, states: Tensor, asked: Tensor | None) -> Tensor:
        """States (..., state) that ask for a next event of some kind, int64 (...); see ``AskedKinds``."""
        if self.of_asked is None or asked is None:
            return states
        query, offset = states[..., : self.embedding_dim], states[..., self.embedding_dim :]
        return torch.cat([self.of_asked(query, asked), offset], dim=-1)

    def user_representation(self, items: Tensor, channels: Channels | None = None) -> tuple[Tensor, Tensor]:
        """The states as Spotlight's nets return them.

        Returns
        -------
        every : float (batch, state, time)
            States before each step.
        final : float (batch, state)
            State after all steps.
        """
        trace = self._trace(items, channels)
        return trace[:, :-1].transpose(1, 2), trace[:, -1]

    def forward(self, user_representations: Tensor, targets: Tensor) -> Tensor:
        """Scores of `targets` (batch, time), for `every` or `final` of ``user_representation``."""
        if user_representations.dim() == 2:
            user_representations = user_representations.unsqueeze(2)
        return self.score(user_representations.transpose(1, 2), targets)

    def score(self, states: Tensor, targets: Tensor) -> Tensor:
        r""":math:`r_{jk} = q_j \cdot e_k + b_j + b_k` (eq. 20) of one item for each state: (..., state) -> (...)."""
        query, offset = states[..., : self.embedding_dim], states[..., self.embedding_dim :]
        vectors, biases = self.item_rows(targets)
        scores = (query * vectors).sum(-1) + biases
        return scores + offset.sum(-1)

    def score_items(self, states: Tensor, item_ids: Tensor | None = None) -> Tensor:
        """Scores of the same items, or of the whole catalogue, for every state.

        Parameters
        ----------
        states : float (..., state)
        item_ids : int64 (items,), optional

        Returns
        -------
        float (..., items)
        """
        query, offset = states[..., : self.embedding_dim], states[..., self.embedding_dim :]
        scores = F.linear(query, *self.item_rows(item_ids))
        return scores if self.mean is None else scores + offset

    @torch.no_grad()
    def roll(self, items: Tensor, channels: Channels) -> None:
        """Bring the users' drift forward over finished sessions, in the order of ``channels.chain``."""
        if self.users is not None and self.drift is not None and channels.chain is not None:
            events = SortedEvents.sort(items, channels.dwell_times, channels.kinds)
            rows = self.users.rows(channels.user_ids, len(items))
            self.drift.roll(rows, channels.started, events.final(self._read(events)), channels.chain)

    def user_and_offset(
        self, channels: Channels, batch: int, finals: Tensor | None = None
    ) -> tuple[Tensor | None, Tensor | None]:
        """The user's vector e_u(t), float (batch, user_dim), and the offset of all scores, (1,) or (batch, 1).

        Either is None where the net has none. Sessions that follow each other, as ``channels.chain`` says, need
        `finals`, float (batch, hidden_dim): the state after the last event of each.
        """
        user: Tensor | None = None
        offset: Tensor | None = self.mean
        if self.users is not None:
            rows = self.users.rows(channels.user_ids, batch)
            user = self.users(rows)
            if self.drift is not None:
                user = user + self.drift(rows, channels.started, finals, channels.chain)
            if self.user_biases is not None and offset is not None:
                offset = offset + self._user_bias(rows, channels.started)
        return user, offset

    def combine(self, hidden: Tensor, attended: Tensor) -> Tensor:
        """The states of the RNN or transformer and the output of attention over them."""
        return hidden + attended if self.residual else attended

    def _trace(self, items: Tensor, channels: Channels | None) -> Tensor:
        """State before the first step and after each: (batch, 1 + time, state)."""
        channels, batch = channels or Channels(), items.shape[0]  # len would be a constant in an exported graph
        events = SortedEvents.sort(items, channels.dwell_times, channels.kinds)
        if self.item_features is not None and self._looked_up is None:
            self.item_features.draw()
        hidden = self._read(events)
        finals = None if channels.chain is None else events.final(hidden)
        user, offset = self.user_and_offset(channels, batch, finals)
        if self.user_attention is not None:
            hidden = self.combine(hidden, self.user_attention(user, hidden, events.real))
        before = hidden.new_zeros(batch, 1, hidden.shape[2])
        if user is not None:
            hidden = torch.cat([hidden, user.unsqueeze(1).expand(-1, hidden.shape[1], -1)], dim=2)
            before = torch.cat([before, user.unsqueeze(1)], dim=2)
        trace = self.output(torch.cat([before, hidden], dim=1))  # (batch, 1 + time, embedding_dim)
        if self.dwell is not None:
            bias = self.bin_bias(self.dwell(self._dwell_so_far(events.dwell_times)))
            trace = trace + F.pad(bias, (0, 0, 1, 0))
        if self.context is not None and channels.context is not None:
            trace = trace + self.context(channels.context).unsqueeze(1)
        if offset is not None:
            trace = torch.cat([trace, offset.view(-1, 1, 1).expand(*trace.shape[:2], 1)], dim=2)
        return after_each_step(trace, items != PADDING_IDX)

    def _read(self, events: SortedEvents) -> Tensor:
        """The item RNN, or transformer, and the time attention: (batch, time, hidden_dim)."""
        inputs = self.dropout(self.input_vectors(events.items, events.kinds))
        if self.dwell is not None and self.dwell_in_rnn:
            inputs = torch.cat([inputs, self.dwell(self._dwell_so_far(events.dwell_times)).to(inputs.dtype)], dim=2)
        hidden: Tensor
        if self.transformer is not None:
            hidden = self.transformer(inputs, events.dwell_times)
        else:
            assert self.item_rnn is not None
            hidden = self.item_rnn(inputs)[0]
        if self.time_attention is not None:
            hidden = self.combine(hidden, self.time_attention(events.dwell_times, hidden, events.real))
        return hidden

    def _dwell_so_far(self, dwell_times: Tensor) -> Tensor:
        """The latest dwell that each step may know: its own if it is observed, else that of the step before."""
        if self.last_dwell == "observed":
            return dwell_times
        return F.pad(dwell_times, (1, 0), value=torch.nan)[:, :-1]

    def _user_bias(self, rows: Tensor, started: Tensor | None) -> Tensor:
        r""":math:`b_u(t) = b_u + \alpha_u dev_u(t)` (eq. 12), (batch, 1)."""
        assert self.user_biases is not None
        bias: Tensor = self.user_biases(rows)
        if self.drift is not None:
            bias = bias + self.drift.alpha(rows) * self.drift.deviation(rows, started).unsqueeze(1)
        return bias
