"""Negatives: which items a target is compared with, and which it must not be.

A sampler is a function of the sessions that returns ``sample(shape, random_state, batch_items=None) -> int64 ids``,
never the padding id 0. Counting is done once, drawing often. One draw is shared by all targets of a batch, so that
scoring is a single matrix product; ``Seen`` then says which of the drawn items each row must not be compared with.
To add one, write the function and its line in ``SAMPLERS``.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray

from spotlight_asars.channels import SessionInteractions

Items = NDArray[np.int64]


class Sample(Protocol):
    """Draw item ids of `shape`; `batch_items` are the item ids of the mini-batch's events."""

    def __call__(
        self, shape: int | tuple[int, ...], random_state: RandomState, batch_items: Items | None = None
    ) -> Items: ...


class Sampler(Protocol):
    """Make a ``Sample`` for training on `sessions`."""

    def __call__(self, sessions: SessionInteractions) -> Sample: ...


def local(sessions: SessionInteractions) -> Sample:
    """Items in proportion to their popularity within the mini-batch: its events, drawn at random (section 2.4).

    Without a mini-batch, the whole log is one.
    """

    def sample(shape: int | tuple[int, ...], random_state: RandomState, batch_items: Items | None = None) -> Items:
        pool = sessions.items if batch_items is None else batch_items
        return pool[random_state.randint(0, len(pool), shape)].astype(np.int64)

    return sample


def uniform(sessions: SessionInteractions) -> Sample:
    """Every item of the catalogue alike, as Spotlight draws, but never padding."""

    def sample(shape: int | tuple[int, ...], random_state: RandomState, batch_items: Items | None = None) -> Items:
        return random_state.randint(1, sessions.num_items, shape, dtype=np.int64)

    return sample


class Seen:
    """Which items each session's user has in the log: those are never negatives for it.

    The history of a user is every item of theirs in the training log; a session of an unknown user has its own items.
    A user who has seen all that was drawn is compared with nothing and adds nothing to the loss.

    Memory is linear in the number of events; a look-up is linear in the histories of the batch.
    """

    def __init__(self, sessions: SessionInteractions) -> None:
        self._owner = np.arange(len(sessions))
        if sessions.user_ids is not None:
            self._owner = np.where(sessions.user_ids >= 0, sessions.user_ids, sessions.num_users + self._owner)
            self._owner = np.unique(self._owner, return_inverse=True)[1]
        owner_of_event = np.repeat(self._owner, sessions.lengths)
        pairs = np.unique(owner_of_event * sessions.num_items + sessions.items)
        owners, self._items = np.divmod(pairs, sessions.num_items)
        self._offsets = np.r_[0, np.cumsum(np.bincount(owners, minlength=self._owner.max(initial=0) + 1))]

    def excludes(self, rows: NDArray[np.int64], negatives: Items) -> NDArray[np.bool_]:
        """Where a drawn item is in the history of a session's user.

        Parameters
        ----------
        rows : int64 (batch,)
            Which sessions.
        negatives : int64 (neg,)
            Drawn items, shared by the sessions.

        Returns
        -------
        bool (batch, neg)
        """
        owners = self._owner[rows]
        starts, lengths = self._offsets[owners], np.diff(self._offsets)[owners]
        ends = np.cumsum(lengths)
        flat = np.arange(lengths.sum()) + np.repeat(starts - (ends - lengths), lengths)
        history, row_of = self._items[flat], np.repeat(np.arange(len(rows)), lengths)
        drawn, place_of = np.unique(negatives, return_inverse=True)
        place = np.searchsorted(drawn, history).clip(max=len(drawn) - 1)
        hit = drawn[place] == history
        seen = np.zeros((len(rows), len(drawn)), dtype=bool)
        seen[row_of[hit], place[hit]] = True
        return seen[:, place_of]


SAMPLERS: dict[str, Sampler] = {
    "local": local,
    "uniform": uniform,
}
