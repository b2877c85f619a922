"""Dwell bins against numpy's rule, and the dwell encoder against a GRU by hand."""

from __future__ import annotations

import numpy as np
import pytest
import reference
import torch
from hypothesis import given
from hypothesis import strategies as st

from spotlight_asars.representations.time_bins import MOST_BINS, DwellEncoder, scott_edges, scott_width

KNOWN = np.random.RandomState(0).gamma(2, 30, size=500)


def test_the_edges_are_those_of_numpys_scott_estimator():
    np.testing.assert_array_equal(scott_edges(KNOWN), np.histogram_bin_edges(KNOWN, bins="scott")[1:-1])


@given(st.lists(st.floats(0, 3600), min_size=1, max_size=40))
def test_the_width_is_scotts_rule(dwell):
    by_hand = np.std(dwell) * (24 * np.sqrt(np.pi) / len(dwell)) ** (1 / 3)
    assert scott_width(dwell) == pytest.approx(by_hand)


def test_unknown_dwell_plays_no_part():
    with_gaps = np.r_[KNOWN, [np.nan] * 7]
    np.testing.assert_array_equal(scott_edges(with_gaps), scott_edges(KNOWN))


@pytest.mark.parametrize("dwell", [[], [np.nan], [5.0], [5.0, 5.0, np.nan]])
def test_without_variation_there_is_one_bin(dwell):
    assert scott_edges(dwell).shape == (0,)
    encoder = DwellEncoder(scott_edges(dwell), 3)
    assert encoder.bin_of(torch.tensor([1.0, 9.0, torch.nan])).tolist() == [1, 1, 0]


def test_an_outlier_does_not_ask_for_millions_of_bins():
    edges = scott_edges(np.r_[np.linspace(0, 100, 200_000), 1e9])
    assert len(edges) < MOST_BINS
    assert (np.diff(edges) > 0).all()


def test_a_bin_holds_its_lower_edge():
    encoder = DwellEncoder([10.0, 60.0], 3)
    dwell = torch.tensor([torch.nan, 0.0, 9.9, 10.0, 59.0, 60.0, 1e9])
    assert encoder.bin_of(dwell).tolist() == [0, 1, 1, 2, 2, 3, 3]
    assert [reference.dwell_bin(second, [10.0, 60.0]) for second in dwell.tolist()] == [0, 1, 1, 2, 2, 3, 3]


def test_the_encoder_steps_a_gru_over_the_bins():
    encoder = DwellEncoder([10.0, 60.0], 3).double()
    dwell = torch.tensor([[5.0, torch.nan, 70.0, 10.0]])
    weights = {name: tensor.numpy() for name, tensor in encoder.state_dict().items()}
    hidden = np.zeros(3)
    known, pending = encoder(dwell)
    for step, seconds in enumerate(dwell[0].tolist()):
        unknown = reference.gru_step(weights["bins.weight"][0], hidden, reference.rnn_weights(weights, "rnn"))
        np.testing.assert_allclose(pending.detach()[0, step], unknown, rtol=1e-12)
        embedded = weights["bins.weight"][reference.dwell_bin(seconds, [10.0, 60.0])]
        hidden = reference.gru_step(embedded, hidden, reference.rnn_weights(weights, "rnn"))
        np.testing.assert_allclose(known.detach()[0, step], hidden, rtol=1e-12)
