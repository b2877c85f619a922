"""What each user viewed in earlier sessions, as of any moment.

A *posting* says that a user viewed an item in a session: how often up to then, and for how long. Postings are sorted by
user, and by time within a user; so what a session may know of its user is a range, found by binary search, and the
latest posting of each item in it has the counts. The design satisfies:

- a session sees the postings of its own user's sessions that started before it, and no others. A user's sessions
  follow each other, so these have ended;
- memory is linear in the number of events, and the time of a look-up in what it returns; neither depends on the
  catalogue.
"""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from spotlight_asars._checks import require
from spotlight_asars.sessions.channels import History
from spotlight_asars.sessions.interactions import UNKNOWN_USER, SessionInteractions
from spotlight_asars.sessions.ragged import flat_ranges

LARGE_ADDITION = 0.25  # of the memory: what was added beyond is sorted in
RECALLED = 200  # postings that a session sees at most, the latest ones


class Views(NamedTuple):
    """Columns with a row for each item of each session: what postings are made of.

    user : int64
    started : float64 [s], NaN where unknown
    session : int64, number that tells sessions of one user and start apart
    item, times : int32
    dwell, known : float64 [s] and int32, sum and count of the known dwell times
    """

    user: NDArray[Any]
    started: NDArray[Any]
    session: NDArray[Any]
    item: NDArray[Any]
    times: NDArray[Any]
    dwell: NDArray[Any]
    known: NDArray[Any]

    def append(self, more: Views) -> Views:
        return Views(*(np.concatenate(columns) for columns in zip(self, more, strict=True)))

    def take(self, order: NDArray[np.intp]) -> Views:
        return Views(*(column[order] for column in self))


class Memory:
    """Earlier sessions of known users.

    Two indices share them: one of what was there at first, and a small one of all sessions of the users to whom
    ``with_sessions`` added some; so an addition costs the histories of its users, and not the memory.

    Parameters
    ----------
    sessions : SessionInteractions, optional
        Those of unknown users are left out. A session of unknown start counts as later than all others.
    size : int
        Postings that a session sees at most: the latest ones, so about as many items.

    Examples
    --------
    >>> sessions = SessionInteractions([[0, 4, 4], [4, 2, 1]], user_ids=[7, 7], started=[0.0, 3600.0])
    >>> recalled = Memory(sessions).recall(np.array([7, 7, 8]), np.array([3600.0, np.nan, np.nan]))
    >>> recalled.items.tolist(), recalled.times.tolist()
    ([[0, 0, 4], [1, 2, 4], [0, 0, 0]], [[0.0, 0.0, 2.0], [1.0, 1.0, 3.0], [0.0, 0.0, 0.0]])
    """

    def __init__(self, sessions: SessionInteractions | None = None, size: int = RECALLED) -> None:
        require(size >= 1, "size must be 1 or more", size)
        self.size = size
        self._base, self._added = _Index(_NO_VIEWS if sessions is None else _views(sessions)), _Index(_NO_VIEWS)
        self._num_sessions = int(self._base.views.session.max(initial=-1)) + 1

    def with_sessions(self, sessions: SessionInteractions) -> Memory:
        """A memory of these sessions as well; this one stays as it is."""
        more = _views(sessions)
        if not len(more.item):
            return self
        later = more._replace(session=more.session + self._num_sessions)
        moved = np.setdiff1d(more.user, self._added.users)  # their earlier sessions go along
        added = self._added.views.append(self._base.of_users(moved)).append(later)
        memory = copy.copy(self)
        memory._num_sessions += int(more.session.max()) + 1
        if len(added.item) > LARGE_ADDITION * len(self._base):
            memory._base, memory._added = _Index(self._base.of_others(added.user).append(added)), _Index(_NO_VIEWS)
        else:
            memory._added = _Index(added)
        return memory

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything as arrays, for a model file."""
        return self._merged().views._asdict()

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]], size: int) -> Memory:
        """The memory whose ``arrays`` these are."""
        memory = cls(size=size)
        memory._base = _Index(Views(**arrays))
        memory._num_sessions = int(memory._base.views.session.max(initial=-1)) + 1
        return memory

    def __len__(self) -> int:
        return len(self._merged())

    def __repr__(self) -> str:
        index = self._merged()
        return f"<Memory ({len(index.users)} users x {len(index.session_keys)} sessions x {len(index)} postings)>"

    def _merged(self) -> _Index:
        return (
            _Index(self._base.of_others(self._added.users).append(self._added.views))
            if len(self._added)
            else self._base
        )

    def recall(self, user_ids: NDArray[np.int64], started: NDArray[np.float64]) -> History:
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
            In the order of time, padded from the left.
        """
        return self._recall(user_ids, started, self.size)

    def viewed(self, user_ids: NDArray[np.int64], started: NDArray[np.float64]) -> torch.Tensor:
        """Items of all earlier sessions, even beyond `size`: int64 (batch, slots), padded with 0 from the left."""
        return self._recall(user_ids, started, len(self._base) + len(self._added) + 1).items

    def _recall(self, user_ids: NDArray[np.int64], started: NDArray[np.float64], size: int) -> History:
        now = np.where(np.isnan(started), max(self._base.latest, self._added.latest), started)
        added = np.isin(user_ids, self._added.users)
        parts = [
            index.postings(rows, user_ids[rows], started[rows], now[rows], size)
            for index, rows in ((self._base, np.flatnonzero(~added)), (self._added, np.flatnonzero(added)))
            if len(index) and len(rows)
        ]
        if not parts:
            return History.empty(len(user_ids))
        columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        if len(parts) > 1:
            order = np.argsort(columns["row"], kind="stable")
            columns = {name: column[order] for name, column in columns.items()}
        return History.from_flat(columns.pop("row"), len(user_ids), **columns)


