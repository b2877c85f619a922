"""The paired bootstrap and Holm's correction against loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.random import RandomState

from spotlight_asars.evaluation import METRICS, Report, bootstrap, compare, holm, interval, p_value
from spotlight_asars.evaluation import comparison as module

SESSIONS = np.repeat([0, 2, 3, 7], [2, 1, 3, 2])  # the others have no target


def report(ranks, sessions=SESSIONS):
    return Report(np.array(ranks, dtype=np.float64), sessions, [20])


def drawn_by_hand(values, sessions, draws):
    """The mean over the targets of sessions drawn again, one after the other."""
    names = sorted(set(sessions.tolist()))
    for weights in RandomState(0).multinomial(len(names), [1 / len(names)] * len(names), size=draws):
        again = [session for session, weight in zip(names, weights, strict=True) for _ in range(weight)]
        yield np.mean([value for session in again for value in values[sessions == session]])


@pytest.mark.parametrize("metric", METRICS)
def test_a_comparison_is_that_of_a_loop_over_drawn_sessions(metric, monkeypatch):
    monkeypatch.setattr(module, "NUMBERS_AT_ONCE", 20)  # in parts
    draw = RandomState(1)
    ours, theirs = (draw.randint(1, 30, len(SESSIONS)).astype(float) for _ in range(2))
    values = METRICS[metric](ours, 20) - METRICS[metric](theirs, 20)
    by_hand = list(drawn_by_hand(values, SESSIONS, 64))
    np.testing.assert_allclose(bootstrap(values, SESSIONS, 64), by_hand, rtol=1e-12)
    found = compare(report(ours), report(theirs), f"{metric}@20", draws=64)
    assert found.difference == pytest.approx(values.mean())
    assert found.interval == pytest.approx(tuple(np.quantile(by_hand, [0.025, 0.975])))
    assert found.p == p_value(by_hand)


def test_a_comparison_is_the_other_way_round_for_the_other_model():
    draw = RandomState(2)
    one, other = (report(draw.randint(1, 30, len(SESSIONS))) for _ in range(2))
    there, back = compare(one, other), compare(other, one)
    assert there.difference == -back.difference
    assert there.interval == pytest.approx(back.interval[::-1] * np.array(-1))
    assert there.p == back.p
    assert compare(one, one) == (0, (0, 0), 1)


def test_a_true_difference_is_found_and_none_is_not():
    draw, sessions = RandomState(3), np.repeat(np.arange(400), 3)
    ranks = draw.randint(1, 40, (2, len(sessions)))
    assert compare(report(np.maximum(ranks[0] // 2, 1), sessions), report(ranks[1], sessions)).p < 0.01
    pairs = (tuple(report(draw.randint(1, 40, 1200), sessions) for _ in "ab") for _ in range(60))
    assert sum(compare(*pair, draws=200).p < 0.05 for pair in pairs) <= 9, "about one in twenty"


def test_only_reports_of_the_same_targets_are_compared():
    with pytest.raises(ValueError, match=r"^other must be a report of the same sessions and positions; got \(7,\)$"):
        compare(report(np.ones(8)), report(np.ones(7), SESSIONS[:7]))
    with pytest.raises(ValueError, match=r"^metric must be one of .*; got 'coverage@20'$"):
        compare(report(np.ones(8)), report(np.ones(8)), "coverage@20")
    with pytest.raises(ValueError, match=r"^draws must be 1 or more; got 0$"):
        compare(report(np.ones(8)), report(np.ones(8)), draws=0)
    with pytest.raises(ValueError, match=r"^level must lie between 0 and 1; got 95$"):
        interval([1.0], level=95)


def test_p_is_never_zero():
    assert (p_value(np.zeros(100)), p_value(np.ones(99))) == (1, 2 / 100)


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_rejects_what_steps_down_by_hand_reject(values):
    names = [f"test {n}" for n in range(len(values))]
    corrected = holm(dict(zip(names, values, strict=True)))
    assert list(corrected) == names
    for level in (0.05, 0.2, 0.5):
        rejected, order = set(), sorted(names, key=lambda name: values[names.index(name)])
        for place, name in enumerate(order):
            if values[names.index(name)] * (len(values) - place) > level:
                break
            rejected.add(name)
        assert {name for name, p in corrected.items() if p <= level} == rejected


def test_holm_takes_probabilities_only():
    with pytest.raises(ValueError, match=r"^p_values must lie in 0\.\.1; got 1\.5 at 1$"):
        holm({"a": 0.1, "b": 1.5})
