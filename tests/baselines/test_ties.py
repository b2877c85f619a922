"""Popularity breaks ties, and changes nothing else."""

from __future__ import annotations

import numpy as np
import reference_baselines as reference
from contracts_baselines import LOGS, sessions_of
from hypothesis import given

from spotlight_asars import SessionInteractions
from spotlight_asars.baselines import MarkovChain
from spotlight_asars.baselines.ties import NUDGE, popularity_ranks


def test_popularity_breaks_ties_and_nothing_else():
    """After 1 both 2 and 3 came once; 3 is viewed more, and of the items that never came, 4 more than 5."""
    sessions = SessionInteractions([[0, 0, 1, 2], [0, 0, 1, 3], [3, 4, 4, 5]], num_items=7)
    model = MarkovChain().fit(sessions)
    scores = model.predict([1])
    assert scores[3] > scores[2] > 0 > scores[4] > scores[5] > scores[6] >= -1
    np.testing.assert_allclose(scores[2:4], 0.5, rtol=NUDGE)
    assert model.predict([0]).argmax() in (3, 4, 1)  # an empty session gets one of the most popular items


@given(LOGS)
def test_ranks_rise_with_popularity(log):
    sessions = sessions_of(log)
    counts = np.array([reference.popularity(log).get(item, 0) for item in range(1, sessions.num_items)])
    ranks = popularity_ranks(sessions)
    np.testing.assert_array_equal(np.sign(np.subtract.outer(ranks[1:], ranks[1:])), np.sign(counts[:, None] - counts))
    assert ranks.min() >= 0
    assert ranks.max() < 1
