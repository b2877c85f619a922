r"""Weights of events by their place in the session, as Ludewig and Jannach use them for rules and neighbours.

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

from spotlight_asars.baselines.prefixes import Floats

StepWeights = Callable[[NDArray[Any]], Floats]  # of the steps x
PositionWeights = Callable[[NDArray[Any], NDArray[Any]], Floats]  # of the positions p and the lengths l


def linear_decay(steps: NDArray[Any]) -> Floats:
    """1 - x / 10, at least 0.

    >>> linear_decay(np.array([1, 5, 12])).tolist()
    [0.9, 0.5, 0.0]
    """
    return np.maximum(1.0 - steps / 10.0, 0.0)


STEP_WEIGHTS: dict[str, StepWeights] = {
    "same": lambda steps: np.ones(np.shape(steps)),
    "div": lambda steps: 1.0 / steps,
    "linear": linear_decay,
    "log": lambda steps: 1.0 / np.log10(steps + 1.7),
    "quadratic": lambda steps: 1.0 / np.square(steps, dtype=np.float64),
}

POSITION_WEIGHTS: dict[str, PositionWeights] = {
    "same": lambda position, length: np.ones(np.shape(position)),
    "div": lambda position, length: position / length,
    "linear": lambda position, length: linear_decay(length - position),
    "log": lambda position, length: 1.0 / np.log10(length - position + 1.7),
    "quadratic": lambda position, length: np.square(position / length),
}
