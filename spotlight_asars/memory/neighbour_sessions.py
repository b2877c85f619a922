r"""Earlier sessions that share items with a session, what else was viewed in them, and how much items are viewed.

For the items :math:`i_1, \dots, i_5` of the session's latest events, the last one first, and an earlier session n,

.. math:: s_n = \frac{e^{-2 a_n}}{\sqrt{|n|}} \sum_d e^{(1 - d) / 2} \, [i_d \in n], \qquad
          N_k = \sum_{n} s_n \sum_{q \in n} e^{-|q - p_n| / 2} \, [x_q = k]

over the 100 sessions n with the largest :math:`s_n` of the 128 latest of each item; :math:`a_n` is the share of all
sessions that are later than n, and :math:`p_n` the place in n of the latest item that both share; an event further away
than 5 from it does not count. Items of the session's own latest 20 events get no votes: all neighbours share some of
them, and say nothing of whether they come again. What sets neighbours apart from counts of pairs: a session that shares
two items with this one counts for more than two that share one.

The trend of an item compares its :math:`n_k` events with the :math:`n'_k` in the latest tenth of the sessions,

.. math:: t_k = \log \frac{1 + n'_k}{1 + n_k \, |n'| / |n|}

and is below 0 where the item has gone out of fashion, or out of stock. Its popularity is :math:`\log (1 + n_k)`.

References
----------
D. Garg, P. Gupta, P. Malhotra, L. Vig, G. Shroff: Sequence and time aware neighborhood for session-based
recommendations: STAN. SIGIR 2019.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from spotlight_asars.memory.latest_events import LatestEvents, distinct
from spotlight_asars.memory.ragged_rows import ArrayRows, RaggedRows
from spotlight_asars.memory.score_terms import sums_of
from spotlight_asars.runtime.devices import addends, in_any_order, moved, rows_at_once, sums, take_at
from spotlight_asars.sessions import PADDING_IDX
from spotlight_asars.sessions.channels import Votes
from spotlight_asars.sessions.interactions import SessionInteractions
from spotlight_asars.sessions.ragged import flat_ranges

LATEST = 5  # events of a session whose items are shared
OWN = 20  # latest events of a session whose items get no votes
PER_ITEM = 128  # latest sessions of each item
NEIGHBOURS = 100  # sessions of a state
REACH = 5  # events from the shared item that are looked at, on either side
POSITION_DECAY, GAP_DECAY = 2.0, 2.0  # in events
RECENCY_DECAY = 0.5  # as a share of all sessions
OF_LATE = 0.1  # the latest sessions, likewise, that make up the trend
SUMS_ON_GPU = 4  # times as much memory as scores take, for the whole numbers that they come from
HOST = torch.device("cpu")


class SessionsOnHost(NamedTuple):
    """``NeighbourSessions`` as arrays on the host.

    events_of : the latest events of each item, numbered from 1
    session, items : int32 (events,), of each event
    weight : float32 (sessions,)
    offsets : int64 (sessions + 1,), the first event of each session
    """

    events_of: ArrayRows
    session: NDArray[np.int32]
    items: NDArray[np.int32]
    weight: NDArray[np.float32]
    offsets: NDArray[np.int64]


class NeighbourSessions:
    """Sessions that can be found by their items; memory is about 20 bytes for each of their events.

    Parameters
    ----------
    sessions : SessionInteractions
        Where no start is known, the later ones come later in time.
    device : torch.device
        Where they are looked up.

    Attributes
    ----------
    demand : float (2, num_items)
        Trend and popularity of each item; 0 for one without events.
    """

    def __init__(self, sessions: SessionInteractions, device: torch.device = HOST) -> None:
        sessions = sessions.take(sessions.in_order_of_time())
        self._index(sessions.items, sessions.offsets, sessions.num_items, device)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything as arrays, for a model file."""
        return {"items": self._items.cpu().numpy(), "offsets": self._offsets.cpu().numpy()}

    @classmethod
    def from_arrays(
        cls, arrays: dict[str, NDArray[Any]], num_items: int, device: torch.device = HOST
    ) -> NeighbourSessions:
        """The sessions whose ``arrays`` these are."""
        neighbours = cls.__new__(cls)
        neighbours._index(arrays["items"], arrays["offsets"], num_items, device)
        return neighbours

    def with_added(self, sessions: SessionInteractions) -> NeighbourSessions:
        """Neighbours among these sessions as well, which are later than all others and may have new items.

        The latest sessions are found anew for their items alone; the rest is copied.
        """
        later, before = sessions.take(sessions.in_order_of_time()), self.arrays()
        offsets, table, device = later.offsets + before["offsets"][-1], self._events_of, self._items.device
        item, number = _latest_events(later.items, later.offsets, first=int(offsets[0]))
        rows = np.unique(item)
        num_items = max(self.num_items, sessions.num_items)
        table = table.with_empty_rows(num_items - self.num_items)
        begins, (earlier,), _ = table.on_host()
        starts, stops = begins.numpy()[rows], begins.numpy()[rows + 1]
        item = np.r_[item, np.repeat(rows, stops - starts)]
        order = np.argsort(item, kind="stable")  # the later ones first
        number = np.r_[number, earlier.numpy()[flat_ranges(starts, stops)]][order]
        table = table.with_rows(rows, _events_of(np.searchsorted(rows, item[order]), number, len(rows), device))
        items, offsets = np.r_[before["items"], later.items], np.r_[before["offsets"], offsets[1:]]
        added = NeighbourSessions.__new__(NeighbourSessions)
        added._keep(items, offsets, num_items, table, device)
        return added

    def grown(self, num_items: int) -> NeighbourSessions:
        """The same sessions in a larger catalogue."""
        grown = copy.copy(self)
        more = num_items - self.num_items
        grown._events_of, grown.num_items = self._events_of.with_empty_rows(more), num_items
        grown.demand = F.pad(self.demand, (0, more))
        return grown

    def _index(
        self, items: NDArray[np.int32], offsets: NDArray[np.int64], num_items: int, device: torch.device
    ) -> None:
        events_of = _events_of(*_latest_events(items, offsets), num_items, device)
        self._keep(items, offsets, num_items, events_of, device)

    def _keep(
        self,
        items: NDArray[np.int32],
        offsets: NDArray[np.int64],
        num_items: int,
        events_of: RaggedRows,
        device: torch.device,
    ) -> None:
        lengths = np.diff(offsets)
        number, self.num_items, self._events_of = len(lengths), num_items, events_of
        session = np.repeat(np.arange(number), lengths)
        weight = np.exp(-np.arange(number)[::-1] / (RECENCY_DECAY * number)) / np.sqrt(lengths.clip(min=1))

        def on_device(array: NDArray[Any]) -> Tensor:
            return moved(torch.from_numpy(array), device)

        self._session, self._weight = on_device(session.astype(np.int32)), on_device(weight.astype(np.float32))
        self._items, self._offsets = on_device(items.astype(np.int32)), on_device(offsets.astype(np.int64))
        self.demand = on_device(_demand(items, items[offsets[int((1 - OF_LATE) * number)] :], num_items))

    @cached_property
    def on_host(self) -> SessionsOnHost:
        """All as arrays on the host, in the same memory where that is possible."""
        tensors = self._session, self._items, self._weight, self._offsets
        return SessionsOnHost(self._events_of.arrays, *(tensor.cpu().numpy() for tensor in tensors))

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "on_host"}  # of copies, too

    def with_table(self, remade: Callable[[RaggedRows], Any]) -> NeighbourSessions:
        """The same on the host, where the events of each item are looked up in a table remade from that of here."""
        other = self.from_arrays(self.arrays(), self.num_items)
        other._events_of = remade(other._events_of)
        return other

    def query(self, items: Tensor) -> NeighboursOfBatch:
        """A query for sessions (batch, time), padded with 0 anywhere."""
        return NeighboursOfBatch(self, items)

    def votes(self, items: Tensor) -> Votes:
        """Of the neighbours of states with these latest items, int64 (states, ``OWN``), the last one first.

        A part of the states at a time, for votes are counted in a row of the catalogue for each.
        """
        parts = [self._votes(part) for part in items.split(self._rows_of(items.device, self.num_items))]
        return Votes(*(torch.cat(column) for column in zip(*parts, strict=True)))

    def strength_of(self, items: Tensor, wanted: Tensor) -> Tensor:
        """The strength of items of each state's own, int64 (states, n): float (states, n), without the catalogue."""
        parts = []
        for own, its in zip(items.split(self._at_once(items)), wanted.split(self._at_once(items)), strict=True):
            is_own = (its.unsqueeze(2) == own.unsqueeze(1)).any(dim=2)
            voted, value = self.single_votes(own)
            strength = sums(sums_of(its, voted, addends(value)), value.dtype)
            parts.append(strength.masked_fill(is_own, 0.0))
        return torch.cat(parts)

    def strength_in_columns(self, items: Tensor, place: Tensor, columns: int) -> Tensor:
        """The strength as a matrix, float (states, columns), by the column `place` of each item, int64 (num_items,)."""
        parts = []
        for part in items.split(min(self._at_once(items), self._rows_of(items.device, columns))):
            voted, value = self.single_votes(part)
            added = addends(value)
            with in_any_order():
                strength = added.new_zeros(len(part), columns).scatter_add_(1, place[voted], added)
            parts.append(sums(strength.scatter_(1, place[part], 0), value.dtype))
        return torch.cat(parts)

    @staticmethod
    def _at_once(items: Tensor) -> int:
        return rows_at_once(items.device, LATEST * NEIGHBOURS * (2 * REACH + 1))

    @staticmethod
    def _rows_of(device: torch.device, columns: int) -> int:
        """How many rows of so many sums to make at a time."""
        return rows_at_once(device, columns if device.type == "cpu" else SUMS_ON_GPU * columns)

    def _votes(self, items: Tensor) -> Votes:
        voted, value = self.single_votes(items)
        added = addends(value)
        with in_any_order():
            total = added.new_zeros(len(items), self.num_items).scatter_add_(1, voted, added)
            strength = sums(total.scatter_(1, items, 0).gather(1, voted), value.dtype)
            times = total.zero_().scatter_add_(1, voted, torch.ones_like(added)).gather(1, voted)
        return Votes(voted, strength, times.to(value.dtype))

    def single_votes(self, items: Tensor) -> tuple[Tensor, Tensor]:
        """What each event of a neighbour votes for, 0 for nothing, and the vote: int64 and float (states, slots).

        The items of the session itself are still among them.
        """
        places, similarity = self._neighbours(items)  # (states, neighbours)
        offset = torch.arange(-REACH, REACH + 1, device=items.device)
        near = places.unsqueeze(2) + offset  # (states, neighbours, offsets)
        session = take_at(self._session, places).long()
        start, stop = take_at(self._offsets, session), take_at(self._offsets, session + 1)
        inside = (near >= start.unsqueeze(2)) & (near < stop.unsqueeze(2))
        near = torch.where(inside, near, 0)
        value = similarity.unsqueeze(2) * torch.exp(-offset.abs() / GAP_DECAY)
        voted = torch.where(inside & (value > 0), take_at(self._items, near).long(), PADDING_IDX).flatten(1)
        return voted, torch.where(voted != PADDING_IDX, value.flatten(1), 0.0)

    def _neighbours(self, items: Tensor) -> tuple[Tensor, Tensor]:
        """Where each neighbour has the latest shared item, and its similarity: int64 and float (states, neighbours)."""
        items = distinct(items[:, :LATEST])  # each counts once, at its latest event
        (number,) = self._events_of.rows(items, items != PADDING_IDX)  # (states, latest, per item)
        events, last = (number - 1).clamp(min=0), len(self._weight)
        session = torch.where(number > 0, take_at(self._session, events).long(), last)
        keys = session * items.shape[1] + torch.arange(items.shape[1], device=items.device).view(1, -1, 1)
        keys, order = keys.flatten(1).sort(dim=1)
        session = keys // items.shape[1]
        share = torch.exp(-(keys % items.shape[1]) / POSITION_DECAY)
        total = share.clone()
        for ahead in range(1, items.shape[1]):
            same = session[:, ahead:] == session[:, :-ahead]
            total[:, :-ahead] += share[:, ahead:] * same
        first = session != last
        first[:, 1:] &= session[:, 1:] != session[:, :-1]
        similarity = total * first * take_at(self._weight, session.clamp(max=last - 1))
        similarity, best = similarity.topk(min(NEIGHBOURS, similarity.shape[1]), dim=1)
        return events.flatten(1).gather(1, order.gather(1, best)), similarity


