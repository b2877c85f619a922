"""The training objective: the loss of predicting each event of a mini-batch from those before it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.random import RandomState
from numpy.typing import NDArray
from torch import Tensor

from spotlight_asars._checks import require
from spotlight_asars.losses import LossFunction, find_loss
from spotlight_asars.memory.recall_net import RecalledStates
from spotlight_asars.representations import Representation
from spotlight_asars.runtime.devices import moved, rows_at_once, take
from spotlight_asars.runtime.distributed import ALONE, Processes, summed
from spotlight_asars.sampling import Sampler, Seen
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
        processes: Processes = ALONE,
    ) -> None:
        self._loss, self._num_negatives, self._random_state = find_loss(loss), num_negatives, random_state
        self._user_dropout, self._dwell_dropout, self._event_dropout = user_dropout, dwell_dropout, event_dropout
        self._processes, self._num_items = processes, sessions.num_items
        targets = sessions.lengths[sessions.lengths >= 2] - 1
        self._usual_targets = targets.mean() if by_targets and len(targets) else None
        if self._loss.over_catalogue is None:
            self._sample, self._seen = sampler(sessions), Seen(sessions)
        self._chance = min(1.0, num_negatives / max(sessions.num_items - 1, 1))  # of an item in a uniform draw
        if self._loss.corrects_log_q:
            able = hasattr(self._sample, "log_probability")
            require(able, "negative_sampling must give samples that know their log_probability, for this loss", sampler)

    def __call__(self, net: Representation, batch: Batch) -> Tensor:
        drawn, salt = None, 0
        if self._loss.over_catalogue is None:
            drawn = self._sample(self._num_negatives, self._random_state, batch.whole.events)
            salt = self._random_state.randint(2**31)
        if len(batch.rows):
            loss, mask = self._mean_loss(net, batch, drawn, salt)
        else:  # more ranks than sessions
            loss, mask = batch.items.new_zeros((), dtype=torch.float32), None
        if self._processes.size > 1:
            loss = loss * self._share(batch, mask)
        if self._usual_targets is not None:
            loss = loss * (batch.whole.targets / (self._usual_targets * batch.whole.sessions))
        return loss

    def _mean_loss(
        self, net: Representation, batch: Batch, drawn: NDArray[np.int64] | None, salt: int
    ) -> tuple[Tensor, Tensor | None]:
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
        if drawn is None:
            assert self._loss.over_catalogue is not None
            at_once = max(rows_at_once(targets.device, self._num_items), LEAST_ROWS)
            return mean_in_chunks(self._loss.over_catalogue, net, states, targets, at_once), None
        positive = net.score(states, targets)
        negative, mask = self._sampled(net, states, row, batch.rows, drawn)
        if self._loss.corrects_log_q:
            positive = positive - self._log_q(targets.cpu().numpy(), batch.whole.events, positive)
            negative = negative - self._log_q(drawn, batch.whole.events, negative)
        if isinstance(states, RecalledStates):
            seen, seen_mask = self._seen_before(net, states, batch, targets, salt)
            negative, mask = torch.cat([negative, seen], dim=1), torch.cat([mask, seen_mask], dim=1)
        return self._loss(positive, negative.T, mask=mask.T), mask

    def _share(self, batch: Batch, mask: Tensor | None) -> Tensor:
        """The part of these sessions in the mean over the mini-batch, float ()."""
        if self._loss.over_catalogue is not None:
            return torch.tensor(len(batch.viewed[0]) / max(batch.whole.targets, 1))
        if mask is None:
            weight = torch.tensor(0)
        else:
            weight = mask.any(dim=1).sum() if self._loss.mean_over == "targets" else mask.sum()
        return weight / summed(weight).clamp(min=1)

    def _sampled(
        self, net: Representation, states: Any, row: Tensor, rows: NDArray[np.int64], drawn: NDArray[np.int64]
    ) -> tuple[Tensor, Tensor]:
        """Scores of one draw for all targets, (targets, neg); what the target's user has seen does not count."""
        allowed = moved(torch.from_numpy(~self._seen.excludes(rows, drawn)), row.device)  # (batch, neg)
        return net.score_items(states, moved(torch.from_numpy(drawn), row.device)), take(allowed, 0, row)

    def _seen_before(
        self, net: Any, states: RecalledStates, batch: Batch, targets: Tensor, salt: int
    ) -> tuple[Tensor, Tensor]:
        """Scores of items that a target's user has seen before it, and where they count, (targets, slots).

        A draw never compares these, so their terms would only ever see them as targets. They count as often as a
        uniform draw of as many negatives would find them.
        """
        row, step = torch.stack(batch.viewed).cpu().numpy()
        owner = batch.rows[row]
        target, item = self._seen.of(owner)
        drawn = np.flatnonzero(hash_uniform(owner[target], step[target], item, salt) < self._chance)
        target, item = target[drawn], item[drawn]
        slot = np.arange(len(target)) - np.searchsorted(target, target)  # number of each pair among those of its target
        pairs = (moved(torch.from_numpy(part), targets.device) for part in (target, item, slot))
        state, items, column = pairs
        found, recalled = net.score_pairs(states, state, items)
        if self._loss.corrects_log_q:
            found = found - float(np.log(self._chance / self._num_negatives))
        place = state, column
        shape = len(states), int(slot.max(initial=-1)) + 1
        scores = found.new_zeros(shape).index_put(place, found)
        counts = torch.zeros(shape, dtype=torch.bool, device=scores.device)
        return scores, counts.index_put(place, recalled & (items != targets[state]))

    def _log_q(self, items: NDArray[np.int64], events: NDArray[np.int64], like: Tensor) -> Tensor:
        """Logarithm of the probability that the sampler draws each of `items`."""
        return moved(torch.from_numpy(self._sample.log_probability(items, events)).to(like.dtype), like.device)


def hash_uniform(
    rows: NDArray[np.int64], steps: NDArray[np.int64], items: NDArray[np.int64], salt: int
) -> NDArray[np.float64]:
    """A uniform number in [0, 1) for each session, step and item, which broadcast: a hash of them and of `salt`.

    A generator's next number depends on how many it gave before, and processes that share a mini-batch must agree. The
    mixing is that of splitmix64 (Steele, Lea and Flood: Fast splittable pseudorandom number generators. 2014).
    """
    mixed = np.array(salt, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for part in (rows, steps, items):
            mixed = mixed + part.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
            mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            mixed = mixed ^ (mixed >> np.uint64(31))
    return (mixed >> np.uint64(11)) / 2.0**53


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
