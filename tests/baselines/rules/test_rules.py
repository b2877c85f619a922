"""Rules of two items against loops over dictionaries."""

from __future__ import annotations

import reference_baselines as reference
from contracts_baselines import LOGS, ROWS, assert_scores, sessions_of
from hypothesis import given
from hypothesis import strategies as st

from spotlight_asars import SessionInteractions
from spotlight_asars.baselines import AssociationRules, MarkovChain, SequentialRules
from spotlight_asars.baselines.decays import STEP_WEIGHTS


@given(LOGS, ROWS)
def test_association_rules(log, prefix):
    assert_scores(AssociationRules().fit(sessions_of(log)), prefix, reference.association_rules(log, prefix))


@given(LOGS, ROWS, st.integers(1, 7), st.sampled_from(sorted(STEP_WEIGHTS)))
def test_sequential_rules(log, prefix, steps, weighting):
    by_hand = reference.sequential_rules(log, prefix, steps, weighting)
    assert_scores(SequentialRules(steps, weighting).fit(sessions_of(log)), prefix, by_hand)


@given(LOGS, ROWS)
def test_markov_chain(log, prefix):
    assert_scores(MarkovChain().fit(sessions_of(log)), prefix, reference.markov(log, prefix))


def test_weights_may_be_a_function():
    model = SequentialRules(weighting=lambda steps: (steps == 2) * 1.0).fit(SessionInteractions([[1, 2, 3]]))
    assert model.predict([1]).argmax() == 3
