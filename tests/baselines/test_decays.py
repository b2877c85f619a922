"""Weights of steps and positions against one event at a time."""

from __future__ import annotations

import numpy as np
import pytest
import reference_baselines as reference

from spotlight_asars.baselines.decays import POSITION_WEIGHTS, STEP_WEIGHTS


@pytest.mark.parametrize("name", STEP_WEIGHTS)
def test_step_weights(name):
    by_hand = [reference.BY_STEP[name](x) for x in range(1, 15)]
    np.testing.assert_allclose(STEP_WEIGHTS[name](np.arange(1, 15)), by_hand, rtol=1e-12)


@pytest.mark.parametrize("name", POSITION_WEIGHTS)
def test_position_weights(name):
    position, length = (grid.ravel() for grid in np.meshgrid(np.arange(1, 15), [14, 20]))
    by_hand = [reference.BY_POSITION[name](p, n) for p, n in zip(position, length, strict=True)]
    np.testing.assert_allclose(POSITION_WEIGHTS[name](position, length), by_hand, rtol=1e-12)
