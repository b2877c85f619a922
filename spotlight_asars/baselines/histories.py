"""What known users have viewed in earlier sessions, by user and in the order of time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spotlight_asars.sessions.interactions import SessionInteractions


class PastEvents(NamedTuple):
    """Earlier events of the users of some rows, one row after the other, the earliest first.

    row : int64 (events,)
    items : int64 (events,)
    place : int64 (events,), 1 is the first of the row that is given
    sessions_ago : int64 (events,), 1 is the user's latest session
    """

    row: NDArray[np.int64]
    items: NDArray[np.int64]
    place: NDArray[np.int64]
    sessions_ago: NDArray[np.int64]


class Histories:
    """Events of known users.

    Parameters
    ----------
    users : int64 (events,)
        Sorted; 0 or more.
    items : int64 (events,)
        Of each user in the order of time.
    session : int64 (events,)
        Number of the session, rising in the order of time.
    """

    def __init__(self, users: NDArray[np.int64], items: NDArray[np.int64], session: NDArray[np.int64]) -> None:
        self.users, self.items, self.session = users, items, session
        num_users = int(users[-1]) + 1 if len(users) else 0
        self._offsets = np.r_[0, np.cumsum(np.bincount(users, minlength=num_users))]
        starts = np.diff(session, prepend=-1) != 0  # sessions have different numbers, also those of different users
        self._first = np.flatnonzero(starts)  # (session,), first event of each
        self._nth = np.cumsum(starts) - 1  # (events,), number of the session in order of users

    @classmethod
    def of(cls, sessions: SessionInteractions) -> Histories:
        """The histories that these sessions make."""
        if sessions.user_ids is None:
            nothing = np.zeros(0, dtype=np.int64)
            return cls(nothing, nothing, nothing)
        order = sessions.in_order_of_users()
        order = order[(sessions.user_ids[order] >= 0) & (sessions.lengths[order] > 0)]
        session = np.repeat(np.arange(len(order)), sessions.lengths[order])
        items = sessions.items[sessions.places(order)].astype(np.int64)
        return cls(sessions.user_ids[order][session], items, session)

    def followed_by(self, later: Histories) -> Histories:
        """These histories with the `later` ones after them."""
        users = np.r_[self.users, later.users]
        after = int(self.session.max(initial=-1)) + 1
        session = np.r_[self.session, later.session + after]
        order = np.argsort(users, kind="stable")
        return Histories(users[order], np.r_[self.items, later.items][order], session[order])

    def latest_events(self, users: NDArray[np.int64], counts: NDArray[np.int64]) -> PastEvents:
        """Up to ``counts`` (rows,) events of the user of each row (rows,); none of an unknown one."""
        start, end = self._spans(users)
        return self._take(np.maximum(start, end - counts), end)

    def latest_sessions(self, users: NDArray[np.int64], count: int) -> PastEvents:
        """The events of the latest `count` sessions of the user of each row (rows,); none of an unknown one."""
        start, end = self._spans(users)
        last = np.r_[self._nth, 0][end - 1]
        first = np.r_[self._first, 0][np.maximum(last - count + 1, 0)]
        return self._take(np.where(start < end, np.maximum(start, first), end), end)

    def _spans(self, users: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """First event of each user and the place after the last; both the same where there is none."""
        known = (users >= 0) & (users < len(self._offsets) - 1)
        user = np.where(known, users, 0)
        start = self._offsets[user]
        return start, np.where(known, np.r_[self._offsets, 0][user + 1], start)

    def _take(self, start: NDArray[np.int64], end: NDArray[np.int64]) -> PastEvents:
        counts = end - start
        row = np.repeat(np.arange(len(counts)), counts)
        place = 1 + np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
        at = start[row] + place - 1
        ago = self._nth[end[row] - 1] - self._nth[at] + 1
        return PastEvents(row, self.items[at], place, ago)
