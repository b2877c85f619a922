"""Negatives: which items a target is compared with, and which it must not be.

A sampler is a function of the sessions and of a device that returns ``sample(count, draw, events) -> int64 (count,)``,
item ids but never the padding id 0. Counting is done once, drawing often. One sample is shared by all targets of a
batch, so that scoring is a single matrix product; ``Seen`` then says which of its items each row must not be compared
with. All happens on the device, which waits for nothing. To add a sampler, write the function and its line in
``SAMPLERS``.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor

from spotlight_asars._checks import reject, require, resolve
from spotlight_asars._spotlight import PADDING_IDX
from spotlight_asars.runtime.devices import moved, places_of
from spotlight_asars.sessions.interactions import SessionInteractions

HOST = torch.device("cpu")


class Draw:
    """Random numbers that are the same on every device, and in every process that shares a mini-batch.

    A generator's next number depends on how many it gave before, and on its device; these are a hash of their places
    and of a seed. The mixing is that of splitmix64 (Steele, Lea and Flood: Fast splittable pseudorandom number
    generators. 2014).

    Parameters
    ----------
    seed : int or int64 ()
        From 0 to 2**62; a tensor is on `device`.
    device : torch.device

    Examples
    --------
    >>> Draw(1).uniform(3).equal(Draw(1).uniform(3)), Draw(1).uniform(3).equal(Draw(2).uniform(3))
    (True, False)
    """

    def __init__(self, seed: int | Tensor, device: torch.device = HOST) -> None:
        self.device = device
        self._seed: int | Tensor  # mixed, else near seeds would share numbers
        self._seed = _mix(seed + _GOLDEN) if isinstance(seed, Tensor) else int(_mix(torch.tensor(seed) + _GOLDEN))

    def uniform(self, count: int) -> Tensor:
        """Numbers in [0, 1): float64 (count,)."""
        return self.uniform_at(torch.arange(count, device=self.device))

    def uniform_at(self, *places: Tensor) -> Tensor:
        """A number in [0, 1) for each place, given by int64 tensors that broadcast: float64."""
        mixed = torch.zeros((), dtype=torch.int64, device=self.device) + self._seed
        for part in places:
            mixed = _mix(mixed + part + _GOLDEN)
        return _shifted(mixed, 11).double() / 2**53  # in float32, it could be rounded up to 1


def _mix(numbers: Tensor) -> Tensor:
    numbers = (numbers ^ _shifted(numbers, 30)) * _FIRST
    numbers = (numbers ^ _shifted(numbers, 27)) * _SECOND
    return numbers ^ _shifted(numbers, 31)


def _shifted(numbers: Tensor, bits: int) -> Tensor:
    """Shifted to the right as if without a sign."""
    return (numbers >> bits) & ((1 << (64 - bits)) - 1)


_GOLDEN, _FIRST, _SECOND = (
    constant - 2**64 for constant in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
)


class Sample(Protocol):
    """What a sampler makes of the sessions."""

    def __call__(self, count: int, draw: Draw, events: Tensor) -> Tensor:
        """Draw so many item ids, int64 (count,); `events` are the items of the mini-batch, int64 (events,).

        On a GPU there may be padding behind them where the sampler is one of ``SAMPLERS``.
        """

    def log_probability(self, items: Tensor, events: Tensor) -> Tensor:
        """Logarithm of the chance of each of `items` in a single draw; only ``sampled_softmax`` asks for it."""


class Sampler(Protocol):
    """Make a ``Sample`` for training on `sessions`."""

    def __call__(self, sessions: SessionInteractions, device: torch.device) -> Sample: ...


class Local:
    """Items in proportion to their popularity within the mini-batch: its events, drawn at random (section 2.4)."""

    def __init__(self, sessions: SessionInteractions, device: torch.device = HOST) -> None:
        pass

    def __call__(self, count: int, draw: Draw, events: Tensor) -> Tensor:
        return events[_below(_number(events), draw.uniform(count))]

    def log_probability(self, items: Tensor, events: Tensor) -> Tensor:
        ordered = events.sort().values
        times = torch.searchsorted(ordered, items, right=True) - torch.searchsorted(ordered, items)
        return torch.log(times.double() / _number(events))  # an item that is not among the events is never drawn


class InBatch(Local):
    """The events of the mini-batch themselves, each once, in random order; over again where more are asked for."""

    def __call__(self, count: int, draw: Draw, events: Tensor) -> Tensor:
        order = draw.uniform(len(events)).masked_fill(events == PADDING_IDX, 1.0).argsort()
        return events[order[torch.arange(count, device=events.device) % _number(events)]]


class Uniform:
    """Every item of the catalogue alike, as Spotlight draws, but never padding."""

    def __init__(self, sessions: SessionInteractions, device: torch.device = HOST) -> None:
        self._num_items = sessions.num_items

    def __call__(self, count: int, draw: Draw, events: Tensor) -> Tensor:
        return 1 + _below(self._num_items - 1, draw.uniform(count))

    def log_probability(self, items: Tensor, events: Tensor) -> Tensor:
        return torch.full(items.shape, -np.log(self._num_items - 1), dtype=torch.float64, device=items.device)


class Popularity:
    r"""Items in proportion to their popularity in the log to a power, :math:`p_i \propto n_i^\alpha`.

    Parameters
    ----------
    alpha : float
        1 is popularity itself, 0 uniform over the items that occur. ``partial(Popularity, alpha=0.5)`` is a sampler.
    """

    def __init__(self, sessions: SessionInteractions, device: torch.device = HOST, alpha: float = 0.75) -> None:
        require(alpha >= 0, "alpha must be 0 or more", alpha)
        counts = np.bincount(sessions.items, minlength=sessions.num_items).astype(np.float64)
        weights = np.where(counts > 0, counts**alpha, 0.0)
        probability = weights / weights.sum()
        bounds = np.cumsum(probability)
        with np.errstate(divide="ignore"):
            self._log_probability = moved(torch.from_numpy(np.log(probability)), device)
        self._bounds = moved(torch.from_numpy(bounds / bounds[-1]), device)

    def __call__(self, count: int, draw: Draw, events: Tensor) -> Tensor:
        return torch.searchsorted(self._bounds, draw.uniform(count), right=True)

    def log_probability(self, items: Tensor, events: Tensor) -> Tensor:
        return self._log_probability[items]


def _number(events: Tensor) -> int | Tensor:
    """How many events come before the padding at the end, which there is on a device alone."""
    return len(events) if events.device.type == "cpu" else events.count_nonzero()


def _below(size: int | Tensor, uniform: Tensor) -> Tensor:
    """Whole numbers from 0 to `size` - 1, as often each: int64 (count,)."""
    return (uniform * size).long()


class Seen:
    """Which items each session's user has in the log: those are never negatives for it.

    The history of a user is every item of theirs in the training log; a session of an unknown user has its own items.
    A user who has seen all that was drawn is compared with nothing and adds nothing to the loss.

    Memory is linear in the number of events and items; a look-up is linear in the longest history of the batch,
    or of all where the host does not know the batch.

    Parameters
    ----------
    sessions : SessionInteractions
    device : torch.device

    Attributes
    ----------
    longest : int
        Items of the longest history.
    """

    def __init__(self, sessions: SessionInteractions, device: torch.device = HOST) -> None:
        self._owner = np.unique(sessions.owners(), return_inverse=True)[1]
        places = np.repeat(self._owner.astype(np.int32), sessions.lengths), sessions.items
        shape = int(self._owner.max(initial=0)) + 1, sessions.num_items
        viewed = sp.csr_array((np.ones(len(sessions.items), dtype=np.int8), places), shape=shape)
        self._counts, self._num_items = np.diff(viewed.indptr), sessions.num_items
        self._offsets = moved(torch.from_numpy(viewed.indptr.astype(np.int64)), device)
        items = np.append(viewed.indices, 0).astype(np.int64)  # the last is padding
        self._items = moved(torch.from_numpy(items), device)
        self.longest = int(self._counts.max(initial=0))
        self._owner_on_device = moved(torch.from_numpy(self._owner), device)

    def excludes(self, rows: NDArray[np.int64] | None, numbers: Tensor, negatives: Tensor) -> Tensor:
        """Where a drawn item is in the history of a session's user.

        Parameters
        ----------
        rows : int64 (batch,), optional
            Which sessions. None where the host does not know them: then a look-up costs the longest history of all.
        numbers : int64 (batch,)
            The same, on the device.
        negatives : int64 (neg,)
            Drawn items, shared by the sessions.

        Returns
        -------
        bool (batch, neg)
        """
        owner = self._owner_on_device[numbers].unsqueeze(1)
        longest = self.longest if rows is None else int(self._counts[self._owner[rows]].max(initial=0))
        slot = torch.arange(longest, device=numbers.device)
        place = self._offsets[owner] + slot
        history = self._items[torch.where(place < self._offsets[owner + 1], place, -1)]  # (batch, slots)
        column = places_of(negatives, self._num_items, len(negatives))
        seen = torch.zeros(len(numbers), len(negatives) + 1, dtype=torch.bool, device=numbers.device)
        return seen.scatter_(1, column[history], True)[:, column[negatives]]


SAMPLERS: dict[str, Sampler] = {
    "in_batch": InBatch,
    "local": Local,
    "popularity": Popularity,
    "uniform": Uniform,
}


class Checked:
    """The samples of a caller's own sampler: ``TypeError`` or ``ValueError`` for what are no ids of items.

    On a GPU, which would have to wait for them, their values are not looked at.
    """

    def __init__(self, sample: Sample, num_items: int) -> None:
        self._sample, self._num_items = sample, num_items
        if hasattr(sample, "log_probability"):
            self.log_probability = sample.log_probability

    def __call__(self, count: int, draw: Draw, events: Tensor) -> Tensor:
        items = self._sample(count, draw, events)
        kind = items.dtype if isinstance(items, Tensor) else type(items).__name__
        if kind != torch.int64:
            raise TypeError(f"negative_sampling must give an int64 tensor; got {kind}")
        require(items.shape == (count,), f"negative_sampling must give {count} items", tuple(items.shape))
        if items.device.type == "cpu":
            ids, last = items.numpy(), self._num_items - 1
            reject((ids < 1) | (ids > last), ids, f"negative_sampling must give items in 1..{last}")
        return items


def find_sampler(sampler: str | Sampler) -> Sampler:
    """The sampler that a name stands for, or the caller's own, whose samples are ``Checked``."""
    found: Sampler = resolve(sampler, SAMPLERS, "negative_sampling")
    if found in SAMPLERS.values():
        return found
    return lambda sessions, device: Checked(found(sessions, device), sessions.num_items)
