"""Sessions with the information of one channel taken away: what a model then loses is what the channel was worth.

A shuffled channel keeps its values and loses where they belong; what the model is, and how many weights it has, stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray

from spotlight_asars import SessionInteractions

Change = Callable[[SessionInteractions, SessionInteractions, RandomState], tuple[SessionInteractions, ...]]


def shuffle_dwell(
    train: SessionInteractions, test: SessionInteractions, random: RandomState
) -> tuple[SessionInteractions, ...]:
    """Known dwell times change places with each other, within the training sessions and within the test's."""

    def shuffled(dwell: NDArray[np.float32]) -> NDArray[np.float32]:
        known = np.flatnonzero(~np.isnan(dwell))
        dwell = dwell.copy()
        dwell[known] = dwell[random.permutation(known)]
        return dwell

    return tuple(
        s if s.flat_dwell_times is None else _with(s, dwell_times=shuffled(s.flat_dwell_times)) for s in (train, test)
    )


def shuffle_users(
    train: SessionInteractions, test: SessionInteractions, random: RandomState
) -> tuple[SessionInteractions, ...]:
    """Users change sessions with each other: each has as many as before, of anybody's."""
    return tuple(s if s.user_ids is None else _with(s, user_ids=random.permutation(s.user_ids)) for s in (train, test))


def constant_dwell(
    train: SessionInteractions, test: SessionInteractions, random: RandomState
) -> tuple[SessionInteractions, ...]:
    """Every known dwell time is the median of training."""
    if train.flat_dwell_times is None or np.isnan(train.flat_dwell_times).all():
        return train, test
    median = np.nanmedian(train.flat_dwell_times)
    parts = ((s, s.flat_dwell_times) for s in (train, test))
    return tuple(s if d is None else _with(s, dwell_times=np.where(np.isnan(d), d, median)) for s, d in parts)


CHANGES: Mapping[str, Change] = {
    "": lambda train, test, random: (train, test),
    "dwell shuffled": shuffle_dwell,
    "dwell constant": constant_dwell,
    "users shuffled": shuffle_users,
}


def _with(sessions: SessionInteractions, **changed: Any) -> SessionInteractions:
    """The same sessions with one channel changed."""
    channels = {"user_ids": sessions.user_ids, "dwell_times": sessions.flat_dwell_times, "started": sessions.started}
    return SessionInteractions.from_ragged(
        sessions.items,
        sessions.offsets,
        num_items=sessions.num_items,
        num_users=sessions.num_users,
        max_sequence_length=sessions.max_sequence_length,
        **{**channels, **changed},
    ).named(sessions.user_vocabulary, sessions.item_vocabulary)
