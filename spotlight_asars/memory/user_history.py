"""What each user viewed in earlier sessions, as of any moment.

A *posting* says that a user viewed an item in a session: how often up to then, for how long, and how. Postings are
sorted by user, and by time within a user; so what a session may know of its user is a range, found by binary search,
and the latest posting of each item in it has the counts. The design satisfies:

- a session sees the postings of its own user's sessions that started before it, and no others. A user's sessions
  follow each other, so these have ended;
- memory is linear in the number of events, and the time of a look-up in what it returns; neither depends on the
  catalogue;
- a look-up is done where the net is, and the host does not wait for it: no shape depends on what a GPU computes.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spotlight_asars._checks import require
from spotlight_asars.runtime.devices import moved, take
from spotlight_asars.sessions.channels import History
from spotlight_asars.sessions.interactions import UNKNOWN_USER, SessionInteractions
from spotlight_asars.sessions.ragged import flat_ranges

LARGE_ADDITION = 0.25  # of the memory: what was added beyond is sorted in
RECALLED = 200  # postings that a session sees at most, the latest ones
HOST = torch.device("cpu")


class Views(NamedTuple):
    """Columns with a row for each item of each session: what postings are made of.

    user : int64
    started : float64 [s], NaN where unknown
    session : int64, number that tells sessions of one user and start apart
    item, times : int32
    dwell, known : float64 [s] and int32, sum and count of the known dwell times
    kind : int32, of the latest event, 0 where unknown
    """

    user: NDArray[Any]
    started: NDArray[Any]
    session: NDArray[Any]
    item: NDArray[Any]
    times: NDArray[Any]
    dwell: NDArray[Any]
    known: NDArray[Any]
    kind: NDArray[Any]

    def append(self, more: Views) -> Views:
        return Views(*(np.concatenate(columns) for columns in zip(self, more, strict=True)))

    def take(self, order: NDArray[np.intp]) -> Views:
        return Views(*(column[order] for column in self))


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
        self._keep(_NO_VIEWS if sessions is None else _views(sessions), device)

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]], size: int, device: torch.device = HOST) -> Memory:
        """The memory whose ``arrays`` these are."""
        memory = cls(size=size)
        memory._keep(Views(**{"kind": np.zeros(len(arrays["item"]), np.int32), **arrays}), device)  # older files
        return memory

    def _keep(self, views: Views, device: torch.device) -> None:
        self._base, self._added = _Index(views, device), _Index(_NO_VIEWS, device)
        self._num_sessions = int(views.session.max(initial=-1)) + 1

    @property
    def device(self) -> torch.device:
        """Where it is; a pickle may have been loaded to another place than it came from."""
        return self._base.device

    def with_sessions(self, sessions: SessionInteractions) -> Memory:
        """A memory of these sessions as well, on the same device; this one stays as it is."""
        more = _views(sessions)
        if not len(more.item):
            return self
        later = more._replace(session=more.session + self._num_sessions)
        known = self._base.of_users(np.setdiff1d(more.user, self._added.users))  # what they viewed goes along
        added = self._added.views.append(known).append(later)
        memory = copy.copy(self)
        if len(added.item) > LARGE_ADDITION * len(self._base):
            memory._keep(self._base.of_others(added.user).append(added), self.device)
        else:
            memory._added = _Index(added, self.device, first=len(self._base))
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

    def _merged(self) -> _Index:
        if not len(self._added):
            return self._base
        return _Index(self._base.of_others(self._added.users).append(self._added.views), HOST)

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
        """``_Index.ranges`` in the index that has all sessions of the user."""
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


class _Index:
    """Postings in the order of users, and of time within a user, each linked to the user's next view of the item.

    What a look-up needs are tensors on `device`; what an addition needs stays on the host.

    Parameters
    ----------
    views : Views
    device : torch.device
    first : int
        Number of the first posting.
    """

    def __init__(self, views: Views, device: torch.device, first: int = 0) -> None:
        self.views = views = views.take(np.lexsort((views.item, views.session, views.started, views.user)))
        begins_user = np.diff(views.user, prepend=-1) != 0
        begins = begins_user | (np.diff(views.session, prepend=-1) != 0)
        user, session = np.cumsum(begins_user) - 1, np.cumsum(begins) - 1  # of each posting
        by_user, by_session = (np.r_[np.flatnonzero(one), len(user)] for one in (begins_user, begins))  # first postings
        self.users, self._by_user, self.num_sessions = views.user[begins_user], by_user, len(by_session) - 1
        self.longest = int(np.diff(by_user).max(initial=1))  # postings of a user

        starts, moment = np.unique(views.started[begins], return_inverse=True)
        starts = starts[~np.isnan(starts)]  # what is unknown is last there
        self.latest = float(starts.max(initial=-np.inf))  # [s], start of the latest session
        self._moments = len(starts) + 2  # unknown starts come after all others, and the end of time after these

        by_item = np.lexsort((views.item, user))
        again = np.zeros(len(user), dtype=bool)  # the posting before it in this order is of the same user and item
        again[1:] = (np.diff(user[by_item]) == 0) & (np.diff(views.item[by_item]) == 0)
        first_view = np.flatnonzero(~again)[np.cumsum(~again) - 1]

        def sum_so_far(values: NDArray[np.generic]) -> NDArray[np.float64]:
            total = np.cumsum(np.r_[0.0, values[by_item]])
            sums = np.empty(len(user))
            sums[by_item] = total[1:] - total[first_view]
            return sums

        known = sum_so_far(views.known)
        with np.errstate(invalid="ignore"):
            dwell = sum_so_far(views.dwell) / np.where(known > 0, known, np.nan)
        next_view = np.full(len(user), self.num_sessions, dtype=np.int32)  # session of the user's next view of the item
        next_view[by_item[:-1]] = np.where(again[1:], session[by_item[1:]], self.num_sessions)

        def on_device(column: NDArray[Any]) -> Tensor:
            return moved(torch.from_numpy(column), device)

        self._ids, self._first_of_user = on_device(self.users), on_device(first + by_user)
        self._keys = on_device(user[begins] * self._moments + moment)  # of sessions, rising
        self._first_of_session, self._starts = on_device(first + by_session), on_device(starts)
        self.columns = {
            "item": on_device(views.item),
            "started": on_device(views.started),
            "times": on_device(sum_so_far(views.times).astype(np.float32)),
            "dwell": on_device(dwell.astype(np.float32)),
            "session": on_device(session.astype(np.int32)),
            "next": on_device(next_view),
            "kind": on_device(views.kind),
        }

    def __len__(self) -> int:
        return len(self.views.item)

    @property
    def device(self) -> torch.device:
        return self._ids.device

    def of_users(self, users: NDArray[np.int64]) -> Views:
        """The postings of these users, by search."""
        place = np.searchsorted(self.users, users)
        place = place[(np.r_[self.users, -1][place] == users)]
        return self.views.take(flat_ranges(self._by_user[place], self._by_user[place + 1]))

    def of_others(self, users: NDArray[np.int64]) -> Views:
        """The postings of all other users."""
        return self.views.take(np.flatnonzero(~np.isin(self.views.user, users)))

    def ranges(self, user_ids: Tensor, started: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The latest postings, at most `size`, of sessions of these users that started before these moments.

        Returns
        -------
        found : bool (batch,)
            Which users are here.
        start, stop : int64 (batch,)
            The postings from one up to the other.
        end : int64 (batch,)
            Number of the first session that is not earlier.
        """
        user = torch.searchsorted(self._ids, user_ids.contiguous()).clamp(max=len(self.users) - 1)
        moment = torch.searchsorted(self._starts, started.contiguous()).masked_fill(started.isnan(), self._moments - 1)
        end = torch.searchsorted(self._keys, user * self._moments + moment)
        found, stop = self._ids[user] == user_ids, self._first_of_session[end]
        start = torch.where(found, torch.maximum(self._first_of_user[user], stop - size), stop)
        return found, start, stop, end


