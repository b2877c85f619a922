"""The histogram of dwell times against counts, and its gamma fit against what was planted."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from statistics import median

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from logs_with_categories import log_of
from reference_data import LOGS, sessions_by_hand

from spotlight_asars import EventLog
from spotlight_asars.analysis.dwell import dwell_histogram


def gamma_log(shape, scale, events, inactivity=math.inf):
    """One user whose gaps are gamma distributed, and the inactivity that cuts none of them."""
    gaps = np.random.RandomState(0).gamma(shape, scale, events)
    return EventLog(np.zeros(events), np.ones(events), np.cumsum(gaps) - gaps[0]), inactivity


@given(LOGS, st.lists(st.integers(0, 8), min_size=2, unique=True).map(sorted))
def test_the_histogram_counts_gaps_inside_sessions(events, ticks):
    edges = [500.0 * tick for tick in ticks]
    gaps = [event[3] for session in sessions_by_hand(events) for event in session[:-1]]
    positive = [gap for gap in gaps if gap > 0]
    bars = list(pairwise(edges))
    held = [sum(low < gap <= high for gap in positive) for low, high in bars]
    found = dwell_histogram(log_of(events), edges)
    assert found.edges.tolist() == edges
    assert found.positive == len(positive)
    assert found.zeros == pytest.approx(gaps.count(0) / len(gaps) if gaps else math.nan, nan_ok=True)
    for (low, high), count, density in zip(bars, held, found.density, strict=True):
        assert density == pytest.approx(count / max(len(positive), 1) / (high - low))
    assert found.outside == pytest.approx(1 - sum(held) / len(positive) if positive else math.nan, nan_ok=True)
    assert found.median == pytest.approx(median(positive) if positive else math.nan, nan_ok=True)


@pytest.mark.parametrize(("shape", "scale"), [(0.4, 200.0), (1.0, 10.0), (3.0, 0.02)])
def test_the_gamma_fit_recovers_what_was_planted(shape, scale):
    log, inactivity = gamma_log(shape, scale, 20_000)
    found = dwell_histogram(log, inactivity=inactivity)
    assert found.shape == pytest.approx(shape, rel=0.05)
    assert found.scale == pytest.approx(scale, rel=0.05)
    assert found.distance < 0.015
    np.testing.assert_allclose(found.density, found.fitted, atol=0.1 * found.fitted.max())


@pytest.mark.parametrize("gaps", [[3.0, 10.0, 10.0, 40.0], [1.0, 20.0, 20.0, 25.0]])  # largest above, below a step
def test_the_gamma_fit_has_the_greatest_likelihood_and_the_distance_is_the_largest_step(gaps):
    found = dwell_histogram(EventLog(np.zeros(5), np.ones(5), np.cumsum([0, *gaps])), edges=[0, 100])

    def likelihood(shape, scale):
        return sum((shape - 1) * math.log(x) - x / scale - math.lgamma(shape) - shape * math.log(scale) for x in gaps)

    best = likelihood(found.shape, found.scale)
    for bend in (0.99, 1.01):
        assert likelihood(found.shape * bend, found.scale) < best
        assert likelihood(found.shape, found.scale * bend) < best

    def below(x, bars=20_000):  # midpoint rule
        steps = (np.arange(bars) + 0.5) * x / bars
        density = steps ** (found.shape - 1) * np.exp(-steps / found.scale)
        return density.sum() * x / bars / math.gamma(found.shape) / found.scale**found.shape

    sides = [(sum(gap <= x for gap in gaps) / 4, sum(gap < x for gap in gaps) / 4, below(x)) for x in gaps]
    assert found.distance == pytest.approx(max(max(at - fit, fit - under) for at, under, fit in sides), abs=1e-4)
    assert found.fitted[0] == pytest.approx(below(100.0) / 100, rel=1e-4)


def test_zero_gaps_are_counted_and_leave_the_fit_alone():
    log, inactivity = gamma_log(2.0, 30.0, 500)
    twice = EventLog(np.repeat(log.user_ids, 2), np.repeat(log.item_ids, 2), np.repeat(log.timestamps, 2))
    one, two = dwell_histogram(log, inactivity=inactivity), dwell_histogram(twice, inactivity=inactivity)
    assert (one.zeros, two.zeros) == (0, pytest.approx(500 / 999))
    assert (two.shape, two.scale, two.distance) == (one.shape, one.scale, one.distance)
    np.testing.assert_array_equal(two.density, one.density)


def test_measured_dwell_takes_the_place_of_gaps_also_at_a_sessions_end():
    log = EventLog([0, 0, 0], [1, 2, 1], [0, 60, 90], dwell_times=[5.0, np.nan, 7.0])
    found = dwell_histogram(log, edges=[0, 6, 12])
    assert found.positive == 2
    np.testing.assert_allclose(found.density, [1 / 12, 1 / 12])


positives = st.lists(st.one_of(st.integers(1, 4000).map(float), st.floats(1e-9, 1e30)), min_size=1, max_size=20)


@given(positives)
@example([1e-9])
@example([7.0, 7.0 + 1e-9])
@example([1e-9, 1e30])
def test_default_edges_are_few_and_round_and_reach_the_90_percent_quantile(dwell):
    log = EventLog(np.zeros(len(dwell)), np.ones(len(dwell)), np.arange(len(dwell)), dwell_times=dwell)
    found = dwell_histogram(log)
    reach = np.quantile(dwell, 0.9)
    assert found.edges[0] == 0
    assert len(found.edges) <= 52
    assert found.edges[-1] >= reach * (1 - 1e-9)
    assert f"{found.edges[1]:.6e}"[0] in "125"
    finest = 1 if all(value == int(value) for value in dwell) else 1e-6
    assert found.edges[1] <= max(2.5 * reach / 50 * (1 + 1e-9), finest)
    if all(value == int(value) for value in dwell):
        np.testing.assert_array_equal(found.edges, np.floor(found.edges))
    assert (found.density * np.diff(found.edges)).sum() + found.outside == pytest.approx(1)


def test_equal_dwell_has_no_fit():
    found = dwell_histogram(EventLog(np.zeros(4), np.ones(4), [0, 30, 60, 90]))
    assert found.positive == 3
    assert found.median == 30
    for nothing in (found.shape, found.scale, found.distance, *found.fitted):
        assert math.isnan(nothing)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"inactivity": -1}, "inactivity must be positive; got -1"),
        ({"edges": [3]}, "edges must have one axis, and two edges or more; got (1,)"),
        ({"edges": [[0, 1]]}, "edges must have one axis, and two edges or more; got (1, 2)"),
        ({"edges": [-2, 1]}, "edges must be finite and 0 or more [s]; got -2.0 at 0"),
        ({"edges": [0, np.inf]}, "edges must be finite and 0 or more [s]; got inf at 1"),
        ({"edges": [0, 5, 5]}, "edges must ascend; got 5.0 at 2"),
    ],
)
def test_edges_and_inactivity_out_of_range_are_refused(log, options, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        dwell_histogram(log, **options)
