r"""An ``ASARSNet``, one event at a time: the same states as of the whole session, from what a session leaves behind.

What is left behind is a ``Carry`` of a fixed size: the state of the item RNN, that of the dwell encoder, and the
average and mass of each attention's prefix, which take in one event exactly (see ``attention``). Only
``attention="causal"`` asks past events anew at each step, so it keeps their states.

An event *arrives*, and a state follows from it; it *settles* when the next one comes, for only then is its dwell known.
With ``last_dwell="observed"`` all that the dwell touches is computed once more as it settles.

- All is a function of tensors (batch, ...) without loops over time or data-dependent shapes, so it can be traced.
- Evaluation only: there is no dropout here.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from spotlight_asars.representations.asars import ASARSNet
from spotlight_asars.representations.attention import Prefix, empty_prefix, join


class Past(NamedTuple):
    """Events that causal attention asks anew.

    key, value : float (batch, time, hidden_dim)
    real : bool (batch, time)
    """

    key: Tensor
    value: Tensor
    real: Tensor


class Carry(NamedTuple):
    """What a session leaves behind after its settled events.

    rnn : of the item RNN, (batch, hidden_dim) each: h and c of an LSTM, h of a GRU
    dwell : float (batch, 1) [s], of the last settled event; NaN where unknown
    encoded : float (batch, time_dim), state of the dwell encoder
    by_time, by_user : prefixes of the two attentions
    past : for causal attention
    """

    rnn: tuple[Tensor, ...]
    dwell: Tensor
    encoded: Tensor
    by_time: Prefix
    by_user: Prefix
    past: Past


class Arrival(NamedTuple):
    """An event whose dwell is still open.

    rnn : as in ``Carry``
    by_user : prefix of user attention, with the event in it
    state : float (batch, state), what scores the next item
    """

    rnn: tuple[Tensor, ...]
    by_user: Prefix
    state: Tensor


class Stepper:
    """The steps of a net for sessions of some users.

    Parameters
    ----------
    net : ASARSNet
    user_ids : int64 (batch,), optional
    started : float64 (batch,) [s], optional
    batch : int
        Sessions side by side.
    """

    def __init__(self, net: ASARSNet, user_ids: Tensor | None, started: Tensor | None, batch: int) -> None:
        assert isinstance(net.item_rnn, (nn.LSTM, nn.GRU))
        self.net, self.rnn, self.batch = net, net.item_rnn, batch
        weight = net.item_embeddings.weight
        self.user: Tensor | None = None
        self.offset: Tensor | None = None if net.mean is None else net.mean.expand(batch, 1)
        if net.users is not None:
            rows = net.users.rows(user_ids, batch)
            self.user = net.users.embedding(rows)  # (batch, user_dim)
            if net.drift is not None:
                nothing = weight.new_zeros(batch, self.rnn.hidden_size)
                self.user = self.user + net.drift(rows, started, nothing, None)
            if net.user_biases is not None and self.offset is not None:
                self.offset = self.offset + net.user_bias(rows, started)

    def begin(self) -> tuple[Carry, Tensor]:
        """Before the first event: what is left behind, and the state, (batch, state)."""
        net, weight = self.net, self.net.item_embeddings.weight
        hidden = weight.new_zeros(self.batch, self.rnn.hidden_size)
        encoded = weight.new_zeros(self.batch, 0 if net.time_attention is None else net.time_attention.key.in_features)
        empty = empty_prefix(hidden)
        past = hidden.unsqueeze(1)[:, :0]  # (batch, 0, hidden_dim)
        carry = Carry(
            (hidden, hidden) if isinstance(self.rnn, nn.LSTM) else (hidden,),
            weight.new_full((self.batch, 1), torch.nan),
            encoded,
            empty,
            empty,
            Past(past, past, past[..., 0].bool()),
        )
        return carry, self._output(hidden, None)

    def arrive(self, carry: Carry, items: Tensor, dwell: Tensor | None = None) -> Arrival:
        """The state after one more event.

        Parameters
        ----------
        carry : Carry
        items : int64 (batch,)
        dwell : float (batch, 1) [s], optional
            Of this very event, which only ``last_dwell="observed"`` looks at; unknown by default.
        """
        net = self.net
        unknown = torch.full_like(carry.dwell, torch.nan)
        own = unknown if dwell is None or net.last_dwell == "unknown" else dwell
        shown = carry.dwell if net.last_dwell == "unknown" else own  # what the RNN and the bias see
        inputs = net.item_embeddings(items)
        if net.dwell is not None and net.dwell_in_rnn:
            inputs = torch.cat([inputs, net.dwell(shown)[:, 0]], dim=1)
        rnn = self._cell(inputs, carry.rnn)
        hidden, by_user = rnn[0], carry.by_user
        if net.time_attention is not None:
            key = self._key(carry, own)[1]
            attended = self._attend(carry, key, hidden)
            hidden = hidden + attended if net.residual else attended
        if net.user_attention is not None and self.user is not None:
            score = (torch.tanh(net.user_attention.key(hidden)) * self.user).sum(-1)  # (batch,)
            by_user = join(by_user, Prefix(hidden, score))
            hidden = hidden + by_user.average if net.residual else by_user.average
        return Arrival(rnn, by_user, self._output(hidden, shown))

    def settle(self, carry: Carry, items: Tensor, arrival: Arrival, dwell: Tensor) -> Carry:
        """What is left behind once the dwell of the event is known, or known to stay NaN: float (batch, 1) [s]."""
        net = self.net
        if net.last_dwell == "observed":
            arrival = self.arrive(carry, items, dwell)
        encoded, by_time, past = carry.encoded, carry.by_time, carry.past
        if net.time_attention is not None:
            hidden = arrival.rnn[0]
            encoded, key = self._key(carry, dwell)
            if net.time_attention.attention == "causal":
                real = torch.cat([past.real, (items != 0).unsqueeze(1)], dim=1)
                past = Past(_append(past.key, key), _append(past.value, hidden), real)
            else:
                by_time = join(by_time, Prefix(hidden, (key * hidden).sum(-1)))
        return Carry(arrival.rnn, dwell, encoded, by_time, arrival.by_user, past)

    def _cell(self, inputs: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        weights = self.rnn.all_weights[0]
        if isinstance(self.rnn, nn.LSTM):
            return torch.lstm_cell(inputs, state, *weights)
        return (torch.gru_cell(inputs, state[0], *weights),)

    def _key(self, carry: Carry, dwell: Tensor) -> tuple[Tensor, Tensor]:
        """The dwell encoder's state after an event of this dwell, and the key of the event: p (eq. 15)."""
        attention = self.net.time_attention
        assert attention is not None
        inputs = attention.encoder.encoding(dwell)[:, 0]  # (batch, time_dim)
        encoded = torch.gru_cell(inputs, carry.encoded, *attention.encoder.rnn.all_weights[0])
        return encoded, torch.tanh(attention.key(encoded))

    def _attend(self, carry: Carry, key: Tensor, hidden: Tensor) -> Tensor:
        """Time attention's average over the past and this event, (batch, hidden_dim)."""
        attention = self.net.time_attention
        own = Prefix(hidden, (key * hidden).sum(-1))
        if attention is None or attention.attention == "prefix":
            return join(carry.by_time, own).average
        scores = (carry.past.key * hidden.unsqueeze(1)).sum(-1)  # (batch, time)
        scores = scores.masked_fill(~carry.past.real, -torch.inf)
        weights = torch.cat([scores, own.mass.unsqueeze(1)], dim=1).softmax(dim=1)  # its own term is always finite
        return (weights.unsqueeze(2) * _append(carry.past.value, hidden)).sum(dim=1)

    def _output(self, hidden: Tensor, dwell: Tensor | None) -> Tensor:
        """The state that scores items; `dwell` (batch, 1) is what the bias sees, None before the first event."""
        net = self.net
        both = hidden if self.user is None else torch.cat([hidden, self.user], dim=1)
        state: Tensor = net.output(both)
        if net.dwell is not None and dwell is not None:
            state = state + net.bin_bias(net.dwell(dwell)[:, 0])
        return state if self.offset is None else torch.cat([state, self.offset], dim=1)


def choose(real: Tensor, new: Carry, old: Carry) -> Carry:
    """`new` in the rows that are real, bool (batch,), `old` in the rest; ``Past`` has its own mask."""
    rows = real.unsqueeze(1)

    def prefix(ours: Prefix, theirs: Prefix) -> Prefix:
        return Prefix(torch.where(rows, ours.average, theirs.average), torch.where(real, ours.mass, theirs.mass))

    return Carry(
        tuple(torch.where(rows, ours, theirs) for ours, theirs in zip(new.rnn, old.rnn, strict=True)),
        torch.where(rows, new.dwell, old.dwell),
        torch.where(rows, new.encoded, old.encoded),
        prefix(new.by_time, old.by_time),
        prefix(new.by_user, old.by_user),
        new.past,
    )


def _append(past: Tensor, event: Tensor) -> Tensor:
    """(batch, time, dim), (batch, dim) -> (batch, time + 1, dim)."""
    return torch.cat([past, event.unsqueeze(1)], dim=1)
