r"""Which items follow an item, and which come together with it: counts over all training sessions, per item.

For item i the counts of a candidate k are

.. math:: F_{ik} = \sum_{p < q \le p + 10} \frac{[x_p = i] \, [x_q = k]}{q - p}, \qquad
          G_{ik} = \frac{1}{\sqrt{n_i}} \sum_{0 < |p - q| \le 10} [x_p = i] \, [x_q = k]

over the events x of each session, the first as in sequential rules, the second as in item neighbours; :math:`n_i` is
how often i occurs. The candidates of a session are those of its latest events, the last one weighing most:

.. math:: f_k = \sum_{d=1}^{10} F_{i_d k} / d, \qquad g_k = \sum_{d=1}^{10} G_{i_d k} / d

where :math:`i_1` is its last item, :math:`i_2` the one before. The design satisfies:

- each item keeps its strongest candidates only, so that a query costs the same for any catalogue;
- in training a session's own counts are subtracted, for they hold the very clicks that are to be predicted.

References
----------
M. Ludewig, D. Jannach: Evaluation of session-based recommendation algorithms. User Modeling and User-Adapted
Interaction 28 (2018).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor

from spotlight_asars._checks import require
from spotlight_asars.runtime.devices import moved
from spotlight_asars.sessions import PADDING_IDX
from spotlight_asars.sessions.channels import Candidates
from spotlight_asars.sessions.interactions import SessionInteractions

WINDOW = 10  # events that two events are apart at most to be counted together, and latest events of a query
KEPT = 100  # candidates of an item
EVENTS_AT_ONCE = 500_000  # whose pairs are counted together
EVIDENCE = ("follows", "together")  # kinds of counts: F and G
CSR = ("data", "indices", "indptr")  # arrays of a sparse matrix
ARRAYS = ("weight", *(f"{kind}.{name}" for kind in EVIDENCE for name in CSR))
NEGLIGIBLE = 1e-6  # smaller strengths are rounding errors of a subtraction


class Transitions:
    """Counts over the training sessions.

    Parameters
    ----------
    sessions : SessionInteractions
    kept : int
        Candidates that each item keeps, the strongest ones.

    Examples
    --------
    >>> transitions = Transitions(SessionInteractions([[1, 2, 3], [0, 1, 2]]))
    >>> query = transitions.query(torch.tensor([[1]]))
    >>> follows, together = query.candidates(rows=torch.tensor([0]), steps=torch.tensor([0]))
    >>> follows.items.tolist(), follows.strength.tolist()
    ([3, 2], [0.5, 2.0])
    """

    def __init__(self, sessions: SessionInteractions, kept: int = KEPT) -> None:
        require(kept >= 1, "kept must be 1 or more", kept)
        self.num_items = sessions.num_items
        self.weight = 1.0 / np.sqrt(np.maximum(np.bincount(sessions.items, minlength=self.num_items), 1))
        shape = (self.num_items, self.num_items)
        counts = [sp.csr_array(shape) for _ in EVIDENCE]
        for first, last in _parts(sessions.offsets):
            places = slice(sessions.offsets[first], sessions.offsets[last])
            items = sessions.items[places].astype(np.int64)
            pairs = _pairs(items, np.repeat(sessions.offsets[first:last] - places.start, sessions.lengths[first:last]))
            counts = [
                count + _count(kind, pairs, items, items, shape, self.weight)
                for kind, count in zip(EVIDENCE, counts, strict=True)
            ]
        self.matrices = tuple(_strongest(count, kept) for count in counts)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything as arrays, for a model file."""
        matrices = zip(EVIDENCE, self.matrices, strict=True)
        parts = {f"{kind}.{name}": getattr(matrix, name) for kind, matrix in matrices for name in CSR}
        return {"weight": self.weight, **parts}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Transitions:
        """The transitions whose ``arrays`` these are; ``ValueError`` if they make no matrices."""
        transitions = cls.__new__(cls)
        transitions.weight = arrays["weight"]
        transitions.num_items = len(transitions.weight)
        shape = (transitions.num_items, transitions.num_items)
        parts = (tuple(arrays[f"{kind}.{name}"] for name in CSR) for kind in EVIDENCE)
        transitions.matrices = tuple(sp.csr_array(part, shape=shape) for part in parts)
        for matrix in transitions.matrices:
            matrix.check_format(full_check=True)
        return transitions

    def query(self, items: Tensor, training: bool = False) -> TransitionQuery:
        """A query for sessions (batch, time), padded with 0 anywhere; in training, without their own counts."""
        return TransitionQuery(self, items, training)


