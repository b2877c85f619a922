"""Shuffling a log, and splitting it into training and test."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spotlight_asars._core.interactions import Interactions


def _select(interactions: Interactions, rows: NDArray[Any] | slice) -> Interactions:
    """The chosen rows, in the vocabulary of the whole."""

    def pick(column: NDArray[Any] | None) -> NDArray[Any] | None:
        return None if column is None else column[rows]

    return Interactions(
        interactions.user_ids[rows],
        interactions.item_ids[rows],
        ratings=pick(interactions.ratings),
        timestamps=pick(interactions.timestamps),
        weights=pick(interactions.weights),
        num_users=interactions.num_users,
        num_items=interactions.num_items,
    )


def shuffle_interactions(interactions: Interactions, random_state: np.random.RandomState | None = None) -> Interactions:
    """The same interactions in a random order."""
    order = np.arange(len(interactions.user_ids))
    (random_state or np.random.RandomState()).shuffle(order)
    return _select(interactions, order)


def random_train_test_split(
    interactions: Interactions,
    test_percentage: float = 0.2,
    random_state: np.random.RandomState | None = None,
) -> tuple[Interactions, Interactions]:
    """(train, test) with events assigned at random.

    Parameters
    ----------
    interactions : Interactions
    test_percentage : float, optional
        Share of the events that goes to test, as a fraction.
    random_state : numpy.random.RandomState, optional
    """
    shuffled = shuffle_interactions(interactions, random_state=random_state)
    cutoff = int((1.0 - test_percentage) * len(shuffled))
    return _select(shuffled, slice(None, cutoff)), _select(shuffled, slice(cutoff, None))


def user_based_train_test_split(
    interactions: Interactions,
    test_percentage: float = 0.2,
    random_state: np.random.RandomState | None = None,
) -> tuple[Interactions, Interactions]:
    """(train, test) with whole users assigned by a hash of their id.

    Parameters
    ----------
    interactions : Interactions
        User ids must be int32, which is what the hash reads.
    test_percentage : float, optional
        Share of the users that goes to test, as a fraction, about.
    random_state : numpy.random.RandomState, optional
        Draws the seed of the hash.
    """
    from sklearn.utils import murmurhash3_32  # takes as long to import as torch

    seed = (random_state or np.random.RandomState()).randint(0, 2**32 - 1, dtype=np.int64)
    percentile = murmurhash3_32(interactions.user_ids, seed=seed, positive=True) % 100
    in_test = percentile / 100.0 < test_percentage
    return _select(interactions, ~in_test), _select(interactions, in_test)
