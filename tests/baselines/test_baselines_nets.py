"""Factorization against Spotlight's own scores, NARM against the paper's equations, and what the settings set."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from contracts import EVERY_NET, ITEMS, OUR_NETS, random_batch
from contracts_baselines import random_sessions

from spotlight_asars import ASARSSequenceModel, SessionInteractions
from spotlight_asars.baselines import BPRMF, gru4rec_bpr_max, gru4rec_cross_entropy, wavenet_cnn, youtube_pooling
from spotlight_asars.baselines.narm import NARMNet
from spotlight_asars.baselines.nets import DILATION

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


def test_a_user_that_training_skipped_is_unknown():
    sessions = SessionInteractions([[1, 2], [2, 3]], user_ids=[0, 2], num_users=4)
    model = BPRMF(**SMALL).fit(sessions)
    stranger = model.predict([1, 3])
    for user in (1, 3):
        np.testing.assert_array_equal(model.predict([1, 3], user_ids=user), stranger)
    assert not np.array_equal(model.predict([1, 3], user_ids=2), stranger)


def test_factorization_leaves_the_callers_generators_alone():
    torch.manual_seed(7)
    wanted = torch.rand(3)
    torch.manual_seed(7)
    BPRMF(**SMALL).fit(random_sessions())
    assert torch.equal(torch.rand(3), wanted)


@pytest.mark.parametrize("events", range(2, 12))
def test_no_batch_is_of_one_event(events):
    row = np.arange(1, events + 1)
    model = BPRMF(embedding_dim=3, n_iter=1, batch_size=5, random_state=0)
    assert np.isfinite(model.fit(SessionInteractions(row)).predict([1])).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_iter": 0}, "n_iter must be 1 or more; got 0"),
        ({"l2": -1}, "l2 must be 0 or more; got -1"),
        ({"learning_rate": 0}, "learning_rate must be positive; got 0"),
    ],
)
def test_options_of_factorization_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        BPRMF(**options)


def test_factorization_needs_two_events():
    with pytest.raises(ValueError, match="interactions must have two events or more; got 1"):
        BPRMF().fit(SessionInteractions([[3]]))


def narm_net():
    torch.manual_seed(0)
    return NARMNet(ITEMS, embedding_dim=3, hidden_dim=4).double().eval()


@pytest.mark.parametrize("check", [*EVERY_NET, *OUR_NETS])
def test_narm_keeps_the_contract_of_nets(check):
    check(narm_net())


def test_narm_is_the_papers_equations():
    net = narm_net()
    items, _ = random_batch()
    states = net.states(items).detach().numpy()
    hidden = net.gru(net.item_embeddings(items))[0].detach().numpy()
    last, each, energy, decode = (
        layer.weight.detach().numpy() for layer in (net.last, net.each, net.energy, net.decoder)
    )
    for row, h in enumerate(hidden):
        for t in range(len(h)):
            local = np.zeros_like(h[t])
            for j in range(t + 1):
                alpha = energy[0] @ (1 / (1 + np.exp(-(last @ h[t] + each @ h[j]))))
                local += alpha * h[j]
            np.testing.assert_allclose(states[row, t], decode @ np.concatenate([h[t], local]), rtol=1e-12, atol=1e-14)


def test_settings_are_those_of_our_model_and_may_be_changed():
    for make, loss in ((gru4rec_cross_entropy, "cross_entropy"), (gru4rec_bpr_max, "bpr_max")):
        params = make(embedding_dim=7).get_params()
        assert (params["loss"], params["representation"], params["cell"]) == (loss, "gru4rec", "gru")
        assert params["embedding_dim"] == 7
    assert isinstance(youtube_pooling(loss="hinge"), ASARSSequenceModel)


def test_wavenet_looks_twice_as_far_back_with_each_layer():
    rows = np.random.RandomState(0).randint(1, 9, (4, 40))
    model = wavenet_cnn(embedding_dim=4, n_iter=1, random_state=0).fit(SessionInteractions(rows))
    reach = 1 + 2 * sum(DILATION)
    before = model.predict(rows[0])
    near, far = rows[0].copy(), rows[0].copy()
    near[-reach] = near[-reach] % 8 + 1
    far[-reach - 1] = far[-reach - 1] % 8 + 1
    assert not np.array_equal(model.predict(near), before)
    np.testing.assert_allclose(model.predict(far), before, rtol=1e-6)
