"""Popularity, of everyone and of the session, against counting."""

from __future__ import annotations

import numpy as np
import reference_baselines as reference
from contracts_baselines import LOGS, ROWS, assert_scores, scores_of, sessions_of
from hypothesis import given

from spotlight_asars.baselines import MostPopular, SessionPopularity


@given(LOGS, ROWS)
def test_most_popular(log, prefix):
    assert_scores(MostPopular().fit(sessions_of(log)), prefix, reference.popularity(log))


@given(LOGS, ROWS)
def test_session_popularity_counts_the_session_then_everyone(log, prefix):
    model = SessionPopularity().fit(sessions_of(log))
    scores, overall = scores_of(model, prefix), reference.popularity(log)
    key = {item: (prefix.count(item), overall.get(item, 0)) for item in range(1, model.num_items)}
    for one in key:
        assert np.floor(scores[one]) == key[one][0]
        for other in key:
            assert (scores[one] < scores[other]) == (key[one] < key[other])
