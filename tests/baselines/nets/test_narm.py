"""NARM against the paper's equations, and the contract of nets."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from contracts import EVERY_NET, ITEMS, OUR_NETS, random_batch

from spotlight_asars.baselines.nets.narm import NARMNet


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
