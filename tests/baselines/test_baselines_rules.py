"""Popularity and the rules of two items against loops; what padding, weights and ties do."""

from __future__ import annotations

import numpy as np
import pytest
import reference_baselines as reference
from hypothesis import given
from hypothesis import strategies as st

from spotlight_asars import SessionInteractions
from spotlight_asars.baselines import (
    AssociationRules,
    ItemKNN,
    MarkovChain,
    MostPopular,
    SequentialRules,
    SessionPopularity,
)
from spotlight_asars.baselines.base import NUDGE, places_by_popularity
from spotlight_asars.baselines.decays import POSITION_WEIGHTS, STEP_WEIGHTS

ITEMS = 8
logs = st.lists(st.lists(st.integers(1, ITEMS - 1), min_size=1, max_size=6), min_size=1, max_size=8)
prefixes = st.lists(st.integers(1, ITEMS - 1), min_size=1, max_size=5)


def padded(lists, width=6):
    return np.array([[0] * (width - len(row)) + row for row in lists])


def scores_of(model, prefix):
    """Scores as the equation gives them, float64 (items,)."""
    import torch

    return model.scores(model.encode(torch.tensor([prefix]))[:, -1])[0]


def check_against(by_hand, model, log, prefix):
    model.fit(SessionInteractions(padded(log), num_items=ITEMS))
    wanted = np.array([by_hand.get(item, 0.0) for item in range(ITEMS)])
    np.testing.assert_allclose(scores_of(model, prefix), wanted, rtol=0, atol=1e-10)


@given(logs, prefixes)
def test_most_popular(log, prefix):
    check_against(reference.popularity(log), MostPopular(), log, prefix)


@given(logs, prefixes)
def test_session_popularity_counts_the_session_then_everyone(log, prefix):
    model = SessionPopularity().fit(SessionInteractions(padded(log), num_items=ITEMS))
    scores, overall = scores_of(model, prefix), reference.popularity(log)
    by_hand = sorted(range(1, ITEMS), key=lambda item: (prefix.count(item), overall.get(item, 0)))
    keys = [(prefix.count(item), overall.get(item, 0)) for item in by_hand]
    for (one, key), (other, next_key) in zip(
        zip(scores[by_hand], keys, strict=True), zip(scores[by_hand][1:], keys[1:], strict=True), strict=False
    ):
        assert (one == other) if key == next_key else (one < other)
    np.testing.assert_array_equal(np.floor(scores[1:]), [prefix.count(item) for item in range(1, ITEMS)])


@given(logs, prefixes)
def test_association_rules(log, prefix):
    check_against(reference.association_rules(log, prefix), AssociationRules(), log, prefix)


@given(logs, prefixes, st.integers(1, 7), st.sampled_from(sorted(STEP_WEIGHTS)))
def test_sequential_rules(log, prefix, steps, weighting):
    by_hand = reference.sequential_rules(log, prefix, steps, weighting)
    check_against(by_hand, SequentialRules(steps, weighting), log, prefix)


@given(logs, prefixes)
def test_markov_chain(log, prefix):
    check_against(reference.markov(log, prefix), MarkovChain(), log, prefix)


@given(logs, prefixes, st.sampled_from([0.0, 1.5, 20.0]), st.sampled_from([0.0, 0.3, 0.5, 1.0]))
def test_item_knn(log, prefix, shrinkage, alpha):
    check_against(reference.item_knn(log, prefix, shrinkage, alpha), ItemKNN(shrinkage, alpha), log, prefix)


@given(logs)
def test_a_markov_chain_is_sequential_rules_of_one_step(log):
    sessions = SessionInteractions(padded(log), num_items=ITEMS)
    chain, rules = MarkovChain().fit(sessions), SequentialRules(steps=1).fit(sessions)
    for item in range(1, ITEMS):
        np.testing.assert_allclose(scores_of(chain, [item]), scores_of(rules, [item]), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", STEP_WEIGHTS)
def test_step_weights(name):
    steps = np.arange(1, 15)
    by_hand = [reference.BY_STEP[name](x) for x in range(1, 15)]
    np.testing.assert_allclose(STEP_WEIGHTS[name](steps), by_hand, rtol=1e-12)


@pytest.mark.parametrize("name", POSITION_WEIGHTS)
def test_position_weights(name):
    position, length = (grid.ravel() for grid in np.meshgrid(np.arange(1, 15), [14, 20]))
    by_hand = [reference.BY_POSITION[name](p, n) for p, n in zip(position, length, strict=True)]
    np.testing.assert_allclose(POSITION_WEIGHTS[name](position, length), by_hand, rtol=1e-12)


def test_popularity_breaks_ties_and_nothing_else():
    """After 1 both 2 and 3 came once; 3 is viewed more, and of those that never came, 4 more than 5."""
    sessions = SessionInteractions([[0, 0, 1, 2], [0, 0, 1, 3], [3, 4, 4, 5]], num_items=7)
    model = MarkovChain().fit(sessions)
    scores = model.predict([1])
    assert scores[[3, 2, 4, 5, 6]].tolist() == sorted(scores[1:7][[2, 1, 3, 4, 5]].tolist(), reverse=True)
    assert scores[3] > scores[2] > 0 > scores[4] > scores[5] > scores[6] >= -1
    np.testing.assert_allclose(scores[2:4], 0.5, rtol=NUDGE)
    assert model.predict([0]).argmax() in (3, 4, 1)  # an empty session gets what is most popular


@given(logs)
def test_places_are_those_of_the_popularities(log):
    sessions = SessionInteractions(padded(log), num_items=ITEMS)
    counts = reference.popularity(log)
    places = places_by_popularity(sessions)
    for one in range(1, ITEMS):
        for other in range(1, ITEMS):
            assert (places[one] < places[other]) == (counts.get(one, 0) < counts.get(other, 0))
    assert places.min() >= 0
    assert places.max() < 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SequentialRules(steps=0), "steps must be 1 or more; got 0"),
        (lambda: SequentialRules(weighting="cubic"), "weighting must be a callable or one of .*; got 'cubic'"),
        (lambda: ItemKNN(shrinkage=-1), "shrinkage must be 0 or more; got -1"),
        (lambda: ItemKNN(alpha=1.5), r"alpha must lie between 0 and 1; got 1\.5"),
    ],
)
def test_options_are_checked(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_weights_may_be_a_function():
    sessions = SessionInteractions([[1, 2, 3]])
    model = SequentialRules(weighting=lambda steps: (steps == 2) * 1.0).fit(sessions)
    assert model.predict([1]).argmax() == 3
