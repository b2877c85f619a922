r"""Which items follow an item, and which come together with it: counts over all training sessions, per item.

For item i the counts of a candidate k are

.. math:: F_{ik} = \sum_{p < q \le p + 10} \frac{[x_p = i] \, [x_q = k]}{q - p}, \qquad
          G_{ik} = \frac{1}{\sqrt{n_i}} \sum_{0 < |p - q| \le 10} [x_p = i] \, [x_q = k]

over the events x of each session, the first as in sequential rules, the second as in item neighbours; :math:`n_i` is
how often i occurs. The design satisfies:

- each item keeps its strongest candidates only, so that a look-up costs the same for any catalogue; memory is 12
  bytes for each of them, and 20 for each two different items of a training session, within ``WINDOW``, while training;
- in training a session's own counts are subtracted, for they hold the very clicks that are to be predicted;
- everything is a tensor on the device of the net, and a look-up makes it wait for nothing.

References
----------
M. Ludewig, D. Jannach: Evaluation of session-based recommendation algorithms. User Modeling and User-Adapted
Interaction 28 (2018).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor

from spotlight_asars._checks import require
from spotlight_asars.memory.latest_events import LatestEvents
from spotlight_asars.memory.own_counts import OwnCounts
from spotlight_asars.memory.pair_counts import counts_by_item
from spotlight_asars.memory.ragged_rows import FoundRows, RaggedRows
from spotlight_asars.memory.sparse_rows import joined, offsets_of, strongest, wider, with_rows
from spotlight_asars.sessions import PADDING_IDX
from spotlight_asars.sessions.interactions import SessionInteractions

KEPT = 100  # candidates of an item
LATEST = 6  # events of a session whose candidates are looked up
EVIDENCE = ("follows", "together")  # kinds of counts: F and G
CSR = ("data", "indices", "indptr")  # arrays of a sparse matrix
OCCURRENCES = "occurrences"
ARRAYS = (*(f"{kind}.{name}" for kind in EVIDENCE for name in CSR), OCCURRENCES)
PRODUCTS = 4_000_000  # of shares of two steps at once
HOST = torch.device("cpu")


class Transitions:
    """Counts over the training sessions.

    Parameters
    ----------
    sessions : SessionInteractions
    kept : int
        Candidates that each item keeps, the strongest ones.
    device : torch.device
        Where the tables are, and all tensors of a query.

    Examples
    --------
    >>> transitions = Transitions(SessionInteractions([[1, 2, 3], [0, 1, 2]]))
    >>> query = transitions.query(torch.tensor([[1]]))
    >>> found = query.candidates(rows=torch.tensor([0]), steps=torch.tensor([0]))
    >>> items, *strength = (part[found.row[0, 0]] for part in found.rows.all)
    >>> items.tolist(), strength[EVIDENCE.index("follows")].tolist()
    ([2, 3], [2.0, 0.5])
    """

    def __init__(self, sessions: SessionInteractions, kept: int = KEPT, device: torch.device = HOST) -> None:
        require(kept >= 1, "kept must be 1 or more", kept)
        blocks = [[strongest(count, kept) for count in block] for block in counts_by_item(sessions)]
        counts = [_stacked(kind) for kind in zip(*blocks, strict=True)]
        self._load(counts, np.bincount(sessions.items, minlength=sessions.num_items), _table_of(counts, device))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything as arrays, for a model file."""
        matrices = zip(EVIDENCE, self._matrices, strict=True)
        arrays = {f"{kind}.{name}": getattr(matrix, name) for kind, matrix in matrices for name in CSR}
        return {**arrays, OCCURRENCES: self._occurrences}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], device: torch.device = HOST) -> Transitions:
        """The transitions whose ``arrays`` these are; ``ValueError`` if they make no matrices."""
        transitions = cls.__new__(cls)
        num_items = len(arrays[f"{EVIDENCE[0]}.indptr"]) - 1
        parts = (tuple(arrays[f"{kind}.{name}"] for name in CSR) for kind in EVIDENCE)
        matrices = [sp.csr_array(part, shape=(num_items, num_items)) for part in parts]
        for matrix in matrices:
            matrix.check_format(full_check=True)
        transitions._load(matrices, arrays[OCCURRENCES], _table_of(matrices, device))
        return transitions

    def with_added(self, sessions: SessionInteractions, kept: int = KEPT) -> Transitions:
        """The counts of these sessions as well, which may have new items.

        They are those of all sessions together, but for candidates that were among too many to be kept before. Only
        the rows of items that occur in the sessions are counted anew; the others are copied.

        Parameters
        ----------
        sessions : SessionInteractions
            With at least as many items as the ``Transitions`` have.
        kept : int
            Candidates that each item keeps.
        """
        num_items = sessions.num_items
        matrices = [wider(matrix, num_items) for matrix in self._matrices]
        before = np.pad(self._occurrences, (0, num_items - len(self._occurrences)))
        more = np.bincount(sessions.items, minlength=num_items)
        rows = np.flatnonzero(more)
        changed, added = [], [_stacked(kind) for kind in zip(*counts_by_item(sessions), strict=True)]
        for kind, (old, new) in enumerate(zip(matrices, added, strict=True)):
            old_rows, new_rows = old[rows], new[rows]
            if EVIDENCE[kind] == "together":  # which is divided by the root of how often the item occurs
                total = before[rows] + more[rows]
                old_rows = sp.csr_array(sp.diags_array(np.sqrt(before[rows] / total)) @ old_rows)
                new_rows = sp.csr_array(sp.diags_array(np.sqrt(more[rows] / total)) @ new_rows)
            together = sp.csr_array(old_rows + new_rows)
            together.sort_indices()
            changed.append(strongest(together, kept))
            matrices[kind] = with_rows(old, rows, changed[kind])
        table = self.table.with_empty_rows(num_items - len(self._occurrences))
        transitions = Transitions.__new__(Transitions)
        transitions._load(matrices, before + more, table.with_rows(rows, _table_of(changed, table.device)))
        return transitions

    def grown(self, num_items: int) -> Transitions:
        """The same counts in a larger catalogue."""
        if num_items == len(self._occurrences):
            return self
        grown, new = Transitions.__new__(Transitions), num_items - len(self._occurrences)
        matrices = [wider(matrix, num_items) for matrix in self._matrices]
        grown._load(matrices, np.pad(self._occurrences, (0, new)), self.table.with_empty_rows(new))
        return grown

    def _load(self, matrices: list[sp.csr_array], occurrences: NDArray[np.int64], table: RaggedRows) -> None:
        self._matrices, self._occurrences, self.table = matrices, occurrences, table

    def nearest(self, number: int, of: NDArray[np.int64] | None = None) -> tuple[Tensor, Tensor]:
        """The items that come together with each item most often, and their shares of the counts G of all of these.

        Of all items, or of those whose ids are given.

        Returns
        -------
        items : int32 (items, number)
            0 where there are fewer.
        shares : float32 (items, number)
            Of each item they sum to 1; 0 where there are fewer.
        """
        matrix = self._matrices[EVIDENCE.index("together")]
        return _padded(strongest(matrix if of is None else sp.csr_array(matrix[of]), number), number)

    def around(self, number: int) -> tuple[Tensor, Tensor]:
        r"""The items within two steps of each, by shares :math:`S_{ik} + \sum_l S_{il} S_{lk}` of ``nearest`` ones.

        An item that few sessions have thus knows those with which its companions come together.

        Returns
        -------
        items, shares
            As of ``nearest``, of all items.
        """
        near = _shares(strongest(self._matrices[EVIDENCE.index("together")], number))
        rows, kept = max(PRODUCTS // number**2, 1), []
        for begin in range(0, near.shape[0], rows):
            part = near[begin : begin + rows]
            reached = sp.csr_array(part + part @ near)
            reached.sort_indices()
            own = np.repeat(np.arange(begin, begin + reached.shape[0]), np.diff(reached.indptr))
            reached.data[reached.indices == own] = 0.0
            kept.append(strongest(reached, number))
        return _padded(_stacked(kept), number)

    def own_counts(self, sessions: SessionInteractions) -> OwnCounts:
        """What each of the training sessions has added to the counts of its items."""
        return OwnCounts(sessions, self._matrices, self.table.device)

    def query(self, items: Tensor, own: OwnCounts | None = None, first: Tensor | None = None) -> TransitionQuery:
        """A query for sessions (batch, time), padded with 0 anywhere.

        In training, without the counts that are their `own`: the sessions are then those of the training log whose
        events begin at the places `first`, int64 (batch,).
        """
        return TransitionQuery(self.table, items, own, first)


def _stacked(blocks: Sequence[sp.csr_array]) -> sp.csr_array:
    """The matrix whose rows are those of all blocks, one after the other."""
    return blocks[0] if len(blocks) == 1 else sp.csr_array(sp.vstack(blocks, format="csr"))


def _shares(matrix: sp.csr_array) -> sp.csr_array:
    """The matrix with rows that sum to 1, or have no entry."""
    row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    total = np.bincount(row, matrix.data, minlength=matrix.shape[0])
    return sp.csr_array((matrix.data / total[row], matrix.indices, matrix.indptr), shape=matrix.shape)


def _padded(matrix: sp.csr_array, number: int) -> tuple[Tensor, Tensor]:
    """Columns and shares of the at most `number` entries of each row: int32 and float32 (rows, number)."""
    matrix = _shares(matrix)
    counts = np.diff(matrix.indptr)
    row = np.repeat(np.arange(len(counts)), counts)
    place = row, np.arange(len(row)) - matrix.indptr[row]
    items, shares = np.zeros((len(counts), number), np.int32), np.zeros((len(counts), number), np.float32)
    items[place], shares[place] = matrix.indices, matrix.data
    return torch.from_numpy(items), torch.from_numpy(shares)


def _table_of(matrices: list[sp.csr_array], device: torch.device) -> RaggedRows:
    """The counts of each item, (n, items) for each kind of evidence, as one table of the candidates of any kind."""
    (keys, strength), shape = joined(matrices), matrices[0].shape
    return RaggedRows(offsets_of(keys, *shape), keys % shape[1], *strength, device=device)


class Candidates(NamedTuple):
    """Candidate items for some states: those of each of their latest events.

    row : int64 (states, events), which of the rows below belong to the latest events of each state, the last one first
    real : bool (states, events), where there is an event
    rows : of ``Transitions.table``, whose values are the strength of each kind of evidence
    own : of ``OwnCounts.table``, what is to be corrected, in training
    step : int64 (states, events), the steps of the latest events; any where there is none
    """

    row: Tensor
    real: Tensor
    rows: FoundRows
    own: FoundRows | None
    step: Tensor


class TransitionQuery:
    """Finds candidates for the states of a batch of sessions; see ``Transitions.query``."""

    def __init__(
        self, table: RaggedRows, items: Tensor, own: OwnCounts | None = None, first: Tensor | None = None
    ) -> None:
        self._table, self._items, self._own, self._first = table, items, own, first
        self._events = LatestEvents(items)

    def select(self, rows: slice) -> TransitionQuery:
        """The query for some of the sessions."""
        first = None if self._first is None else self._first[rows]
        return TransitionQuery(self._table, self._items[rows], self._own, first)

    def candidates(self, rows: Tensor, steps: Tensor) -> Candidates:
        """Candidates for the states after these steps of these rows, int64 (states,) each.

        They are looked up once for each event of the batch, or for the latest events of each state if these are fewer.
        """
        items, number = self._events.before(rows, steps, LATEST)  # (states, events)
        step, real_events = self._events.step_of(rows, number), number > 0
        if items.numel() < self._items.numel():
            row = torch.arange(items.numel(), device=rows.device).view(items.shape)
            session, place = rows.unsqueeze(1).expand_as(items), number
        else:
            row = rows.unsqueeze(1) * self._items.shape[1] + step
            items, place = self._items, self._events.number
            session = torch.arange(len(items), device=rows.device).unsqueeze(1).expand_as(items)
        items, session, place = items.flatten(), session.flatten(), place.flatten()
        real, own = items != PADDING_IDX, None
        if self._own is not None and self._first is not None:
            group = self._own.group[(self._first[session] + place - 1).clamp(min=0)]
            own = self._own.table.found(group, real)
        return Candidates(row, real_events, self._table.found(items, real), own, step)
