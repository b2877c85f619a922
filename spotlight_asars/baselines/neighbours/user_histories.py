"""What known users viewed in earlier sessions, sorted by user and time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from spotlight_asars.baselines.prefixes import Ints
from spotlight_asars.sessions.interactions import SessionInteractions
from spotlight_asars.sessions.ragged import flat_ranges


class PastEvents(NamedTuple):
    """Earlier events of the users of some rows, one row after the other, the earliest first.

    row : int64 (events,)
    items : int64 (events,)
    place : int64 (events,), 1 is the first of the row's events
    sessions_ago : int64 (events,), 1 is the user's latest session
    """

    row: Ints
    items: Ints
    place: Ints
    sessions_ago: Ints


class UserHistories:
    """Events of known users.

    Parameters
    ----------
    users : int64 (events,)
        Sorted; 0 or more.
    items : int64 (events,)
        Those of each user in the order of time.
    session : int64 (events,)
        A number that differs between sessions and rises in the order of a user's sessions.
    """

    def __init__(self, users: Ints, items: Ints, session: Ints) -> None:
        self.users, self.items, self.session = users, items, session
        self._offsets = np.r_[0, np.cumsum(np.bincount(users))]  # (user + 1,), first event of each
        starts = np.diff(session, prepend=-1) != 0
        self._first = np.flatnonzero(starts)  # (session,), first event of each
        self._nth = np.cumsum(starts) - 1  # (events,), place of the session in ``_first``

    @classmethod
    def of(cls, sessions: SessionInteractions) -> UserHistories:
        """The histories of the users of these sessions."""
        order = sessions.in_order_of_users()
        users = sessions.owners()[order]
        known = (users < sessions.num_users) & (sessions.lengths[order] > 0)
        order, users = order[known], users[known]
        session = np.repeat(np.arange(len(order)), sessions.lengths[order])
        return cls(users[session], sessions.items[sessions.places(order)].astype(np.int64), session)

    def followed_by(self, later: UserHistories) -> UserHistories:
        """These histories, continued by `later` ones."""
        users = np.r_[self.users, later.users]
        session = np.r_[self.session, later.session + self.session.max(initial=-1) + 1]
        order = np.argsort(users, kind="stable")
        return UserHistories(users[order], np.r_[self.items, later.items][order], session[order])

    def latest_events(self, users: Ints, counts: Ints) -> PastEvents:
        """Up to `counts` (rows,) latest events of the user of each row (rows,); none of an unknown one."""
        start, stop = self._spans(users)
        return self._take(np.maximum(start, stop - counts), stop)

    def latest_sessions(self, users: Ints, count: int) -> PastEvents:
        """The events of the latest `count` sessions of the user of each row (rows,); none of an unknown one."""
        start, stop = self._spans(users)
        last = np.r_[self._nth, 0][stop - 1]
        first = np.r_[self._first, 0][np.maximum(last - count + 1, 0)]
        return self._take(np.where(start < stop, np.maximum(start, first), stop), stop)

    def _spans(self, users: Ints) -> tuple[Ints, Ints]:
        """The first event of each user, and the place after the last; the same where there is none."""
        known = (users >= 0) & (users < len(self._offsets) - 1)
        user = np.where(known, users, 0)
        start = self._offsets[user]
        return start, np.where(known, np.r_[self._offsets, 0][user + 1], start)

    def _take(self, start: Ints, stop: Ints) -> PastEvents:
        row = np.repeat(np.arange(len(start)), stop - start)
        at = flat_ranges(start, stop)
        return PastEvents(row, self.items[at], at - start[row] + 1, self._nth[stop[row] - 1] - self._nth[at] + 1)
