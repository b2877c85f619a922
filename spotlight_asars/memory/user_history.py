"""What each user did in earlier sessions, as of any moment: a sparse memory that is searched, never scanned.

A *posting* says that a user viewed an item in a session: how often until then, and for how long. Postings stand in the
order of users, and of time within a user; so what a session may know of its user is a range, found by search, and the
latest posting of each item in it has the counts. It must satisfy:

- a session sees the postings of its own user's sessions that started before it, and no others. A user's sessions
  follow each other, so these have ended;
- memory is linear in the number of events, and a look-up in what it returns; neither depends on the catalogue.
"""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from spotlight_asars._checks import require
from spotlight_asars.sessions.channels import History
from spotlight_asars.sessions.interactions import UNKNOWN_USER, SessionInteractions, flat_ranges

RECALLED = 200  # postings that a session sees at most, the latest ones


class Views(NamedTuple):
    """A row for each item that a session has: what postings are made of.

    user : int64
    started : float64 [s], NaN where unknown
    session : int64, tells sessions of one user and start apart
    item, times : int32
    dwell, known : float64 [s] and int32, sum and number of the known dwell times
    """

    user: NDArray[Any]
    started: NDArray[Any]
    session: NDArray[Any]
    item: NDArray[Any]
    times: NDArray[Any]
    dwell: NDArray[Any]
    known: NDArray[Any]

    def append(self, more: Views) -> Views:
        """Both, one after the other."""
        return Views(*(np.concatenate([own, its]) for own, its in zip(self, more, strict=True)))

    def take(self, order: NDArray[np.intp]) -> Views:
        return Views(*(column[order] for column in self))


class Memory:
    """Earlier sessions of known users.

    Parameters
    ----------
    sessions : SessionInteractions, optional
        Those without a user are left out. A session whose start is unknown counts as later than all others.
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
        self._index(_NOTHING if sessions is None else _views(sessions))

    def with_sessions(self, sessions: SessionInteractions) -> Memory:
        """A memory that has these sessions, too."""
        more = _views(sessions)
        later = more._replace(session=more.session + self._views.session.max(initial=-1) + 1)
        memory = Memory(size=self.size)
        memory._index(self._views.append(later))
        return memory

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All that is remembered, for a file."""
        return self._views._asdict()

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]], size: int) -> Memory:
        """A memory of what ``arrays`` gave."""
        memory = cls(size=size)
        memory._index(Views(**arrays))
        return memory

    def __len__(self) -> int:
        return len(self._views.item)

    def __repr__(self) -> str:
        return f"<Memory ({len(self._users)} users x {len(self._session_keys)} sessions x {len(self)} postings)>"

    def _index(self, views: Views) -> None:
        """Sort the views by user and time, and link the postings of each user and item."""
        order = np.lexsort((views.item, views.session, views.started, views.user))
        self._views = views = views.take(order)
        self._users, user = np.unique(views.user, return_inverse=True)
        self._starts, moment = np.unique(views.started, return_inverse=True)  # NaN, if there, is the last of them
        self.latest = np.nanmax(views.started, initial=-np.inf)  # [s], start of the latest session

        begins = np.diff(views.session, prepend=-1) != 0  # sessions have numbers of their own
        begins |= np.diff(user, prepend=-1) != 0
        self._session = np.cumsum(begins) - 1  # of each posting
        first_of_session = np.flatnonzero(begins)
        self._postings = np.r_[first_of_session, len(user)]  # where each session's postings begin
        self._moments = len(self._starts) + 1
        self._session_keys = user[first_of_session] * self._moments + moment[first_of_session]
        self._user_sessions = np.searchsorted(self._session_keys, np.arange(len(self._users) + 1) * self._moments)

        by_item = np.lexsort((np.arange(len(user)), views.item, user))
        follows = np.zeros(len(user), dtype=bool)  # the posting before it in this order is of the same user and item
        follows[1:] = (np.diff(user[by_item]) == 0) & (np.diff(views.item[by_item]) == 0)
        group = np.flatnonzero(~follows)[np.cumsum(~follows) - 1]

        def so_far(values: NDArray[np.generic]) -> NDArray[np.float64]:
            total = np.cumsum(np.r_[0.0, values[by_item]])
            summed = np.empty(len(user))
            summed[by_item] = total[1:] - total[group]
            return summed

        self._times = so_far(views.times).astype(np.float32)
        known = so_far(views.known)
        with np.errstate(invalid="ignore"):
            self._dwell = (so_far(views.dwell) / np.where(known > 0, known, np.nan)).astype(np.float32)
        self._next = np.full(len(user), len(first_of_session))  # session of the same user's next view of the item
        self._next[by_item[:-1]] = np.where(follows[1:], self._session[by_item[1:]], len(first_of_session))

    def recall(self, user_ids: NDArray[np.int64], started: NDArray[np.float64]) -> History:
        """What sessions know of their users' earlier ones.

        Parameters
        ----------
        user_ids : int64 (batch,)
            -1 and users without a session are unknown: they have no history.
        started : float64 (batch,) [s]
            NaN is now: after all that is remembered.

        Returns
        -------
        History
            Postings in the order of time, padded from the left.
        """
        if not len(self):
            return History.empty(len(user_ids))
        user = np.searchsorted(self._users, user_ids).clip(max=len(self._users) - 1)
        moment = np.where(np.isnan(started), self._moments - 1, np.searchsorted(self._starts, started))
        end = np.searchsorted(self._session_keys, user * self._moments + moment)  # the first session it must not see
        stop = self._postings[end]
        start = np.maximum(self._postings[self._user_sessions[user]], stop - self.size)
        start = np.where((self._users[user] == user_ids) & (user_ids != UNKNOWN_USER), start, stop)

        row = np.repeat(np.arange(len(user_ids)), stop - start)
        place = flat_ranges(start, stop)
        latest = self._next[place] >= end[row]  # the user has not viewed the item again before the session
        row, place = row[latest], place[latest]
        now = np.where(np.isnan(started), self.latest, started)
        return History.from_flat(
            row,
            len(user_ids),
            items=self._views.item[place],
            times=self._times[place],
            sessions_ago=end[row] - self._session[place],
            seconds_ago=now[row] - self._views.started[place],
            dwell=self._dwell[place],
        )

    def viewed(self, user_ids: NDArray[np.int64], started: NDArray[np.float64]) -> torch.Tensor:
        """Items of all sessions that ``recall`` may see, whatever `size` says: int64 (batch, slots), padded with 0."""
        whole = copy.copy(self)
        whole.size = len(self) + 1
        return whole.recall(user_ids, started).items


_NOTHING = Views(*(np.zeros(0, dtype) for dtype in ("i8", "f8", "i8", "i4", "i4", "f8", "i4")))


def _views(sessions: SessionInteractions) -> Views:
    """One row for each item of each session of a known user."""
    if sessions.user_ids is None:
        return _NOTHING
    rows = np.flatnonzero(sessions.user_ids != UNKNOWN_USER)
    places = sessions.places(rows)
    lengths = sessions.lengths[rows]
    items, session = sessions.items[places], np.repeat(np.arange(len(rows)), lengths)
    dwell = np.full(len(places), np.nan) if sessions.dwell is None else sessions.dwell[places].astype(np.float64)
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
