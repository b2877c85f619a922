"""Dwell bins against numpy's rule, and the dwell encoder against a GRU by hand."""

from __future__ import annotations

import numpy as np
import pytest
import reference
import torch
from hypothesis import given
from hypothesis import strategies as st

from spotlight_asars.representations.dwell_encoding import (
    MOST_BINS,
    QUANTILE_BINS,
    TIME_ENCODINGS,
    DwellBins,
    DwellEncoder,
    log_scott_edges,
    quantile_edges,
    scott_edges,
    scott_width,
)

KNOWN = np.random.RandomState(0).gamma(2, 30, size=500)


def test_the_edges_are_those_of_numpys_scott_estimator():
    np.testing.assert_array_equal(scott_edges(KNOWN), np.histogram_bin_edges(KNOWN, bins="scott")[1:-1])


@given(st.lists(st.floats(0, 3600), min_size=1, max_size=40))
def test_the_width_is_scotts_rule(dwell):
    by_hand = np.std(dwell) * (24 * np.sqrt(np.pi) / len(dwell)) ** (1 / 3)
    assert scott_width(dwell) == pytest.approx(by_hand)


@pytest.mark.parametrize("name", TIME_ENCODINGS)
@pytest.mark.parametrize("dwell", [[], [np.nan], [5.0], [5.0, 5.0, np.nan]])
def test_without_variation_every_encoding_still_tells_known_from_unknown(name, dwell):
    encoding = TIME_ENCODINGS[name]
    vectors = encoding.module(encoding.fit(dwell), 3)(torch.tensor([[5.0, torch.nan]]))
    assert vectors.shape == (1, 2, 3)
    assert vectors.isfinite().all()
    assert not torch.equal(vectors[0, 0], vectors[0, 1])


@pytest.mark.parametrize("name", TIME_ENCODINGS)
def test_every_encoding_tells_short_from_long(name):
    encoding = TIME_ENCODINGS[name]
    vectors = encoding.module(encoding.fit(KNOWN), 3)(torch.tensor([[1.0, 300.0, 1e9]]))
    assert vectors.isfinite().all()
    assert not torch.equal(vectors[0, 0], vectors[0, 1])


@pytest.mark.parametrize("fit", [scott_edges, log_scott_edges, quantile_edges])
def test_unknown_dwell_plays_no_part(fit):
    np.testing.assert_array_equal(fit(np.r_[KNOWN, [np.nan] * 7]), fit(KNOWN))


def test_log_bins_are_scotts_on_the_logarithm():
    inner = np.histogram_bin_edges(np.log1p(KNOWN), bins="scott")[1:-1]
    np.testing.assert_allclose(log_scott_edges(KNOWN), np.exp(inner) - 1)


def test_quantile_bins_hold_equally_many_events():
    bins = np.bincount(np.searchsorted(quantile_edges(KNOWN), KNOWN, side="right"))
    assert len(bins) == QUANTILE_BINS
    assert bins.max() - bins.min() <= 1 + len(KNOWN) // QUANTILE_BINS // 10


def test_repeated_values_make_fewer_quantile_bins_and_none_is_empty():
    dwell = np.r_[np.zeros(900), np.arange(1, 101)]
    bins = np.bincount(np.searchsorted(quantile_edges(dwell), dwell, side="right"))
    assert bins.min() > 0


def test_an_outlier_does_not_ask_for_millions_of_bins():
    edges = scott_edges(np.r_[np.linspace(0, 100, 200_000), 1e9])
    assert len(edges) < MOST_BINS
    assert (np.diff(edges) > 0).all()


def test_a_bin_holds_its_lower_edge():
    bins = DwellBins([10.0, 60.0], 3)
    dwell = torch.tensor([torch.nan, 0.0, 9.9, 10.0, 59.0, 60.0, 1e9])
    assert bins.bin_of(dwell).tolist() == [0, 1, 1, 2, 2, 3, 3]
    assert [reference.dwell_bin(second, [10.0, 60.0]) for second in dwell.tolist()] == [0, 1, 1, 2, 2, 3, 3]


def test_the_encoder_steps_a_gru_over_the_bins():
    encoder = DwellEncoder(DwellBins([10.0, 60.0], 3), 3).double()
    dwell = torch.tensor([[5.0, torch.nan, 70.0, 10.0]])
    weights = {name: tensor.numpy() for name, tensor in encoder.state_dict().items()}
    bins, hidden = weights["encoding.embedding.weight"], np.zeros(3)
    known, pending = encoder(dwell)
    for step, seconds in enumerate(dwell[0].tolist()):
        unknown = reference.gru_step(bins[0], hidden, reference.rnn_weights(weights, "rnn"))
        np.testing.assert_allclose(pending.detach()[0, step], unknown, rtol=1e-12)
        embedded = bins[reference.dwell_bin(seconds, [10.0, 60.0])]
        hidden = reference.gru_step(embedded, hidden, reference.rnn_weights(weights, "rnn"))
        np.testing.assert_allclose(known.detach()[0, step], hidden, rtol=1e-12)
