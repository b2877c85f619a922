"""What the targets of sessions weigh in training, by their kinds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from spotlight_asars.events.labels import UNKNOWN
from spotlight_asars.runtime.devices import take
from spotlight_asars.sessions.batching import Batch
from spotlight_asars.sessions.interactions import SessionInteractions


def weight_of_targets(sessions: SessionInteractions, kind_weights: Sequence[float] | None) -> float:
    """The number of targets of sessions, or the sum of their weights."""
    if kind_weights is None or sessions.flat_kinds is None:
        weight = 1.0 if kind_weights is None else kind_weights[UNKNOWN]
        return weight * float((sessions.lengths - 1).clip(min=0).sum())
    kinds = np.delete(sessions.flat_kinds, sessions.offsets[:-1][sessions.lengths > 0])  # without the first events
    return float(np.array(kind_weights)[np.where(kinds < len(kind_weights), kinds, UNKNOWN)].sum())


def weights_of_targets(batch: Batch, kind_weights: Tensor) -> Tensor:
    """The weight of each target of a mini-batch, float (targets,), by those of the kinds, float (kinds,)."""
    row, step = batch.viewed
    kinds = batch.channels.kinds
    if kinds is None:
        return kind_weights[:1].expand(len(row))
    kinds = kinds[row, step + 1]
    return take(kind_weights, 0, kinds.where(kinds < len(kind_weights), UNKNOWN))
