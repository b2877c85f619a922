"""What one mini-batch teaches: the loss of predicting each event after the first from those before it."""

from __future__ import annotations

import torch
from numpy.random import RandomState
from torch import Tensor

from spotlight_asars._spotlight import PADDING_IDX
from spotlight_asars.batching import Batch
from spotlight_asars.channels import UNKNOWN_USER, Channels, SessionInteractions
from spotlight_asars.losses import OVER_CATALOGUE, Loss
from spotlight_asars.representations import Representation
from spotlight_asars.sampling import Sampler, Seen


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
    channel_dropout : float
        Share of the rows whose user, and independently whose dwell times, are hidden.
    random_state : RandomState
        Draws the negatives.
    """

    def __init__(
        self,
        loss: Loss,
        sessions: SessionInteractions,
        sampler: Sampler,
        num_negatives: int,
        channel_dropout: float,
        random_state: RandomState,
    ) -> None:
        self._loss, self._num_negatives = loss, num_negatives
        self._channel_dropout, self._random_state = channel_dropout, random_state
        if loss not in OVER_CATALOGUE:
            self._sample, self._seen = sampler(sessions), Seen(sessions)

    def __call__(self, net: Representation, batch: Batch) -> Tensor:
        viewed, following = batch.items[:, :-1], batch.items[:, 1:]
        real = viewed != PADDING_IDX  # (batch, time); what follows a real event is real
        channels = hide_channels(batch.channels.steps(slice(-1)), self._channel_dropout)
        states = net.states(viewed, channels)[real]  # (targets, ...)
        targets = following[real]  # (targets,)
        if self._loss in OVER_CATALOGUE:
            negative, mask = self._all_others(net, states, targets)
        else:
            negative, mask = self._sampled(net, states, real, batch)
        return self._loss(net.score(states, targets), negative.T, mask=mask.T)

    def _all_others(self, net: Representation, states: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Scores of the catalogue and where they count, (targets, items): neither padding nor the target does."""
        scores = net.score_items(states)
        mask = torch.ones_like(scores, dtype=torch.bool)
        mask[:, PADDING_IDX] = False
        return scores, mask.scatter_(1, targets.unsqueeze(1), False)

    def _sampled(self, net: Representation, states: Tensor, real: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Scores of one draw for all targets, (targets, neg); what the target's user has seen does not count."""
        pool = batch.items[batch.items != PADDING_IDX].cpu().numpy()
        drawn = self._sample(self._num_negatives, self._random_state, pool)
        allowed = torch.from_numpy(~self._seen.excludes(batch.rows, drawn)).to(states.device)  # (batch, neg)
        row_of_target = real.nonzero()[:, 0]
        return net.score_items(states, torch.from_numpy(drawn).to(states.device)), allowed[row_of_target]


def hide_channels(channels: Channels, share: float) -> Channels:
    """Forget the user, and independently the dwell times, of this share of the rows.

    So what stands for an unknown user and for unknown dwell is trained, too.
    """
    users, dwell = channels
    if share == 0:
        return channels
    if users is not None:
        users = users.masked_fill(torch.rand(users.shape, device=users.device) < share, UNKNOWN_USER)
    if dwell is not None:
        dwell = dwell.masked_fill(torch.rand(len(dwell), 1, device=dwell.device) < share, torch.nan)
    return Channels(users, dwell)
