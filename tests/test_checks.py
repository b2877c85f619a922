"""Argument checks: what is accepted, and the message, with its value, when something is not."""

from __future__ import annotations

import re

import numpy as np
import pytest

from spotlight_asars import _checks as checks


def refuses(message, error=ValueError):
    """Expect exactly this message."""
    return pytest.raises(error, match=f"^{re.escape(message)}$")


def test_a_broken_rule_is_named_with_its_value_and_the_way_out():
    checks.require(True, "k must be 1 or more", 0)
    with refuses("k must be 1 or more; got 0"):
        checks.require(False, "k must be 1 or more", np.int64(0))
    with refuses("name must be short; got 'long'. Cut it"):
        checks.require(False, "name must be short", "long", "Cut it")


@pytest.mark.parametrize(
    ("values", "at"),
    [(np.array([1.0, -2.0, -3.0]), " at 1"), (np.array([[1.0, 1.0], [-2.0, 1.0]]), " at (1, 0)"), (np.array(-2.0), "")],
)
def test_the_first_bad_value_is_named_with_its_index(values, at):
    with refuses(f"x must be positive; got -2.0{at}. Mend it"):
        checks.reject(values < 0, values, "x must be positive", "Mend it")


@pytest.mark.parametrize("values", [[1, 2], [1.0, 2.0], np.array([1, 2], np.uint8), np.array([1, 2], np.float16)])
def test_integers_are_int64_and_whole_floats_pass(values):
    numbers = checks.integers(values, "ids")
    assert numbers.dtype == np.int64
    assert numbers.tolist() == [1, 2]


def test_integers_keep_64_bits():
    extremes = [-(2**63), 2**63 - 1]
    assert checks.integers(np.array(extremes), "ids").tolist() == extremes
    assert checks.integers(np.array([2**63 - 1], np.uint64), "ids").tolist() == [2**63 - 1]


@pytest.mark.parametrize("bad", [0.5, np.nan, np.inf, -np.inf])
def test_floats_that_are_no_integers_are_refused(bad):
    with refuses(f"ids must be whole numbers of 64 bits; got {bad!r} at 1"):
        checks.integers([1.0, bad], "ids")


@pytest.mark.parametrize(("dtype", "bits"), [("float64", 53), ("float32", 24), ("float16", 11)])
def test_floats_that_may_have_been_rounded_are_refused(dtype, bits):
    largest = np.array([2.0**bits - 1], dtype)
    assert checks.integers(-largest, "ids").tolist() == [1 - 2**bits]
    with refuses(
        f"ids must be below 2**{bits} as {dtype}, which rounds larger numbers; got {2.0**bits} at 0. Give int64"
    ):
        checks.integers(largest + np.ones(1, dtype), "ids")


def test_integers_beyond_64_bits_are_refused():
    with refuses("ids must be whole numbers of 64 bits, with a sign; got 18446744073709551615 at 0"):
        checks.integers(np.array([2**64 - 1], np.uint64), "ids")


@pytest.mark.parametrize(
    ("values", "dtype"), [(["a"], "<U1"), ([True], "bool"), ([None], "object"), ([1j], "complex128")]
)
def test_other_types_are_no_integers(values, dtype):
    with refuses(f"ids must be an array of integers; got dtype {dtype}", TypeError):
        checks.integers(values, "ids")


def test_seconds_may_be_unknown():
    numbers = checks.seconds(np.array([0, 3], np.int32), "dwell_times")
    assert numbers.dtype == np.float64
    np.testing.assert_array_equal(checks.seconds([0.0, np.nan], "dwell_times"), [0.0, np.nan])


@pytest.mark.parametrize(
    ("bad", "rule"),
    [
        (-0.5, "must not be negative"),
        (-np.inf, "must not be negative"),
        (np.inf, "must be finite as float32, or NaN where unknown"),
        (1e39, "must be finite as float32, or NaN where unknown"),
    ],
)
def test_seconds_are_neither_negative_nor_infinite(bad, rule):
    with refuses(f"dwell_times {rule}; got {bad!r} at 1"):
        checks.seconds([np.nan, bad], "dwell_times")


def test_seconds_are_numbers():
    with refuses("dwell_times must be numbers [s]; got dtype <U1", TypeError):
        checks.seconds(["a"], "dwell_times")


def test_rows_of_several_lengths_are_no_array():
    with refuses("ids must be an array, all rows of one length; got [[1], [2, 3]]"):
        checks.array([[1], [2, 3]], "ids")


def test_moments_count_whole_seconds():
    assert checks.moments([5], "at").dtype == np.int64
    assert checks.moments(np.array([5, np.nan], np.float32), "at", unknown=True).dtype == np.float64
    with refuses("at must be finite, or NaN where unknown; got inf at 0"):
        checks.moments([np.inf], "at", unknown=True)
    with refuses("at must be finite; got nan at 1"):
        checks.moments([1, np.nan], "at")
    with refuses("at must lie within 2**24 s of 1970; got -100000000.0 at 0. Give int64 or float64"):
        checks.moments(np.array([-1e8], np.float32), "at")
    with refuses("at must be numbers [s]; got dtype <U1", TypeError):
        checks.moments(["x"], "at")


@pytest.mark.parametrize(
    ("check", "bad", "message"),
    [
        (checks.whole, 1.0, "n must be a whole number; got 1.0"),
        (checks.whole, True, "n must be a whole number; got True"),
        (checks.number, "3", "n must be a number; got '3'"),
        (checks.positive, None, "n must be a number; got None"),
        (checks.switch, 1, "n must be True or False; got 1"),
    ],
)
def test_options_of_another_kind_are_refused(check, bad, message):
    with refuses(message, TypeError):
        check(bad, "n", **({"least": 1} if check is checks.whole else {}))


def test_numbers_have_bounds():
    assert checks.whole(np.int8(3), "n", least=3, most=3) == 3
    assert checks.number(0.5, "n", least=0) == checks.positive(0.5, "n") == 0.5
    for bad, refused in ((-0.5, "n must be 0 or more"), (np.nan, "n must be 0 or more")):
        with refuses(f"{refused}; got {bad!r}"):
            checks.number(bad, "n", least=0)
    with refuses("n must be positive; got 0"):
        checks.positive(0, "n")
    with refuses("n must be 4 or less; got 5"):
        checks.whole(5, "n", least=1, most=4)


def test_an_option_is_a_name_in_the_table_or_a_callable():
    assert checks.resolve("sum", {"sum": sum}, "loss") is sum
    assert checks.resolve(max, {"sum": sum}, "loss") is max
    for bad in ("mean", None, 3):
        with refuses(f"loss must be a callable or one of ['max', 'sum']; got {bad!r}"):
            checks.resolve(bad, {"sum": sum, "max": max}, "loss")


def test_a_choice_is_one_of_those_named():
    checks.one_of("last", ("every", "last"), "positions")
    with refuses("positions must be one of ['every', 'last']; got 'first'"):
        checks.one_of("first", ("every", "last"), "positions")


def test_a_renamed_argument_is_warned_of_by_both_names():
    with pytest.warns(
        DeprecationWarning, match="^items is deprecated and will be removed in version 0.4; use vocabulary$"
    ):
        checks.warn_renamed("items", "vocabulary")
