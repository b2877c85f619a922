"""The training objective: the loss of predicting each event of a mini-batch from those before it."""

from __future__ import annotations

import torch
from numpy.random import RandomState
from torch import Tensor

from spotlight_asars._checks import require
from spotlight_asars.losses import LossFunction, find_loss
from spotlight_asars.memory.recall_net import RecalledStates
from spotlight_asars.representations import Representation
from spotlight_asars.runtime.devices import rows_at_once, take
from spotlight_asars.runtime.distributed import ALONE, Processes, summed
from spotlight_asars.sampling import HOST, Draw, Sampler, Seen
from spotlight_asars.sessions import PADDING_IDX
from spotlight_asars.sessions.batching import Batch
from spotlight_asars.sessions.channels import Channels
from spotlight_asars.sessions.interactions import UNKNOWN_USER, SessionInteractions
from spotlight_asars.training.chunked_loss import LEAST_ROWS, mean_in_chunks


class NextItemObjective:
    """Loss of a net on a mini-batch, ``(net, batch) -> scalar``.

    Every prefix of a session is an example, and one pass over the session gives them all.

    Parameters
    ----------
    loss : function
        Like those in ``LOSSES``.
    sessions : SessionInteractions
        The training log, from which the batches come.
    sampler : function
        Like those in ``SAMPLERS``.
    num_negatives : int
        Items drawn for a batch.
    random_state : RandomState
        Draws the negatives.
    user_dropout, dwell_dropout : float
        Shares of the rows whose user, and independently whose dwell times, are hidden.
    event_dropout : float
        Share of the viewed events that are hidden; they are still to be predicted.
    by_targets : bool
        Weigh the loss of a batch by its targets, against those of as many average sessions. Batches hold sessions of
        like length; with a plain mean, a click in a short session would count for several in a long one.
    device : torch.device
        Where the batches are.
    processes : Processes
        Processes that share out each mini-batch. The sum of their losses is that of the whole mini-batch.
    """

    def __init__(
        self,
        loss: LossFunction,
        sessions: SessionInteractions,
        sampler: Sampler,
        num_negatives: int,
        random_state: RandomState,
        *,
        user_dropout: float = 0.0,
        dwell_dropout: float = 0.0,
        event_dropout: float = 0.0,
        by_targets: bool = False,
        device: torch.device = HOST,
        processes: Processes = ALONE,
    ) -> None:
        self._loss, self._num_negatives, self._random_state = find_loss(loss), num_negatives, random_state
        self._user_dropout, self._dwell_dropout, self._event_dropout = user_dropout, dwell_dropout, event_dropout
        self._processes, self._num_items = processes, sessions.num_items
        targets = sessions.lengths[sessions.lengths >= 2] - 1
        self._usual_targets = targets.mean() if by_targets and len(targets) else None
        if self._loss.over_catalogue is None:
            self._sample, self._seen = sampler(sessions, device), Seen(sessions, device)
        self._chance = 1.0 / max(sessions.num_items - 1, 1)  # of an item in a uniform draw
        if self._loss.corrects_log_q:
            able = hasattr(self._sample, "log_probability")
            require(able, "negative_sampling must give samples that know their log_probability, for this loss", sampler)

    def __call__(self, net: Representation, batch: Batch) -> Tensor:
        draw = None
        if self._loss.over_catalogue is None:
            draw = Draw(self._random_state.randint(2**31), batch.items.device)
        if len(batch.rows):
            loss, mask = self._mean_loss(net, batch, draw)
        else:  # more ranks than sessions
            loss, mask = batch.items.new_zeros((), dtype=torch.float32), None
        if self._processes.size > 1:
            loss = self._part(loss, batch, mask)
        if self._usual_targets is not None:
            loss = loss * (batch.whole.targets / (self._usual_targets * batch.whole.sessions))
        return loss

    def _mean_loss(self, net: Representation, batch: Batch, draw: Draw | None) -> tuple[Tensor, Tensor | None]:
        """Mean loss of these sessions, and the pairs that it is over, bool (targets, neg), if there was a draw."""
        row, step = batch.viewed
        viewed = hide_events(batch.items, self._event_dropout)
        channels = hide_channels(batch.channels, self._user_dropout, self._dwell_dropout)
        if channels.chain is None:
            states = net.states(viewed[:, :-1], channels.steps(slice(-1)))  # (batch, time, ...)
        else:  # the user's next session sees how this one ends
            states = net.states(viewed, channels)[:, :-1]
        states = states[row, step]  # (targets, ...)
        targets = batch.items[row, step + 1]  # (targets,)
        if draw is None:
            assert self._loss.over_catalogue is not None
            at_once = max(rows_at_once(targets.device, self._num_items), LEAST_ROWS)
            return mean_in_chunks(self._loss.over_catalogue, net, states, targets, at_once), None
        drawn = self._sample(self._num_negatives, draw, batch.whole.events)
        positive, negative = net.score(states, targets), net.score_items(states, drawn)
        mask = drawn != targets.unsqueeze(1)
        if self._loss.corrects_log_q:  # all other items stand for the catalogue, also those seen before
            positive = positive - self._sample.log_probability(targets, batch.whole.events).to(positive.dtype)
            negative = negative - self._sample.log_probability(drawn, batch.whole.events).to(negative.dtype)
        else:
            seen = self._seen.excludes(batch.rows, batch.numbers, drawn)  # (batch, neg)
            if isinstance(states, RecalledStates):
                seen = seen & ~self._as_if_uniform(batch, drawn, draw)
            mask = mask & take(~seen, 0, row)
        return self._loss(positive, negative.T, mask=mask.T), mask

    def _part(self, loss: Tensor, batch: Batch, mask: Tensor | None) -> Tensor:
        """The part of these sessions in the mean over the mini-batch, float ()."""
        if self._loss.over_catalogue is not None:
            return loss * len(batch.viewed[0]) / max(batch.whole.targets, 1)
        if mask is None:
            weight = torch.tensor(0)
        else:
            weight = mask.any(dim=1).sum() if self._loss.mean_over == "targets" else mask.sum()
        return loss * weight / summed(weight).clamp(min=1)

    def _as_if_uniform(self, batch: Batch, drawn: Tensor, draw: Draw) -> Tensor:
        """Which drawn items a session is compared with though its user has seen them: bool (batch, neg).

        If it never were, the terms that memories have for such items would only ever be those of targets. It is as
        often as a uniform draw would find them: samplers that follow the mini-batch find them far more often.
        """
        luck = draw.uniform_at(batch.numbers.unsqueeze(1), torch.arange(len(drawn), device=drawn.device))
        if not hasattr(self._sample, "log_probability"):
            return torch.ones_like(luck, dtype=torch.bool)
        return luck * self._sample.log_probability(drawn, batch.whole.events).exp() < self._chance


def hide_events(items: Tensor, share: float) -> Tensor:
    """Padding in the place of this share of the events: the session as if they had not been seen."""
    if share == 0:
        return items
    return items.masked_fill(torch.rand(items.shape, device=items.device) < share, PADDING_IDX)


def hide_channels(channels: Channels, user_share: float, dwell_share: float) -> Channels:
    """Forget the users of one share of the rows, and the dwell times of another.

    So what stands for an unknown user and for unknown dwell is trained, too.
    """
    users, dwell = channels.user_ids, channels.dwell_times
    if users is not None and user_share > 0:
        users = users.masked_fill(torch.rand(users.shape, device=users.device) < user_share, UNKNOWN_USER)
    if dwell is not None and dwell_share > 0:
        dwell = dwell.masked_fill(torch.rand(len(dwell), 1, device=dwell.device) < dwell_share, torch.nan)
    return channels._replace(user_ids=users, dwell_times=dwell)
