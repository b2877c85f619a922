r"""How much an event counts by its place: weights of the rules and neighbours of Ludewig & Jannach.

==========  ==============================  ================================
name        by steps x = 1, 2, ...          by position p of a session of l
==========  ==============================  ================================
same        1                               1
div         1 / x                           p / l
linear      1 - x / 10, at least 0          1 - (l - p) / 10, at least 0
log         1 / log10(x + 1.7)              1 / log10(l - p + 1.7)
quadratic   1 / x²                          (p / l)²
==========  ==============================  ================================

References
----------
M. Ludewig, D. Jannach: Evaluation of session-based recommendation algorithms. User Modeling and User-Adapted
Interaction 28, 2018.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
ByStep = Callable[[NDArray[Any]], Floats]
ByPosition = Callable[[NDArray[Any], NDArray[Any]], Floats]


def linear_step(steps: NDArray[Any]) -> Floats:
    """1 - x / 10, at least 0.

    >>> linear_step(np.array([1, 5, 12])).tolist()
    [0.9, 0.5, 0.0]
    """
    return np.maximum(1.0 - steps / 10.0, 0.0)


STEP_WEIGHTS: dict[str, ByStep] = {
    "same": lambda steps: np.ones(np.shape(steps)),
    "div": lambda steps: 1.0 / steps,
    "linear": linear_step,
    "log": lambda steps: 1.0 / np.log10(steps + 1.7),
    "quadratic": lambda steps: 1.0 / np.square(steps, dtype=np.float64),
}

POSITION_WEIGHTS: dict[str, ByPosition] = {
    "same": lambda position, length: np.ones(np.shape(position)),
    "div": lambda position, length: position / length,
    "linear": lambda position, length: linear_step(length - position),
    "log": lambda position, length: 1.0 / np.log10(length - position + 1.7),
    "quadratic": lambda position, length: np.square(position / length),
}
