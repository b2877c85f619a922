"""Postings: that a user viewed an item in a session, how often up to then, for how long, and how.

They are sorted by user, and by time within a user; so what a session may know of its user is a range, found by binary
search, and the latest posting of each item in it has the counts. A look-up is done where the postings are, and the host
does not wait for it: no shape depends on what a GPU computes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spotlight_asars.runtime.devices import moved
from spotlight_asars.sessions.interactions import UNKNOWN_USER, SessionInteractions
from spotlight_asars.sessions.ragged import flat_ranges


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


class Postings:
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


NO_VIEWS = Views(*(np.zeros(0, dtype) for dtype in ("i8", "f8", "i8", "i4", "i4", "f8", "i4", "i4")))


def views_of(sessions: SessionInteractions) -> Views:
    """One row for each item of each session of a known user."""
    if sessions.user_ids is None:
        return NO_VIEWS
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