def _latest_events(
    items: NDArray[np.integer[Any]], offsets: NDArray[np.int64], first: int = 0
) -> tuple[NDArray[np.integer[Any]], NDArray[np.int64]]:
    """Items, rising, and the number of the last event of each session that has them, the latest first.

    An event stands for its session: its number finds both the session and where the shared item is. Numbers begin
    after `first`, for 0 is none.
    """
    place, session = np.arange(len(items)), np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    order = np.lexsort((-place, items))
    again = np.zeros(len(order), dtype=bool)
    again[1:] = (np.diff(items[order]) == 0) & (np.diff(session[order]) == 0)
    order = order[~again]
    return items[order], order + first + 1


def _demand(items: NDArray[np.integer[Any]], latest: NDArray[np.integer[Any]], num_items: int) -> NDArray[np.float32]:
    """Trend and popularity of each item, by the items of all events and of the latest ones among them."""
    events, of_late = (np.bincount(part, minlength=num_items) for part in (items, latest))
    usual = events * (len(latest) / max(len(items), 1))
    demand: NDArray[np.float32] = np.stack([np.log((1 + of_late) / (1 + usual)), np.log1p(events)]).astype(np.float32)
    return demand


def _events_of(
    rows: NDArray[np.integer[Any]], number: NDArray[np.int64], num_rows: int, device: torch.device
) -> RaggedRows:
    """The numbers of events by row; `rows` rise, and the first ``PER_ITEM`` numbers of each are kept."""
    counts = np.bincount(rows, minlength=num_rows)
    latest = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts) < PER_ITEM
    return RaggedRows(np.r_[0, np.cumsum(np.minimum(counts, PER_ITEM))], number[latest], device=device)


