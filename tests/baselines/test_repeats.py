"""Items that never come again in training are excluded, the last one or all of the session."""

from __future__ import annotations

import numpy as np
import pytest

from spotlight_asars import SessionInteractions
from spotlight_asars.baselines import SessionKNN
from spotlight_asars.baselines.repeats import Repeats
from spotlight_asars.recommending import NEVER


@pytest.mark.parametrize(
    ("log", "last", "seen"),
    [
        ([[1, 2, 1], [0, 2, 3]], True, False),
        ([[1, 2, 3], [0, 2, 3]], True, True),
        ([[1, 1, 3], [0, 2, 3]], False, False),
    ],
)
def test_what_never_repeats_is_excluded(log, last, seen):
    sessions = SessionInteractions(log)
    assert Repeats.learn(sessions) == Repeats(last, seen)
    scores = SessionKNN().fit(sessions).predict([2, 3])
    assert (scores[3] == np.float32(NEVER)) == last
    assert (scores[2] == np.float32(NEVER)) == seen
    assert (SessionKNN(repeats="allowed").fit(sessions).predict([2, 3])[1:] > NEVER).all()
