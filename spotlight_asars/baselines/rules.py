"""Rules of two items, ``if this was last, then that comes``: what the models that score by them share."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from spotlight_asars.baselines.base import Baseline
from spotlight_asars.baselines.decays import ByStep
from spotlight_asars.baselines.prefixes import Prefixes
from spotlight_asars.sessions.interactions import SessionInteractions


class LastItemRules(Baseline):
    """Scores by the last item of a session alone; a subclass says with which rules."""

    def _learn(self, sessions: SessionInteractions) -> None:
        self._rules = self._find_rules(sessions)

    @abstractmethod
    def _find_rules(self, sessions: SessionInteractions) -> sp.csr_array:
        """Scores of the next item (columns) by the last (rows), (items, items); padding has none."""

    def scores(self, prefixes: Prefixes) -> NDArray[np.float64]:
        """The rules of each prefix's last item, float64 (rows, items); zeros where there is no item."""
        return self._rules[prefixes.last_items()].toarray()


def session_of_events(sessions: SessionInteractions) -> NDArray[np.int64]:
    """Which session each event is from, int64 (events,)."""
    return np.repeat(np.arange(len(sessions)), sessions.lengths)


def count_pairs(sessions: SessionInteractions, steps: int, weigh: ByStep) -> sp.csr_array:
    """How often an item (columns) comes up to `steps` events after another (rows), each time weighed by its distance.

    Returns
    -------
    float64 (items, items)
    """
    session, items = session_of_events(sessions), sessions.items.astype(np.int64)
    before, after, distance = [], [], []
    for step in range(1, min(steps, int(sessions.lengths.max()) - 1) + 1):
        together = session[:-step] == session[step:]
        before.append(items[:-step][together])
        after.append(items[step:][together])
        distance.append(np.full(len(before[-1]), step))
    if not before:
        return sp.csr_array((sessions.num_items, sessions.num_items))
    weight = weigh(np.concatenate(distance))
    pairs = (np.concatenate(before), np.concatenate(after))
    return sp.csr_array(sp.coo_array((weight, pairs), shape=(sessions.num_items,) * 2))


def occurrences(sessions: SessionInteractions) -> sp.csr_array:
    """How often each session has each item, float64 (session, items)."""
    places = session_of_events(sessions), sessions.items
    shape = len(sessions), sessions.num_items
    return sp.csr_array(sp.coo_array((np.ones(len(sessions.items)), places), shape=shape))


def divide_rows(matrix: sp.csr_array, by: NDArray[np.float64]) -> sp.csr_array:
    """Each row over its number; rows over 0 are left as they are."""
    divided = matrix.copy()
    divided.data /= np.repeat(np.where(by > 0, by, 1.0), np.diff(matrix.indptr))
    return divided
