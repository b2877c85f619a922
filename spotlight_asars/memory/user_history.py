"""What each user viewed in earlier sessions, as of any moment.

The design satisfies:

- a session sees the ``Postings`` of its own user's sessions that started before it, and no others. A user's sessions
  follow each other, so these have ended;
- memory is linear in the number of events, and the time of a look-up in what it returns; neither depends on the
  catalogue;
- a look-up is done where the net is, and the host does not wait for it.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spotlight_asars._checks import require
from spotlight_asars.memory.postings import NO_VIEWS, Postings, Views, views_of
from spotlight_asars.runtime.devices import take
from spotlight_asars.sessions.channels import History
from spotlight_asars.sessions.interactions import SessionInteractions

LARGE_ADDITION = 0.25  # of the memory: what was added beyond is sorted in
RECALLED = 200  # postings that a session sees at most, the latest ones
HOST = torch.device("cpu")


class Memory:
    """Earlier sessions of known users.

    Two indices share them: one of what was there at first, and a small one of all sessions of the users to whom
    ``with_sessions`` added some; so an addition costs the histories of its users, and not the memory.

    A posting takes 48 bytes on the host, from which additions and model files are made, and 32 on the device, or 16
    where that is the host. Each session takes 24 bytes more on the device, and each user 16 on both.

    Parameters
    ----------
    sessions : SessionInteractions, optional
        Those of unknown users are left out. A session of unknown start counts as later than all others.
    size : int
        Postings that a session sees at most: the latest ones, so about as many items.
    device : torch.device
        Where histories are looked up.

    Examples
    --------
    >>> sessions = SessionInteractions([[0, 4, 4], [4, 2, 1]], user_ids=[7, 7], started=[0.0, 3600.0])
    >>> recalled = Memory(sessions).recall(torch.tensor([7, 7, 8]), torch.tensor([3600.0, np.nan, np.nan]).double())
    >>> recalled.items.tolist(), recalled.times.tolist()
    ([[0, 0, 4], [1, 2, 4], [0, 0, 0]], [[0.0, 0.0, 2.0], [1.0, 1.0, 3.0], [0.0, 0.0, 0.0]])
    """

    def __init__(
        self, sessions: SessionInteractions | None = None, size: int = RECALLED, device: torch.device = HOST
    ) -> None:
        require(size >= 1, "size must be 1 or more", size)
        self.size = size
        self._keep(NO_VIEWS if sessions is None else views_of(sessions), device)

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]], size: int, device: torch.device = HOST) -> Memory:
        """The memory whose ``arrays`` these are."""
        memory = cls(size=size)
        memory._keep(Views(**{"kind": np.zeros(len(arrays["item"]), np.int32), **arrays}), device)  # older files
        return memory

    def _keep(self, views: Views, device: torch.device) -> None:
        self._base, self._added = Postings(views, device), Postings(NO_VIEWS, device)
        self._num_sessions = int(views.session.max(initial=-1)) + 1

    @property
    def device(self) -> torch.device:
        """Where it is; a pickle may have been loaded to another place than it came from."""
        return self._base.device

    def with_sessions(self, sessions: SessionInteractions) -> Memory:
        """A memory of these sessions as well, on the same device; this one stays as it is."""
        more = views_of(sessions)
        if not len(more.item):
            return self
        later = more._replace(session=more.session + self._num_sessions)
        known = self._base.of_users(np.setdiff1d(more.user, self._added.users))  # what they viewed goes along
        added = self._added.views.append(known).append(later)
        memory = copy.copy(self)
        if len(added.item) > LARGE_ADDITION * len(self._base):
            memory._keep(self._base.of_others(added.user).append(added), self.device)
        else:
            memory._added = Postings(added, self.device, first=len(self._base))
            memory._num_sessions += int(more.session.max()) + 1
        return memory

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything as arrays, for a model file."""
        return self._merged().views._asdict()

    def __len__(self) -> int:
        return len(self._merged())

    def __repr__(self) -> str:
        index = self._merged()
        return f"<Memory ({len(index.users)} users x {index.num_sessions} sessions x {len(index)} postings)>"

    def _merged(self) -> Postings:
        if not len(self._added):
            return self._base
        return Postings(self._base.of_others(self._added.users).append(self._added.views), HOST)

    def recall(self, user_ids: Tensor, started: Tensor) -> History:
        """The history of each session's user.

        Parameters
        ----------
        user_ids : int64 (batch,)
            -1 and users without a session have no history.
        started : float64 (batch,) [s]
            When each session starts; NaN is after everything that is remembered.

        Returns
        -------
        History
            In the order of time. On the host it has the slots that the batch needs, padded from the left. Elsewhere,
            where to ask for their number would be to wait, it has those that any user may need, `size` at most, and
            what the user viewed again later is padding in its place.
        """
        slots = None if self.device == HOST else min(self.size, max(self._base.longest, self._added.longest))
        return self._recall(user_ids, started, self.size, slots)

    def viewed(self, user_ids: Tensor, started: Tensor) -> Tensor:
        """Items of all earlier sessions, even beyond `size`: int64 (batch, slots), padded with 0 from the left.

        It has the slots that the batch needs, for whose number a GPU waits: a single user may need very many.
        """
        return self._recall(user_ids, started, len(self._base) + len(self._added), None).items

    def _recall(self, user_ids: Tensor, started: Tensor, size: int, slots: int | None) -> History:
        """The latest postings, at most `size`, in so many slots; None are those that the batch needs."""
        if not len(self._base):
            return History.empty(len(user_ids)).to(self.device)
        now = started.masked_fill(started.isnan(), max(self._base.latest, self._added.latest))
        start, stop, end = self._ranges(user_ids, started, size)
        if slots is None:
            return self._narrow(start, stop, end, now)
        return self._wide(start, stop, end, now, slots)

    def _ranges(self, user_ids: Tensor, started: Tensor, size: int) -> Sequence[Tensor]:
        """``Postings.ranges`` in the index that has all sessions of the user."""
        _, *ranges = self._base.ranges(user_ids, started, size)
        if not len(self._added):
            return ranges
        found, *added = self._added.ranges(user_ids, started, size)
        return [torch.where(found, new, old) for new, old in zip(added, ranges, strict=True)]

    def _narrow(self, start: Tensor, stop: Tensor, end: Tensor, now: Tensor) -> History:
        """The histories in these ranges one after the other, then padded: nothing is looked up in vain."""
        lengths = stop - start
        row = torch.arange(len(stop), device=self.device).repeat_interleave(lengths)  # (entries,)
        place = torch.arange(len(row), device=self.device) + take(stop - lengths.cumsum(0), 0, row)
        latest = (self._column("next", place) >= take(end, 0, row)).nonzero().squeeze(1)
        row, place = take(row, 0, latest), take(place, 0, latest)
        return self._columns(place, take(end, 0, row), take(now, 0, row)).padded(row, len(stop))

    def _wide(self, start: Tensor, stop: Tensor, end: Tensor, now: Tensor, slots: int) -> History:
        """The histories in these ranges, the same number of postings for each: there is nothing to wait for."""
        start, stop, end, now = (column.repeat_interleave(slots) for column in (start, stop, end, now))  # (entries,)
        place = stop - slots + torch.arange(len(stop), device=self.device) % slots
        padding = place < start
        place = place.clamp(min=0)
        padding |= self._column("next", place) < end  # the user viewed the item again
        return History(*(column.masked_fill(padding, 0).view(-1, slots) for column in self._columns(place, end, now)))

    def _columns(self, place: Tensor, end: Tensor, now: Tensor) -> History:
        """The postings at some places as seen from sessions of these numbers and starts, (entries,) each."""
        return History(
            self._column("item", place).long(),
            self._column("times", place),
            (end - self._column("session", place)).float(),
            (now - self._column("started", place)).float(),
            self._column("dwell", place),
            self._column("kind", place).long(),
        )

    def _column(self, name: str, place: Tensor) -> Tensor:
        """A column of the postings at some places, (entries,); those of the added index come after all others."""
        base, added = self._base.columns[name], self._added.columns[name]
        if not len(added):
            return take(base, 0, place)
        later = place - len(base)
        old, new = take(base, 0, place.clamp(max=len(base) - 1)), take(added, 0, later.clamp(min=0))
        return torch.where(later < 0, old, new)
