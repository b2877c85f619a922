"""Negatives: which items a target is compared with, and which it must not be.

A sampler is a function of the sessions that returns ``sample(shape, random_state, batch_items=None) -> int64 ids``,
never the padding id 0. Counting is done once, drawing often. One draw is shared by all targets of a batch, so that
scoring is a single matrix product; ``Seen`` then says which of the drawn items each row must not be compared with.
To add one, write the function and its line in ``SAMPLERS``.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import scipy.sparse as sp
from numpy.random import RandomState
from numpy.typing import NDArray

from spotlight_asars._checks import require
from spotlight_asars.sessions.interactions import SessionInteractions
from spotlight_asars.sessions.ragged import flat_ranges

Items = NDArray[np.int64]


class Sample(Protocol):
    """What a sampler makes of the sessions."""

    def __call__(
        self, shape: int | tuple[int, ...], random_state: RandomState, batch_items: Items | None = None
    ) -> Items:
        """Draw item ids of `shape`; `batch_items` are the item ids of the mini-batch's events."""

    def log_probability(self, items: Items, batch_items: Items | None = None) -> NDArray[np.float64]:
        """Logarithm of the chance of each of `items` in a single draw; only ``sampled_softmax`` asks for it."""


class Sampler(Protocol):
    """Make a ``Sample`` for training on `sessions`."""

    def __call__(self, sessions: SessionInteractions) -> Sample: ...


class Local:
    """Items in proportion to their popularity within the mini-batch: its events, drawn at random (section 2.4).

    Without a mini-batch, the whole log is one.
    """

    def __init__(self, sessions: SessionInteractions) -> None:
        self._log, self._num_items = sessions.items, sessions.num_items

    def __call__(
        self, shape: int | tuple[int, ...], random_state: RandomState, batch_items: Items | None = None
    ) -> Items:
        pool = self._log if batch_items is None else batch_items
        return pool[random_state.randint(0, len(pool), shape)].astype(np.int64)

    def log_probability(self, items: Items, batch_items: Items | None = None) -> NDArray[np.float64]:
        pool = self._log if batch_items is None else batch_items
        with np.errstate(divide="ignore"):  # an item that is not in the pool is never drawn
            return np.log(np.bincount(pool, minlength=self._num_items)[items] / len(pool))


class InBatch(Local):
    """The events of the mini-batch themselves, each once, in random order; over again where more are asked for."""

    def __call__(
        self, shape: int | tuple[int, ...], random_state: RandomState, batch_items: Items | None = None
    ) -> Items:
        pool = self._log if batch_items is None else batch_items
        return np.resize(random_state.permutation(pool), shape).astype(np.int64)


class Uniform:
    """Every item of the catalogue alike, as Spotlight draws, but never padding."""

    def __init__(self, sessions: SessionInteractions) -> None:
        self._num_items = sessions.num_items

    def __call__(
        self, shape: int | tuple[int, ...], random_state: RandomState, batch_items: Items | None = None
    ) -> Items:
        return random_state.randint(1, self._num_items, shape, dtype=np.int64)

    def log_probability(self, items: Items, batch_items: Items | None = None) -> NDArray[np.float64]:
        return np.full(np.shape(items), -np.log(self._num_items - 1))


class Popularity:
    r"""Items in proportion to their popularity in the log to a power, :math:`p_i \propto n_i^\alpha`.

    Parameters
    ----------
    alpha : float
        1 is popularity itself, 0 uniform over the items that occur. ``partial(Popularity, alpha=0.5)`` is a sampler.
    """

    def __init__(self, sessions: SessionInteractions, alpha: float = 0.75) -> None:
        require(alpha >= 0, "alpha must be 0 or more", alpha)
        counts = np.bincount(sessions.items, minlength=sessions.num_items).astype(np.float64)
        weights = np.where(counts > 0, counts**alpha, 0.0)
        self._probability = weights / weights.sum()
        self._bounds = np.cumsum(self._probability)
        self._bounds /= self._bounds[-1]

    def __call__(
        self, shape: int | tuple[int, ...], random_state: RandomState, batch_items: Items | None = None
    ) -> Items:
        return np.searchsorted(self._bounds, random_state.random_sample(shape), side="right").astype(np.int64)

    def log_probability(self, items: Items, batch_items: Items | None = None) -> NDArray[np.float64]:
        with np.errstate(divide="ignore"):
            return np.log(self._probability[items])


class Seen:
    """Which items each session's user has in the log: those are never negatives for it.

    The history of a user is every item of theirs in the training log; a session of an unknown user has its own items.
    A user who has seen all that was drawn is compared with nothing and adds nothing to the loss.

    Memory is linear in the number of events and items; a look-up is linear in the histories of the batch.
    """

    def __init__(self, sessions: SessionInteractions) -> None:
        self._owner = np.unique(sessions.owners(), return_inverse=True)[1]
        places = np.repeat(self._owner.astype(np.int32), sessions.lengths), sessions.items
        shape = self._owner.max(initial=0) + 1, sessions.num_items
        viewed = sp.csr_array((np.ones(len(sessions.items), dtype=np.int8), places), shape=shape)
        self._items, self._offsets = viewed.indices, viewed.indptr.astype(np.int64)
        self._place = np.full(sessions.num_items, -1)  # of the items that were drawn, while they are looked up

    def of(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.intp], Items]:
        """Every item of the history of each session's user: int64 (items,) place in `rows`, in order, and the item."""
        owners = self._owner[rows]
        starts, stops = self._offsets[owners], self._offsets[owners + 1]
        return np.repeat(np.arange(len(rows)), stops - starts), self._items[flat_ranges(starts, stops)].astype(np.int64)

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
        row_of, history = self.of(rows)
        self._place[negatives] = np.arange(len(negatives))  # of equal ones, the last
        place = self._place[history]
        hit = place >= 0
        seen = np.zeros((len(rows), len(negatives)), dtype=bool)
        seen[row_of[hit], place[hit]] = True
        seen = seen[:, self._place[negatives]]
        self._place[negatives] = -1
        return seen


SAMPLERS: dict[str, Sampler] = {
    "in_batch": InBatch,
    "local": Local,
    "popularity": Popularity,
    "uniform": Uniform,
}
