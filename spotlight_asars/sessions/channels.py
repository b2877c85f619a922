"""Channels: what a net may know of a mini-batch besides its items, as tensors."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import torch
import torch.nn.functional as F

from spotlight_asars.events.labels import UNKNOWN
from spotlight_asars.runtime.devices import moved, take
from spotlight_asars.sessions.session_array import pick


class Chain(NamedTuple):
    """Which sessions of a batch follow each other: those of one user stand together, in the order of time.

    user : int64 (batch,), number of each session's user among the users of the batch
    place : int64 (batch,), number of each session among the sessions of its user
    sizes : number of users, and largest number of sessions of a user
    """

    user: torch.Tensor
    place: torch.Tensor
    sizes: tuple[int, int]

    def to(self, device: torch.device) -> Chain:
        return Chain(moved(self.user, device), moved(self.place, device), self.sizes)


class History(NamedTuple):
    """Items that the users of a batch viewed in earlier sessions, (batch, slots) each, in the order of time.

    Slots without an item may be anywhere; all columns are 0 there.

    items : int64
    times : float, how often the user has viewed the item
    sessions_ago : float, 1 where the latest view was in the session before
    seconds_ago : float [s], from the start of the session of the latest view to that of this one; NaN where unknown
    dwell : float [s], mean dwell time on the item; NaN where unknown
    kinds : int64, kind of the latest view; 0 where unknown
    """

    items: torch.Tensor
    times: torch.Tensor
    sessions_ago: torch.Tensor
    seconds_ago: torch.Tensor
    dwell: torch.Tensor
    kinds: torch.Tensor

    @classmethod
    def empty(cls, batch: int) -> History:
        """The histories of a batch in which no user has one."""
        ids, values = torch.zeros(batch, 1, dtype=torch.int64), torch.zeros(batch, 1)
        return cls(ids, values, values, values, values, ids)

    def padded(self, row: torch.Tensor, batch: int) -> History:
        """From columns (entries,) of all rows one after the other, padded from the left to the longest row.

        `row`, int64 (entries,), is the row of each entry, and does not fall.
        """
        counts = row.bincount(minlength=batch)
        slots = max(counts.tolist(), default=1) or 1
        before = torch.arange(1, batch + 1, device=row.device) * slots - counts.cumsum(0)
        place = torch.arange(len(row), device=row.device) + take(before, 0, row)
        matrices = (column.new_zeros(batch * slots).scatter_(0, place, column) for column in self)
        return History(*(matrix.view(batch, slots) for matrix in matrices))

    def to(self, device: torch.device) -> History:
        return History(*(moved(column, device) for column in self))


class CandidateQuery(Protocol):
    """Finds candidates for the states of a batch of sessions."""

    def candidates(self, rows: torch.Tensor, steps: torch.Tensor) -> Any:
        """Candidates for the states after these steps of these rows, int64 (states,) each."""

    def select(self, rows: slice) -> CandidateQuery:
        """The query for some of the sessions."""


class Votes(NamedTuple):
    """What the neighbour sessions of some states say of items.

    items : int64 (states, slots), 0 where there is none
    strength : float (states, slots), of the item, the same in all of its slots
    times : float (states, slots), in how many slots of the state the item stands; 0 where there is none
    """

    items: torch.Tensor
    strength: torch.Tensor
    times: torch.Tensor


class NeighbourQuery(Protocol):
    """Finds sessions like those of a batch.

    demand : float (2, num_items), how much more each item has been viewed lately than before, and how much in all
    """

    @property
    def demand(self) -> torch.Tensor: ...

    def votes(self, rows: torch.Tensor, steps: torch.Tensor) -> Votes:
        """Of the neighbours of the states after these steps of these rows, int64 (states,) each."""

    def strength_of(self, rows: torch.Tensor, steps: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        """The strength of items of each state's own, int64 (states, n): float (states, n)."""

    def strength_in_columns(
        self, rows: torch.Tensor, steps: torch.Tensor, place: torch.Tensor, columns: int
    ) -> torch.Tensor:
        """The strength as a matrix, float (states, columns), where items have the column `place`, int64 (items,)."""

    def select(self, rows: slice) -> NeighbourQuery:
        """The query for some of the sessions."""


class Channels(NamedTuple):
    """What a net may know of a batch besides its items; None is unknown throughout.

    user_ids : int64 (batch,), -1 where unknown
    dwell_times : float (batch, time) [s], NaN where unknown
    started : float64 (batch,) [s], when each session starts, NaN where unknown
    chain : the order of each user's sessions, where a batch holds whole users
    history : what the users viewed in earlier sessions
    transitions : finds the items that followed those of each session in the training sessions
    neighbours : finds the training sessions that are like each session
    kinds : int64 (batch, time), kind of each event, 0 where unknown
    context : int64 (batch, columns), labels of each session, 0 where unknown
    asked : int64 (batch, time), kind of the event after each, where it is known: the one that is asked for; 0 elsewhere
    """

    user_ids: torch.Tensor | None = None
    dwell_times: torch.Tensor | None = None
    started: torch.Tensor | None = None
    chain: Chain | None = None
    history: History | None = None
    transitions: CandidateQuery | None = None
    neighbours: NeighbourQuery | None = None
    kinds: torch.Tensor | None = None
    context: torch.Tensor | None = None
    asked: torch.Tensor | None = None

    def rows(self, chosen: slice) -> Channels:
        """Channels of some rows, without their chain."""
        return Channels(
            pick(self.user_ids, chosen),
            pick(self.dwell_times, chosen),
            pick(self.started, chosen),
            history=self.history and History(*(column[chosen] for column in self.history)),
            transitions=self.transitions and self.transitions.select(chosen),
            neighbours=self.neighbours and self.neighbours.select(chosen),
            kinds=pick(self.kinds, chosen),
            context=pick(self.context, chosen),
            asked=pick(self.asked, chosen),
        )

    def to(self, device: torch.device) -> Channels:
        return Channels(
            None if self.user_ids is None else moved(self.user_ids, device),
            None if self.dwell_times is None else moved(self.dwell_times, device),
            None if self.started is None else moved(self.started, device),
            self.chain and self.chain.to(device),
            self.history and self.history.to(device),
            self.transitions,
            self.neighbours,
            None if self.kinds is None else moved(self.kinds, device),
            None if self.context is None else moved(self.context, device),
            None if self.asked is None else moved(self.asked, device),
        )

    def steps(self, chosen: slice) -> Channels:
        """Channels of some steps of every row."""
        every_row = slice(None), chosen
        of_steps = {name: pick(getattr(self, name), every_row) for name in ("dwell_times", "kinds", "asked")}
        return self._replace(**of_steps)

    def asking(self, kind: int, items: torch.Tensor) -> Channels:
        """Channels of `items`, (batch, time), that ask for events of one kind; 0 for any."""
        return self if kind == UNKNOWN else self._replace(asked=torch.full_like(items, kind))

    def asking_for_own_kinds(self) -> Channels:
        """Channels that ask for each event as one of its own kind; that of the event after the last is unknown."""
        return self if self.kinds is None else self._replace(asked=F.pad(self.kinds[:, 1:], (0, 1), value=UNKNOWN))