class _Index:
    """Postings in the order of users, and of time within a user, each linked to the user's next view of the item."""

    def __init__(self, views: Views) -> None:
        order = np.lexsort((views.item, views.session, views.started, views.user))
        self.views = views = views.take(order)
        self.users, user = np.unique(views.user, return_inverse=True)
        self._starts, moment = np.unique(views.started, return_inverse=True)  # NaN, if there, is the last of them
        self.latest = np.nanmax(views.started, initial=-np.inf)  # [s], start of the latest session

        begins = np.diff(views.session, prepend=-1) != 0
        begins |= np.diff(user, prepend=-1) != 0
        self._session = np.cumsum(begins) - 1  # of each posting
        first_of_session = np.flatnonzero(begins)
        self._first_posting = np.r_[first_of_session, len(user)]  # of each session
        self._moments = len(self._starts) + 1
        self.session_keys = user[first_of_session] * self._moments + moment[first_of_session]
        self._user_sessions = np.searchsorted(self.session_keys, np.arange(len(self.users) + 1) * self._moments)

        by_item = np.lexsort((np.arange(len(user)), views.item, user))
        again = np.zeros(len(user), dtype=bool)  # the posting before it in this order is of the same user and item
        again[1:] = (np.diff(user[by_item]) == 0) & (np.diff(views.item[by_item]) == 0)
        first_view = np.flatnonzero(~again)[np.cumsum(~again) - 1]

        def sum_so_far(values: NDArray[np.generic]) -> NDArray[np.float64]:
            total = np.cumsum(np.r_[0.0, values[by_item]])
            sums = np.empty(len(user))
            sums[by_item] = total[1:] - total[first_view]
            return sums

        self._times = sum_so_far(views.times).astype(np.float32)
        known = sum_so_far(views.known)
        with np.errstate(invalid="ignore"):
            self._dwell = (sum_so_far(views.dwell) / np.where(known > 0, known, np.nan)).astype(np.float32)
        self._next = np.full(len(user), len(first_of_session))  # session of the same user's next view of the item
        self._next[by_item[:-1]] = np.where(again[1:], self._session[by_item[1:]], len(first_of_session))

    def __len__(self) -> int:
        return len(self.views.item)

    def of_users(self, users: NDArray[np.int64]) -> Views:
        """The postings of these users, by search."""
        place = np.searchsorted(self.users, users)
        place = place[(np.r_[self.users, -1][place] == users)]
        starts, stops = self._user_sessions[place], self._user_sessions[place + 1]
        return self.views.take(flat_ranges(self._first_posting[starts], self._first_posting[stops]))

    def of_others(self, users: NDArray[np.int64]) -> Views:
        """The postings of all other users."""
        return self.views.take(np.flatnonzero(~np.isin(self.views.user, users)))

    def postings(
        self,
        rows: NDArray[np.intp],
        user_ids: NDArray[np.int64],
        started: NDArray[np.float64],
        now: NDArray[np.float64],
        size: int,
    ) -> dict[str, NDArray[Any]]:
        """Columns of the histories of some sessions, and which of the `rows` each entry belongs to."""
        user = np.searchsorted(self.users, user_ids).clip(max=len(self.users) - 1)
        moment = np.where(np.isnan(started), self._moments - 1, np.searchsorted(self._starts, started))
        end = np.searchsorted(self.session_keys, user * self._moments + moment)  # first session that is not earlier
        stop = self._first_posting[end]
        start = np.maximum(self._first_posting[self._user_sessions[user]], stop - size)
        start = np.where((self.users[user] == user_ids) & (user_ids != UNKNOWN_USER), start, stop)

        entry = np.repeat(np.arange(len(user_ids)), stop - start)
        place = flat_ranges(start, stop)
        latest = self._next[place] >= end[entry]  # the user has not viewed the item again before the session
        entry, place = entry[latest], place[latest]
        return {
            "row": rows[entry],
            "items": self.views.item[place],
            "times": self._times[place],
            "sessions_ago": end[entry] - self._session[place],
            "seconds_ago": now[entry] - self.views.started[place],
            "dwell": self._dwell[place],
        }


_NO_VIEWS = Views(*(np.zeros(0, dtype) for dtype in ("i8", "f8", "i8", "i4", "i4", "f8", "i4")))


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
    return Views(
        sessions.user_ids[rows][row],
        started[row],
        row,
        item.astype(np.int32),
        np.bincount(view, minlength=len(pairs)).astype(np.int32),
        np.bincount(view, np.where(known, dwell, 0.0), minlength=len(pairs)),
        np.bincount(view, known, minlength=len(pairs)).astype(np.int32),
    )
