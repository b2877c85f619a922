"""What each training session has added to the counts of its own items: the very clicks that it is to be asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray

from spotlight_asars.memory.pair_counts import pairs_of, parts_of, weight_of
from spotlight_asars.memory.ragged_rows import RaggedRows
from spotlight_asars.memory.sparse_rows import joined, places_among
from spotlight_asars.runtime.devices import moved
from spotlight_asars.sessions.interactions import SessionInteractions

NEGLIGIBLE = 1e-6  # smaller strengths are rounding errors of a subtraction


class OwnCounts:
    """The part that each training session has in the counts of its own items, as tables like those of all counts.

    Parameters
    ----------
    sessions : SessionInteractions
    matrices : list of float (items, items), sparse
        The counts of all sessions, by kind of evidence.
    device : torch.device

    Attributes
    ----------
    group : int64 (events,)
        Number of each event among the pairs of a session and an item that occurs in it.
    table : RaggedRows
        For each such pair: the candidates, their strength of each kind, and then each without the session.
    """

    def __init__(self, sessions: SessionInteractions, matrices: list[sp.csr_array], device: torch.device) -> None:
        counts, weight = joined(matrices), weight_of(sessions)
        columns: list[list[NDArray[Any]]] = [[] for _ in range(1 + 2 * len(matrices))]
        first, group, sizes = 0, [], []
        for part in parts_of(sessions):
            of_event, sizes_of_part, *own = self._of_part(sessions, part, counts, weight)
            group.append(first + of_event)
            sizes.append(sizes_of_part)
            for column, of_part in zip(columns, own, strict=True):
                column.append(of_part)
            first += len(sizes_of_part)
        self.group = moved(torch.from_numpy(np.concatenate(group)), device)
        self.table = RaggedRows.joined(np.r_[0, np.concatenate(sizes).cumsum()], columns, device)

    @staticmethod
    def _of_part(
        sessions: SessionInteractions,
        part: tuple[int, int],
        counts: tuple[NDArray[np.int64], list[NDArray[np.float64]]],
        weight: NDArray[np.float64],
    ) -> list[NDArray[Any]]:
        """Of some of the sessions: the group of each event, from 0, how many candidates each group has, and the columns
        of the table."""
        num_items, start = sessions.num_items, sessions.offsets[part[0]]
        session = np.repeat(np.arange(part[1] - part[0]), sessions.lengths[slice(*part)])
        items = sessions.items[start : start + len(session)]
        groups, group = np.unique(session * num_items + items, return_inverse=True)
        pairs = pairs_of(sessions, *part)
        entries, *own = pairs.summed(group[pairs.one - start], len(groups), sessions.items, weight)
        group_of, item = np.divmod(entries, num_items)
        keys, strength = counts
        place = places_among(keys, groups[group_of] % num_items * num_items + item)
        kept = place >= 0
        before = [one[place[kept]] for one in strength]
        after = [np.maximum(one - part_of_it[kept], 0.0) for one, part_of_it in zip(before, own, strict=True)]
        after = [np.where(one > NEGLIGIBLE, one, 0.0) for one in after]
        values = [one.astype(np.float32) for one in (*before, *after)]
        sizes = np.bincount(group_of[kept], minlength=len(groups))
        return [group, sizes, item[kept].astype(np.int32), *values]
