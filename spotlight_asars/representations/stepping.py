r"""An ``ASARSNet`` one event at a time: the same states as for the whole session, from a carry of fixed size.

The ``Carry`` holds what later events need of the past: the state of the item RNN, that of the dwell encoder, and the
prefix of each attention, which takes in one event exactly (see ``attention``). Only ``attention="causal"`` scores all
past events anew at each step, so it keeps their states.

An event *arrives*, and a state follows from it; it *settles* when the next one comes, for only then is its dwell known.
With ``last_dwell="observed"`` whatever depends on the dwell is computed once more as it settles.

- Everything is a function of tensors (batch, ...) without loops over time or data-dependent shapes, so it can be
  traced.
- Evaluation only: the net must be in evaluation mode.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from spotlight_asars._spotlight import PADDING_IDX
from spotlight_asars.representations.asars import ASARSNet
from spotlight_asars.representations.attention import Prefix, empty_prefix, join
from spotlight_asars.representations.time_attention import TimeAttention
from spotlight_asars.sessions.channels import Channels


class Past(NamedTuple):
    """Past events, which causal attention scores anew at each step.

    key, value : float (batch, time, hidden_dim)
    real : bool (batch, time)
    """

    key: Tensor
    value: Tensor
    real: Tensor


class Carry(NamedTuple):
    """What later events need to know of the settled ones.

    rnn : of the item RNN, (batch, hidden_dim) each: h and c of an LSTM, h of a GRU
    dwell : float (batch, 1) [s], of the latest settled event; NaN where unknown
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
    """An event whose dwell is not known yet.

    rnn : as in ``Carry``
    by_user : prefix of user attention, with the event in it
    state : float (batch, state), which scores the next item
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
        Number of sessions.
    context : int64 (batch, columns), optional
    """

    def __init__(
        self,
        net: ASARSNet,
        user_ids: Tensor | None,
        started: Tensor | None,
        batch: int,
        context: Tensor | None = None,
    ) -> None:
        assert isinstance(net.item_rnn, (nn.LSTM, nn.GRU))
        self.net, self.rnn, self.batch = net, net.item_rnn, batch
        self.user, offset = net.user_and_offset(Channels(user_ids, started=started), batch)
        self.offset = None if offset is None else offset.expand(batch, 1)
        self.context = None if net.context is None or context is None else net.context(context)  # (batch, dim)

    def begin(self) -> tuple[Carry, Tensor]:
        """The carry and the state, (batch, state), before the first event."""
        attention, weight = self.net.time_attention, self.net.item_embeddings.weight
        hidden = weight.new_zeros(self.batch, self.rnn.hidden_size)
        empty, no_events = empty_prefix(hidden), hidden.unsqueeze(1)[:, :0]  # (batch, 0, hidden_dim)
        carry = Carry(
            rnn=(hidden, hidden) if isinstance(self.rnn, nn.LSTM) else (hidden,),
            dwell=weight.new_full((self.batch, 1), torch.nan),
            encoded=weight.new_zeros(self.batch, 0 if attention is None else attention.key.in_features),
            by_time=empty,
            by_user=empty,
            past=Past(no_events, no_events, no_events[..., 0].bool()),
        )
        return carry, self._output(hidden, None)

    def arrive(self, carry: Carry, items: Tensor, dwell: Tensor | None = None, kinds: Tensor | None = None) -> Arrival:
        """The state after one more event.

        Parameters
        ----------
        carry : Carry
        items : int64 (batch,)
        dwell : float (batch, 1) [s], optional
            Of this very event, unknown by default; only ``last_dwell="observed"`` uses it.
        kinds : int64 (batch,), optional
            Of the event.
        """
        net = self.net
        observed = net.last_dwell == "observed"
        own = dwell if observed and dwell is not None else torch.full_like(carry.dwell, torch.nan)
        latest = own if observed else carry.dwell  # for the RNN and the bias
        inputs = net.input_vectors(items, kinds)
        if net.dwell is not None and net.dwell_in_rnn:
            inputs = torch.cat([inputs, net.dwell(latest)[:, 0]], dim=1)
        rnn = self._cell(inputs, carry.rnn)
        hidden, by_user = rnn[0], carry.by_user
        if net.time_attention is not None:
            _, key = self._encode(net.time_attention, carry, own)
            hidden = net.combine(hidden, self._attend(net.time_attention, carry, key, hidden))
        if net.user_attention is not None and self.user is not None:
            by_user = join(by_user, Prefix(hidden, net.user_attention.score(self.user, hidden)))
            hidden = net.combine(hidden, by_user.average)
        return Arrival(rnn, by_user, self._output(hidden, latest))

    def settle(
        self, carry: Carry, items: Tensor, arrival: Arrival, dwell: Tensor, kinds: Tensor | None = None
    ) -> Carry:
        """The carry once the dwell of the event is known, or known to stay NaN: float (batch, 1) [s]."""
        attention = self.net.time_attention
        if self.net.last_dwell == "observed":
            arrival = self.arrive(carry, items, dwell, kinds)
        carry = carry._replace(rnn=arrival.rnn, by_user=arrival.by_user)
        if attention is not None:
            hidden = arrival.rnn[0]
            encoded, key = self._encode(attention, carry, dwell)
            carry = carry._replace(encoded=encoded)
            if attention.attention == "causal":
                real = torch.cat([carry.past.real, (items != PADDING_IDX).unsqueeze(1)], dim=1)
                past = Past(_append(carry.past.key, key), _append(carry.past.value, hidden), real)
                carry = carry._replace(past=past)
            else:
                carry = carry._replace(by_time=join(carry.by_time, Prefix(hidden, (key * hidden).sum(-1))))
        return carry._replace(dwell=dwell)

    def _cell(self, inputs: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        weights = self.rnn.all_weights[0]
        if isinstance(self.rnn, nn.LSTM):
            return torch.lstm_cell(inputs, state, *weights)
        return (torch.gru_cell(inputs, state[0], *weights),)

    def _encode(self, attention: TimeAttention, carry: Carry, dwell: Tensor) -> tuple[Tensor, Tensor]:
        """The dwell encoder's state after an event of this dwell, and the event's key p (eq. 15)."""
        inputs = attention.encoder.encoding(dwell)[:, 0]  # (batch, time_dim)
        encoded = torch.gru_cell(inputs, carry.encoded, *attention.encoder.rnn.all_weights[0])
        return encoded, torch.tanh(attention.key(encoded))

    def _attend(self, attention: TimeAttention, carry: Carry, key: Tensor, hidden: Tensor) -> Tensor:
        """Time attention's average over the past and this event, (batch, hidden_dim)."""
        own = Prefix(hidden, (key * hidden).sum(-1))
        if attention.attention == "prefix":
            return join(carry.by_time, own).average
        scores = (carry.past.key * hidden.unsqueeze(1)).sum(-1)  # (batch, time)
        scores = scores.masked_fill(~carry.past.real, -torch.inf)
        weights = torch.cat([scores, own.mass.unsqueeze(1)], dim=1).softmax(dim=1)  # the last score is always finite
        return (weights.unsqueeze(2) * _append(carry.past.value, hidden)).sum(dim=1)

    def _output(self, hidden: Tensor, dwell: Tensor | None) -> Tensor:
        """The state that scores items; `dwell` (batch, 1) is for the bias, None before the first event."""
        net = self.net
        state: Tensor = net.output(hidden if self.user is None else torch.cat([hidden, self.user], dim=1))
        if net.dwell is not None and dwell is not None:
            state = state + net.bin_bias(net.dwell(dwell)[:, 0])
        if self.context is not None:
            state = state + self.context
        return state if self.offset is None else torch.cat([state, self.offset], dim=1)


def choose(real: Tensor, new: Carry, old: Carry) -> Carry:
    """`new` in the rows that are real, bool (batch,), `old` in the rest; ``Past`` has a mask of its own."""

    def pick(one: Tensor, other: Tensor) -> Tensor:
        return torch.where(real.unsqueeze(1) if one.dim() == 2 else real, one, other)

    return Carry(
        tuple(map(pick, new.rnn, old.rnn)),
        pick(new.dwell, old.dwell),
        pick(new.encoded, old.encoded),
        Prefix(*map(pick, new.by_time, old.by_time)),
        Prefix(*map(pick, new.by_user, old.by_user)),
        new.past,
    )


def _append(past: Tensor, event: Tensor) -> Tensor:
    """(batch, time, dim), (batch, dim) -> (batch, time + 1, dim)."""
    return torch.cat([past, event.unsqueeze(1)], dim=1)
