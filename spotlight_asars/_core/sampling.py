"""Negative items, drawn uniformly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def sample_items(
    num_items: int, shape: int | tuple[int, ...], random_state: np.random.RandomState | None = None
) -> NDArray[np.int64]:
    """Item ids in ``[0, num_items)``: padding 0 and the target itself can be among them.

    Parameters
    ----------
    num_items : int
        Every drawn id is below this.
    shape : int or tuple of int
        Shape of the result.
    random_state : numpy.random.RandomState, optional
        Source of randomness; a fresh one if absent.
    """
    return (random_state or np.random.RandomState()).randint(0, num_items, shape, dtype=np.int64)
