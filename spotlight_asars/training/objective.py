"""The training objective: the loss of predicting each event of a mini-batch from those before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from numpy.random import RandomState
from torch import Tensor

from spotlight_asars._checks import require
from spotlight_asars.events.labels import UNKNOWN
from spotlight_asars.losses import LOSSES, LossFunction, find_loss
from spotlight_asars.memory.recall_net import RecalledStates, looked_up
from spotlight_asars.representations import Representation
from spotlight_asars.runtime.devices import moved, rows_at_once, take
from spotlight_asars.runtime.distributed import ALONE, Processes, summed
from spotlight_asars.sampling import HOST, Draw, Local, Popularity, Sampler, Seen, Uniform
from spotlight_asars.sessions.batching import Batch
from spotlight_asars.sessions.hiding import hide_channels, hide_events, hide_labels
from spotlight_asars.sessions.interactions import SessionInteractions
from spotlight_asars.sessions.targets import weight_of_targets, weights_of_targets
from spotlight_asars.training.chunked_loss import LEAST, LEAST_ROWS, mean_in_chunks

ANY_ITEM = 1  # in the place of a target where there is none
MOST_SEEN = 4096  # items of a user, up to which all users of a batch may be looked up as if they had as many
OURS = tuple(LOSSES.values())
ASKED = 0.2  # share of the events that are asked for by their kind


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
        Shares of the rows whose user, and independently whose dwell times, kinds and context, are hidden.
    event_dropout : float
        Share of the viewed events that are hidden; they are still to be predicted.
    asks : bool
        Ask for some of the events as ones of their kind, if there are several.
    kind_weights : floats, optional
        What a target of each kind weighs, the unknown one first; means over targets are weighted by it.
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
        asks: bool = False,
        kind_weights: Sequence[float] | None = None,
        by_targets: bool = False,
        device: torch.device = HOST,
        processes: Processes = ALONE,
    ) -> None:
        self._loss, self._num_negatives, self._random_state = find_loss(loss), num_negatives, random_state
        self._user_dropout, self._dwell_dropout, self._event_dropout = user_dropout, dwell_dropout, event_dropout
        self._asks = asks and sessions.num_kinds > 2  # a single kind tells nothing
        self._kind_dropout = dwell_dropout if sessions.num_kinds > 2 else 0.0
        self._context_dropout = dwell_dropout if max(sessions.context_sizes, default=0) > 2 else 0.0
        self._processes, self._num_items = processes, sessions.num_items
        self._weights: Tensor | None = None
        if kind_weights is not None:
            self._weights = moved(torch.tensor(kind_weights, dtype=torch.float32), device)
            self._distinct_weights = sorted({weight for weight in kind_weights if weight > 0})
        long_enough = int((sessions.lengths >= 2).sum())
        self._usual_weight = None
        if by_targets and long_enough:
            self._usual_weight = weight_of_targets(sessions, kind_weights) / long_enough
        if self._loss.over_catalogue is None:
            self._sample, self._seen = sampler(sessions, device), Seen(sessions, device)
        self._chance = 1.0 / max(sessions.num_items - 1, 1)  # of an item in a uniform draw
        if self._loss.corrects_log_q:
            able = hasattr(self._sample, "log_probability")
            require(able, "negative_sampling must give samples that know their log_probability, for this loss", sampler)

    def __call__(self, net: Representation, batch: Batch) -> Tensor:
        return self.loss(net, batch, self.seeds())

    @property
    def takes_blocks(self) -> bool:
        """Whether the loss, which is none of a caller's own, knows what is padding in a batch that was a ``Block``."""
        if not any(self._loss is known for known in OURS):
            return False
        if self._loss.over_catalogue is not None:
            return True
        knows_padding = isinstance(self._sample, (Local, Popularity, Uniform))
        return knows_padding and (self._loss.corrects_log_q or self._seen.longest <= MOST_SEEN)

    def seeds(self) -> list[int]:
        """New seeds for one mini-batch, from which its negatives and the events whose kinds are asked for are drawn."""
        number = (self._loss.over_catalogue is None) + self._asks
        return [self._random_state.randint(2**31) for _ in range(number)]

    def loss(self, net: Representation, batch: Batch, seeds: Sequence[int | Tensor]) -> Tensor:
        """The loss, float (), from seeds as of ``seeds``, ints or int64 () on the device."""
        draws = [Draw(seed, batch.items.device) for seed in seeds]
        weights = self._weights_of(batch)
        if self._asks:
            batch = batch._replace(channels=batch.channels._replace(asked=some_asked(batch, draws[-1])))
        if len(batch.items):
            draw = draws[0] if self._loss.over_catalogue is None else None
            loss, mask = self._mean_loss(net, batch, draw, weights)
        else:  # more ranks than sessions
            loss, mask = batch.items.new_zeros((), dtype=torch.float32), None
        if self._processes.size > 1:
            loss = self._part(loss, batch, mask, weights)
        if self._usual_weight is not None:
            loss = loss * (self.weight(batch) / (self._usual_weight * batch.whole.sessions))
        return loss

    def weight(self, batch: Batch) -> Tensor | int:
        """The number of targets of a mini-batch, or the sum of their weights, float ()."""
        weights = self._weights_of(batch)
        if weights is None:
            return batch.whole.targets
        return weights.sum() if self._processes.size == 1 else summed(weights.sum())

    def _weights_of(self, batch: Batch) -> Tensor | None:
        """The weight of each target, float (targets,); None where all weigh the same."""
        weights = None if self._weights is None else weights_of_targets(batch, self._weights)
        if batch.real is None:
            return weights
        real = batch.real.to(torch.float32)
        return real if weights is None else real * weights

    def _mean_loss(
        self, net: Representation, batch: Batch, draw: Draw | None, weights: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Mean loss of these sessions, and the pairs that it is over, bool (targets, neg), if there was a draw."""
        row, step = batch.viewed
        targets = batch.items[row, step + 1]  # (targets,)
        if draw is None:
            if batch.real is not None:
                targets = targets.where(batch.real, ANY_ITEM)
            assert self._loss.over_catalogue is not None
            at_once = max(rows_at_once(targets.device, self._num_items, learning=True), LEAST_ROWS)
            states = self._states(net, batch)
            return mean_in_chunks(self._loss.over_catalogue, net, states, targets, at_once, weights), None
        drawn = self._sample(self._num_negatives, draw, batch.whole.events)
        if batch.real is not None:
            # not one item for all: the gradient of its vector would be long in adding up
            any_item = drawn[torch.arange(len(targets), device=drawn.device) % len(drawn)]
            targets = targets.where(batch.real, any_item)
        with looked_up(net, torch.cat([batch.items.flatten(), drawn])):
            states = self._states(net, batch)
            positive, negative = net.score(states, targets), net.score_items(states, drawn)
        mask = drawn != targets.unsqueeze(1)
        if self._loss.corrects_log_q:  # all other items stand for the catalogue, also those seen before
            positive = positive - self._sample.log_probability(targets, batch.whole.events).to(positive.dtype)
            negative = negative - self._sample.log_probability(drawn, batch.whole.events).to(negative.dtype)
        else:
            rows = batch.rows if batch.real is None else None
            seen = self._seen.excludes(rows, batch.numbers, drawn)  # (batch, neg)
            if isinstance(states, RecalledStates):
                seen = seen & ~self._as_if_uniform(batch, drawn, draw)
            mask = mask & take(~seen, 0, row)
        if batch.real is not None:
            mask = mask & batch.real.unsqueeze(1)
        if self._weights is None:
            return self._loss(positive, negative.T, mask=mask.T), mask
        assert weights is not None
        return self._weighted_mean(positive, negative, mask, weights), mask

    def _states(self, net: Representation, batch: Batch) -> Any:
        """The states from which the targets are predicted, (targets, ...), of what is not hidden of the sessions."""
        row, step = batch.viewed
        viewed = hide_events(batch.items, self._event_dropout)
        channels = hide_channels(batch.channels, self._user_dropout, self._dwell_dropout)
        channels = hide_labels(channels, self._kind_dropout, self._context_dropout)
        if channels.chain is None:
            return net.states(viewed[:, :-1], channels.steps(slice(-1)))[row, step]
        return net.states(viewed, channels)[row, step]  # the user's next session sees how this one ends

    def _weighted_mean(self, positive: Tensor, negative: Tensor, mask: Tensor, weights: Tensor) -> Tensor:
        """The mean of the losses of targets of each weight, by the weights and numbers of what these are means over."""
        loss, total = positive.new_zeros(()), positive.new_zeros(())
        for value in self._distinct_weights:
            here = mask & (weights == value).unsqueeze(1)
            weight = value * self._counts(here).sum()
            here = torch.where(here.any(), here, mask)  # a loss of one's own may be NaN where nothing counts
            loss = loss + weight * self._loss(positive, negative.T, mask=here.T)
            total = total + weight
        return loss / total.clamp(min=LEAST)

    def _counts(self, mask: Tensor) -> Tensor:
        """What the loss of each target is a mean over, (targets,): its pairs, or the target itself."""
        return mask.any(dim=1) if self._loss.mean_over == "targets" else mask.sum(dim=1)

    def _part(self, loss: Tensor, batch: Batch, mask: Tensor | None, weights: Tensor | None) -> Tensor:
        """The part of these sessions in the mean over the mini-batch, float ()."""
        if self._loss.over_catalogue is not None and weights is None:
            return loss * len(batch.viewed[0]) / max(batch.whole.targets, 1)
        if self._loss.over_catalogue is not None:
            assert weights is not None
            weight = weights.sum()
        elif mask is None:
            weight = torch.tensor(0 if weights is None else 0.0)
        else:
            counts = self._counts(mask)
            weight = (counts if weights is None else counts * weights).sum()
        return loss * weight / summed(weight).clamp(min=1 if weights is None else LEAST)

    def _as_if_uniform(self, batch: Batch, drawn: Tensor, draw: Draw) -> Tensor:
        """Which drawn items a session is compared with though its user has seen them: bool (batch, neg).

        If it never were, the terms that memories have for such items would only ever be those of targets. It is as
        often as a uniform draw would find them: samplers that follow the mini-batch find them far more often.
        """
        luck = draw.uniform_at(batch.numbers.unsqueeze(1), torch.arange(len(drawn), device=drawn.device))
        if not hasattr(self._sample, "log_probability"):
            return torch.ones_like(luck, dtype=torch.bool)
        return luck * self._sample.log_probability(drawn, batch.whole.events).exp() < self._chance


def some_asked(batch: Batch, draw: Draw) -> Tensor | None:
    """The kinds of a share of the events to come, int64 (batch, time); the others are unknown, as to who does not ask.

    Events are drawn by their places from the end of their sessions, so that processes which share a mini-batch draw the
    same ones, however wide their shares are.
    """
    asked, time = batch.channels.asking_for_own_kinds().asked, batch.items.shape[1]
    if asked is None:
        return None
    luck = draw.uniform_at(batch.numbers.unsqueeze(1), time - torch.arange(time, device=asked.device))
    return asked.masked_fill(luck >= ASKED, UNKNOWN)