class TransitionQuery:
    """Finds candidates for the states of a batch of sessions; see ``Transitions.query``."""

    def __init__(self, transitions: Transitions, items: Tensor, training: bool) -> None:
        self._transitions, self._items, self._training = transitions, items, training
        matrix = items.cpu().numpy()
        real = matrix != PADDING_IDX  # (batch, time)
        ends = real.sum(axis=1).cumsum()
        self._first = np.r_[0, ends[:-1]]  # (batch,), place of each session's first event among all events
        self._events = matrix[real].astype(np.int64)
        self._latest = self._first[:, None] + real.cumsum(axis=1) - 1  # (batch, time), place of the event of each step

    def select(self, rows: slice) -> TransitionQuery:
        """The query for some of the sessions."""
        return TransitionQuery(self._transitions, self._items[rows], self._training)

    def candidates(self, rows: Tensor, steps: Tensor) -> tuple[Candidates, ...]:
        """Candidates for the states after these steps of these rows, int64 (states,) each, by kind of evidence."""
        row, step = torch.stack([rows, steps]).cpu().numpy()  # in one copy: each makes a GPU wait
        latest, first = self._latest[row, step], self._first[row]
        back = latest[:, None] - np.arange(WINDOW)  # (states, window), places of the latest events
        state, ago = np.nonzero(back >= first[:, None])
        place, weight = back[state, ago], 1.0 / (ago + 1)
        by_item = _sparse(weight, state, self._events[place], (len(row), self._transitions.num_items))
        by_event = _sparse(weight, state, place, (len(row), len(self._events))) if self._training else None
        candidates = []
        for kind, matrix in enumerate(self._transitions.matrices):
            strength = by_item @ matrix
            if by_event is not None:
                strength = strength - by_event @ self._own_counts[kind]
            strength = strength.tocoo()
            real = strength.data > NEGLIGIBLE
            entries = strength.row.astype(np.int64), strength.col.astype(np.int64), strength.data.astype(np.float32)
            candidates.append(Candidates(*(moved(torch.from_numpy(part[real]), rows.device) for part in entries)))
        return tuple(candidates)

    @cached_property
    def _own_counts(self) -> tuple[sp.csr_array, ...]:
        """What the session of each event adds to the counts of the event's item: (events, items) by kind."""
        session = np.searchsorted(self._first, np.arange(len(self._events)), side="right")
        _, group = np.unique(session * self._transitions.num_items + self._events, return_inverse=True)
        pairs = _pairs(self._events, self._first[session - 1])
        shape = (int(group.max(initial=-1)) + 1, self._transitions.num_items)
        weight = np.empty(shape[0])  # of the item of each group, the events of one session and item
        weight[group] = self._transitions.weight[self._events]
        return tuple(_count(kind, pairs, group, self._events, shape, weight)[group] for kind in EVIDENCE)


def _parts(offsets: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """First and last, exclusive, of sessions that have about ``EVENTS_AT_ONCE`` events together."""
    cuts = np.unique(np.searchsorted(offsets, np.arange(0, offsets[-1], EVENTS_AT_ONCE))).tolist()
    yield from pairwise([*cuts, len(offsets) - 1])


class _Pairs(NamedTuple):
    """Places of two events with different items in one session, ``WINDOW`` events apart at most."""

    before: NDArray[np.int64]
    after: NDArray[np.int64]


def _pairs(items: NDArray[np.int64], first: NDArray[np.int64]) -> _Pairs:
    """Pairs among the events of sessions one after the other; `first` is where the session of each event begins."""
    place = np.arange(len(items))
    late = [place[step:][first[step:] <= place[:-step]] for step in range(1, WINDOW + 1)]
    after = np.concatenate(late)
    before = after - np.repeat(np.arange(1, WINDOW + 1), [len(part) for part in late])
    different = items[before] != items[after]
    return _Pairs(before[different], after[different])


def _count(
    kind: str,
    pairs: _Pairs,
    rows: NDArray[np.int64],
    items: NDArray[np.int64],
    shape: tuple[int, int],
    weight: NDArray[np.float64],
) -> sp.csr_array:
    """The counts F or G; `rows` and `items` are the row and column of each event, `weight` that of each row."""
    before, after = pairs
    if kind == "follows":
        return _sparse(1.0 / (after - before), rows[before], items[after], shape)
    one, other = np.r_[before, after], np.r_[after, before]
    return _sparse(weight[rows[one]], rows[one], items[other], shape)


def _sparse(
    values: NDArray[np.float64], rows: NDArray[np.int64], columns: NDArray[np.int64], shape: tuple[int, int]
) -> sp.csr_array:
    return sp.csr_array(sp.coo_array((values, (rows, columns)), shape=shape))


def _strongest(matrix: sp.csr_array, kept: int) -> sp.csr_array:
    """Each row with its `kept` largest entries."""
    row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    order = np.lexsort((-matrix.data, row))
    strong = order[np.arange(len(order)) - matrix.indptr[row] < kept]
    return _sparse(matrix.data[strong], row[strong], matrix.indices[strong], matrix.shape)