_NO_VIEWS = Views(*(np.zeros(0, dtype) for dtype in ("i8", "f8", "i8", "i4", "i4", "f8", "i4", "i4")))


def _views(sessions: SessionInteractions) -> Views:
    """One row for each item of each session of a known user."""
    if sessions.user_ids is None:
        return _NO_VIEWS
    rows = np.flatnonzero(sessions.user_ids != UNKNOWN_USER)
    places = sessions.places(rows)
    lengths = sessions.lengths[rows]
    items, session = sessions.items[places], np.repeat(np.arange(len(rows)), lengths)
    flat = sessions.flat_dwell_times
    dwell = np.full(len(places), np.nan) if flat is None else flat[places].astype(np.float64)
    known = ~np.isnan(dwell)
    pairs, view = np.unique(session * sessions.num_items + items, return_inverse=True)
    row, item = np.divmod(pairs, sessions.num_items)
    started = np.full(len(rows), np.nan) if sessions.started is None else sessions.started[rows]
    kind = np.zeros(len(pairs), np.int32)
    if sessions.flat_kinds is not None:
        kind[view] = sessions.flat_kinds[places]  # the latest one stays
    return Views(
        sessions.user_ids[rows][row],
        started[row],
        row,
        item.astype(np.int32),
        np.bincount(view, minlength=len(pairs)).astype(np.int32),
        np.bincount(view, np.where(known, dwell, 0.0), minlength=len(pairs)),
        np.bincount(view, known, minlength=len(pairs)).astype(np.int32),
        kind,
    )
