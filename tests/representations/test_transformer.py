"""The transformer against its equations, event by event, and what it knows of the time between two events."""

from __future__ import annotations

from itertools import product

import contracts
import numpy as np
import pytest
import torch
from contracts import BLUEPRINT, DIM, ITEMS, TIME, random_batch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import erf
from torch import nn

from spotlight_asars.representations import ASARSNet
from spotlight_asars.representations.transformer import (
    GAP_BUCKETS,
    NEAR,
    Buckets,
    Transformer,
    distance_edges,
    gap_edges,
    time_between,
)
from spotlight_asars.sessions.channels import Channels

HIDDEN, HEADS = 12, 4


def make_transformer(gaps=True, last_dwell="unknown", hidden_dim=HIDDEN):
    """One in float64 in which every weight is at work."""
    torch.manual_seed(3)
    net = Transformer(DIM, hidden_dim, 0.0, gaps, last_dwell).double().eval()
    for weight in net.parameters():
        nn.init.normal_(weight, std=0.5)
    return net


def normalised(x, weight, bias):
    return (x - x.mean()) / np.sqrt(x.var() + 1e-5) * weight + bias


def gelu(x):
    """x times the share of a normal distribution below it."""
    return x * (1 + erf(x / np.sqrt(2))) / 2


def seconds_between(dwell, j, i, last_dwell):
    """t_ij by adding up; None where a dwell is unknown."""
    parts = dwell[j : i + (last_dwell == "observed")]
    return None if np.isnan(parts).any() else sum(parts)


def row_of(edges, value):
    return 0 if value is None else 1 + sum(edge <= value for edge in edges)


def naive_states(net, inputs, dwell):
    """The docstring's equations, one pair of events at a time."""
    w = {name: weight.detach().numpy() for name, weight in net.named_parameters()}
    distances, gaps = distance_edges().tolist(), gap_edges().tolist()
    hidden = [w["input.weight"] @ x + w["input.bias"] for x in inputs]
    for layer in range(len(net.layers)):
        at = f"layers.{layer}."
        attended, dim = [], HIDDEN // HEADS
        normed = [normalised(h, w[at + "attention_norm.weight"], w[at + "attention_norm.bias"]) for h in hidden]
        all_three = [w[at + "query_key_value.weight"] @ n + w[at + "query_key_value.bias"] for n in normed]
        for i in range(len(hidden)):
            found = []
            for head in range(HEADS):
                part, column = slice(head * dim, (head + 1) * dim), layer * HEADS + head
                scores = []
                for j in range(i + 1):
                    query, key = all_three[i][:HIDDEN][part], all_three[j][HIDDEN : 2 * HIDDEN][part]
                    score = query @ key / np.sqrt(dim) + w["positions.biases"][row_of(distances, i - j), column]
                    if net.gaps is not None:
                        gap = seconds_between(dwell, j, i, net.last_dwell)
                        score += w["gaps.biases"][row_of(gaps, gap), column]
                    scores.append(score)
                share = np.exp(scores) / np.exp(scores).sum()
                found.append(sum(a * all_three[j][2 * HIDDEN :][part] for j, a in enumerate(share)))
            attended.append(w[at + "join_heads.weight"] @ np.concatenate(found) + w[at + "join_heads.bias"])
        hidden = [h + a for h, a in zip(hidden, attended, strict=True)]
        for i, h in enumerate(hidden):
            inside = w[at + "feed_forward.0.weight"] @ normalised(h, w[at + "norm.weight"], w[at + "norm.bias"])
            inside = gelu(inside + w[at + "feed_forward.0.bias"])
            hidden[i] = h + w[at + "feed_forward.2.weight"] @ inside + w[at + "feed_forward.2.bias"]
    return np.array([normalised(h, w["norm.weight"], w["norm.bias"]) for h in hidden])


@pytest.mark.parametrize(("gaps", "last_dwell"), [(False, "unknown"), (True, "unknown"), (True, "observed")])
def test_states_are_the_equations_pair_by_pair(gaps, last_dwell):
    net, time = make_transformer(gaps, last_dwell), NEAR + 5
    draw = np.random.RandomState(0)
    inputs, dwell = draw.randn(time, DIM), draw.exponential(100, time)
    dwell[[1, 12]] = np.nan
    states = net(torch.from_numpy(inputs)[None], torch.from_numpy(dwell)[None])[0]
    np.testing.assert_allclose(states.detach(), naive_states(net, inputs, dwell), rtol=1e-9, atol=1e-9)


SECONDS = st.one_of(st.just(float("nan")), st.floats(0, 1e6, width=32))


@given(st.lists(SECONDS, min_size=1, max_size=9), st.booleans())
def test_time_between_is_the_sum_of_the_dwell_times_between(dwell, observed):
    found = time_between(torch.tensor([dwell]), observed)[0]
    for i, j in product(range(len(dwell)), repeat=2):
        if j <= i:
            expected = seconds_between(np.array(dwell), j, i, "observed" if observed else "unknown")
            assert found[i, j].isnan() if expected is None else abs(found[i, j] - expected) <= 1e-6 * max(1, expected)


def test_near_events_and_short_gaps_have_buckets_of_their_own():
    def buckets(edges, values):
        table = Buckets(edges, layers=1, heads=1)
        nn.init.ones_(table.biases).data.copy_(torch.arange(len(table.biases)).unsqueeze(1))
        return table(torch.tensor([[values]], dtype=torch.float64))[0, 0, 0, 0].tolist()

    near = buckets(distance_edges(), list(range(NEAR)))
    assert near == [1 + distance for distance in range(NEAR)]
    assert buckets(distance_edges(), [10**9]) == [len(distance_edges()) + 1]
    assert buckets(gap_edges(), [np.nan, 0.0, 1.0, 3.0, 1e12]) == [0, 1, 3, 5, GAP_BUCKETS + 1]


def test_later_states_know_when_the_events_before_were():
    net = make_transformer()
    inputs, dwell = torch.randn(1, TIME, DIM, dtype=torch.float64), torch.full((1, TIME), 30.0, dtype=torch.float64)
    before = net(inputs, dwell)
    for step in range(TIME):
        other = dwell.clone()
        other[:, step] = 3000.0
        after = net(inputs, other)
        assert torch.equal(after[:, : step + 1], before[:, : step + 1])
        assert step + 1 == TIME or not torch.isclose(after[:, step + 1 :], before[:, step + 1 :]).all(dim=2).any()
    blind = make_transformer(gaps=False)
    assert torch.equal(blind(inputs, dwell), blind(inputs, torch.full_like(dwell, torch.nan)))


@pytest.mark.parametrize("check", [*contracts.EVERY_NET, *contracts.OUR_NETS], ids=lambda check: check.__name__)
@pytest.mark.parametrize("switches", [{"user": "att", "time": "cat"}, {"user": "cat", "time": "att", "drift": True}])
def test_it_goes_with_every_other_channel(switches, check):
    torch.manual_seed(1)
    net = ASARSNet(reader="time_transformer", **switches, **BLUEPRINT._asdict()).double()
    net.add_known_users(torch.arange(BLUEPRINT.num_users - 1).repeat(2))
    check(net)


@pytest.mark.parametrize("dwell", [0.0, 1e9, torch.finfo(torch.float32).max])
def test_states_of_any_dwell_are_finite(dwell):
    torch.manual_seed(0)
    net = ASARSNet(ITEMS, reader="time_transformer").eval()
    items, _ = random_batch()
    assert net.states(items, Channels(None, torch.full(items.shape, dwell))).isfinite().all()