class NeighboursOfBatch:
    """Finds neighbours for the states of a batch of sessions; see ``NeighbourSessions.query``."""

    def __init__(self, neighbours: NeighbourSessions, items: Tensor) -> None:
        self._neighbours, self._items, self._events = neighbours, items, LatestEvents(items)

    @property
    def demand(self) -> Tensor:
        """See ``NeighbourSessions``."""
        return self._neighbours.demand

    def select(self, rows: slice) -> NeighboursOfBatch:
        """The query for some of the sessions."""
        return NeighboursOfBatch(self._neighbours, self._items[rows])

    def votes(self, rows: Tensor, steps: Tensor) -> Votes:
        """Votes for the states after these steps of these rows, int64 (states,) each."""
        return self._neighbours.votes(self._latest(rows, steps))

    def strength_of(self, rows: Tensor, steps: Tensor, wanted: Tensor) -> Tensor:
        """See ``NeighbourSessions``."""
        return self._neighbours.strength_of(self._latest(rows, steps), wanted)

    def strength_in_columns(self, rows: Tensor, steps: Tensor, place: Tensor, columns: int) -> Tensor:
        """See ``NeighbourSessions``."""
        return self._neighbours.strength_in_columns(self._latest(rows, steps), place, columns)

    def _latest(self, rows: Tensor, steps: Tensor) -> Tensor:
        return self._events.before(rows, steps, OWN)[0]
