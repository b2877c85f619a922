"""Synthetic logs, in which earlier items predict the next one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spotlight_asars._core.interactions import Interactions

TOLERANCE = 0.001  # by which rows and columns of a doubly stochastic matrix may miss 1
MAX_ROUNDS = 100  # of normalising them


def _build_transition_matrix(
    num_items: int, concentration_parameter: float, random_state: np.random.RandomState
) -> NDArray[Any]:
    """Dirichlet rows; columns and rows are normalised in turn until both sum to 1."""
    matrix = random_state.dirichlet(np.repeat(concentration_parameter, num_items), num_items)
    for _ in range(MAX_ROUNDS):
        if all(np.all(np.abs(1.0 - matrix.sum(axis=axis)) < TOLERANCE) for axis in (0, 1)):
            break
        matrix /= matrix.sum(axis=0)
        matrix /= matrix.sum(axis=1)[:, np.newaxis]
    return matrix


def _walk(
    num_steps: int, transitions: NDArray[Any], order: int, random_state: np.random.RandomState
) -> NDArray[np.int32]:
    """States of one Markov chain, each drawn from the mean transition row of the ``order`` states before it."""
    num_states = len(transitions)
    cumulative = np.cumsum(transitions, axis=1)
    draws = random_state.rand(num_steps)
    recent = random_state.randint(num_states, size=order, dtype=np.int64)
    states = np.empty(num_steps, dtype=np.int32)
    for step, draw in enumerate(draws):
        states[step] = min(num_states - 1, np.searchsorted(cumulative[recent].mean(axis=0), draw))
        recent = np.append(recent[1:], states[step])
    return states


def generate_sequential(
    num_users: int = 100,
    num_items: int = 1000,
    num_interactions: int = 10000,
    concentration_parameter: float = 0.1,
    order: int = 3,
    random_state: np.random.RandomState | None = None,
) -> Interactions:
    """A log in which the last items of a user predict the next one.

    One Markov chain over items 1 .. num_items - 1 runs through all users in turn. Its transition
    matrix is doubly stochastic, so that all items are equally frequent in the long run.

    Parameters
    ----------
    num_users, num_items, num_interactions : int, optional
    concentration_parameter : float, optional
        Of the Dirichlet distribution of the transitions: the closer to 0, the more predictable.
    order : int, optional
        Number of earlier items that the next one depends on.
    random_state : numpy.random.RandomState, optional

    Returns
    -------
    Interactions
        Sorted by user; ratings of 1, and timestamps 0, 1, 2, ...
    """
    random_state = random_state or np.random.RandomState()
    transitions = _build_transition_matrix(num_items - 1, concentration_parameter, random_state)
    user_ids = np.sort(random_state.randint(0, num_users, num_interactions, dtype=np.int32))
    item_ids = _walk(num_interactions, transitions, order, random_state) + 1
    return Interactions(
        user_ids,
        item_ids,
        ratings=np.ones(num_interactions, dtype=np.float32),
        timestamps=np.arange(num_interactions, dtype=np.int32),
        num_users=num_users,
        num_items=num_items,
    )
