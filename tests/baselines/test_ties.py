"""Popularity breaks ties, and changes nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import reference_baselines as reference
import scipy.sparse as sp
from contracts_baselines import LOGS, sessions_of
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from spotlight_asars import SessionInteractions
from spotlight_asars.baselines import MarkovChain
from spotlight_asars.baselines.ties import NUDGE, Ties, popularity_ranks
from spotlight_asars.recommending import NEVER


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


POPULARITY = np.array([0.0, 0.0, 0.5, 0.25, 0.5, 0.75, 0.0])
SCORES = st.sampled_from([-0.5, 0.0, 0.3, 1.0, NEVER])
EVIDENCE = st.lists(st.dictionaries(st.integers(1, 6), SCORES), min_size=1, max_size=4)  # a row by item


def evidence_of(rows):
    """The rows as a sparse matrix, in which a 0 is an entry like any other."""
    entries = [(row, item, score) for row, scores in enumerate(rows) for item, score in scores.items()]
    row, items, scores = (np.array([entry[axis] for entry in entries]) for axis in range(3))
    offsets = np.searchsorted(row, np.arange(len(rows) + 1))
    return sp.csr_array((scores.astype(float), items.astype(int), offsets), shape=(len(rows), len(POPULARITY)))


@given(EVIDENCE)
def test_scores_are_filled_one_by_one(rows):
    filled = Ties.of(POPULARITY).fill(evidence_of(rows))
    assert filled.dtype == np.float32
    for row, scores in zip(filled, rows, strict=True):
        for item in range(1, len(POPULARITY)):
            score = scores.get(item, 0.0)
            nudged = score * (1 + NUDGE * POPULARITY[item]) if score > 0 else score or POPULARITY[item] - 1
            assert row[item] == np.float32(nudged)
        assert row[0] == np.float32(NEVER)


@given(EVIDENCE, st.data())
def test_ranks_of_evidence_are_ranks_of_all_scores(rows, data):
    targets = np.array([data.draw(st.integers(1, 6)) for _ in rows])
    ties = Ties.of(POPULARITY)
    ranks = ties.rank(evidence_of(rows), targets)
    for row, (scores, target) in enumerate(zip(ties.fill(evidence_of(rows)), targets, strict=True)):
        assert ranks[row] == rankdata(-scores)[target]


def test_a_score_that_is_no_number_gives_no_rank():
    ranks = Ties.of(POPULARITY).rank(evidence_of([{1: np.nan}, {1: 0.5}, {}]), np.array([2, 1, 5]))
    np.testing.assert_array_equal(ranks, [np.nan, 1, 1])


@pytest.mark.parametrize("rows", [0, 3])
def test_without_evidence_all_is_by_popularity(rows):
    ties, none = Ties.of(POPULARITY), sp.csr_array((rows, len(POPULARITY)))
    np.testing.assert_array_equal(ties.rank(none, np.full(rows, 2)), np.full(rows, 2.5))
    assert ties.fill(none).shape == (rows, len(POPULARITY))
