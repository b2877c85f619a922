"""The nearest neighbours against a stable sort."""

from __future__ import annotations

import numpy as np
import pytest

from spotlight_asars.baselines.neighbours.nearest import nearest
from spotlight_asars.baselines.neighbours.session_index import Neighbours


@pytest.mark.parametrize("k", [1, 3, 8, 20])
def test_the_nearest_are_the_first_of_a_stable_sort(k):
    draw = np.random.RandomState(k)
    row = np.repeat(np.arange(40), draw.randint(0, 9, 40))
    pairs = Neighbours(row, np.arange(len(row)), draw.randint(0, 4, len(row)) / 4)  # many ties
    best = nearest(pairs, 40, k)
    for number in range(40):
        mine = pairs.session[row == number]
        wanted = mine[np.argsort(-pairs.similarity[row == number], kind="stable")][:k]
        np.testing.assert_array_equal(best.session[best.row == number], np.sort(wanted))
