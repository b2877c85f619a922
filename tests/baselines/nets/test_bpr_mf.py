"""Factorization against Spotlight's own scores; users that training did not meet."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from contracts_baselines import random_sessions

from spotlight_asars import SessionInteractions
from spotlight_asars.baselines import BPRMF
from spotlight_asars.baselines.nets.bpr_mf import without_remainder_of_one

SMALL = {"embedding_dim": 5, "n_iter": 2, "batch_size": 16, "random_state": 0}


@pytest.fixture(scope="module")
def factorized():
    return BPRMF(**SMALL).fit(random_sessions())


def test_known_users_have_spotlights_scores(factorized):
    owners = np.unique(random_sessions().owners())
    for user in (0, 3):
        wanted = factorized.factorization.predict(int(np.searchsorted(owners, user)))
        np.testing.assert_allclose(factorized.predict([4, 2], user_ids=user)[1:], wanted[1:], rtol=1e-5)


def test_unknown_users_are_the_mean_of_their_items(factorized):
    net = factorized.factorization._net
    vectors, biases = net.item_embeddings.weight.detach().numpy(), net.item_biases.weight.detach().numpy()[:, 0]
    mean = (2 * vectors[4] + vectors[2]) / 3
    np.testing.assert_allclose(factorized.predict([4, 2, 4])[1:], (vectors @ mean + biases)[1:], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(factorized.predict([0])[1:], biases[1:], rtol=1e-5)


def test_a_user_without_training_sessions_is_unknown():
    sessions = SessionInteractions([[1, 2], [2, 3]], user_ids=[0, 2], num_users=4)
    model = BPRMF(**SMALL).fit(sessions)
    stranger = model.predict([1, 3])
    for user in (1, 3):
        np.testing.assert_array_equal(model.predict([1, 3], user_ids=user), stranger)
    assert not np.array_equal(model.predict([1, 3], user_ids=2), stranger)


def test_the_callers_generator_stays_as_it_was():
    torch.manual_seed(7)
    wanted = torch.rand(3)
    torch.manual_seed(7)
    BPRMF(**SMALL).fit(random_sessions())
    assert torch.equal(torch.rand(3), wanted)


def test_no_batch_is_of_one_event():
    for events in range(2, 40):
        for wanted in range(1, 10):
            size = without_remainder_of_one(events, wanted)
            assert size >= wanted
            assert size > 1
            assert events % size != 1
    with pytest.raises(ValueError, match="interactions must have two events or more; got 1"):
        BPRMF().fit(SessionInteractions([[3]]))
