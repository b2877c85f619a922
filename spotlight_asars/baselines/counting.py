"""Counts over training sessions: ages, items within each session, and pairs of items that follow each other."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from spotlight_asars.baselines.decays import StepWeights
from spotlight_asars.baselines.prefixes import Floats, Ints
from spotlight_asars.sessions.interactions import SessionInteractions

DAY = 86400.0  # [s]


def session_of_events(sessions: SessionInteractions) -> Ints:
    """Number of each event's session, int64 (events,)."""
    return np.repeat(np.arange(len(sessions)), sessions.lengths)


def session_ages(sessions: SessionInteractions) -> Floats:
    """Time from the start of each session to that of the latest, float64 (session,) [days]; 0 where unknown.

    >>> session_ages(SessionInteractions([[1], [2], [3]], started=[0.0, np.nan, 2 * DAY])).tolist()
    [2.0, 0.0, 0.0]
    """
    started = np.zeros(len(sessions)) if sessions.started is None else sessions.started
    latest = np.nanmax(started) if len(started) and not np.isnan(started).all() else 0.0
    return np.nan_to_num(latest - started) / DAY


def occurrences(sessions: SessionInteractions) -> sp.csr_array:
    """How often each session has each item, float64 (session, items)."""
    places = session_of_events(sessions), sessions.items
    shape = len(sessions), sessions.num_items
    return sp.csr_array(sp.coo_array((np.ones(len(sessions.items)), places), shape=shape))


def count_pairs(sessions: SessionInteractions, steps: int, weigh: StepWeights) -> sp.csr_array:
    """How often an item (columns) comes up to `steps` events after another (rows), each time weighted by its distance.

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


def divide_rows(matrix: sp.csr_array, by: Floats) -> sp.csr_array:
    """Each row divided by its number; rows whose number is 0 stay."""
    divided = matrix.copy()
    divided.data /= np.repeat(np.where(by > 0, by, 1.0), np.diff(matrix.indptr))
    return divided
