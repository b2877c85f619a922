"""What the fuzzing tests share: the number of cases, what counts as a refusal, and odd values.

Whatever is passed to a public function, either the result is right, or a ``ValueError`` or ``TypeError`` names the
argument and what it must be.
"""

from __future__ import annotations

import datetime
import decimal

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

FEW, MANY = 40, 1500  # cases of one test: by default, and with -m fuzz
CASES = [pytest.param(FEW, id="few"), pytest.param(MANY, id="many", marks=pytest.mark.fuzz)]


def explore(check, cases, arguments):
    """Call `check` with `cases` drawn arguments: always the same few, or in each run another many."""
    few = settings(
        max_examples=cases,
        deadline=None,
        derandomize=cases < MANY,
        database=None,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )

    @few
    @given(arguments)
    def drawn(case):
        check(*case)

    drawn()


@st.composite
def spoiled(draw, *plain):
    """A value of each strategy, or of each strategy of a tuple; in a third of the cases one of them is odd."""
    values = list(draw(plain[0] if len(plain) == 1 else st.tuples(*plain)))
    if draw(st.integers(0, 2)) == 2:
        values[draw(st.integers(0, len(values) - 1))] = draw(ODD)
    return tuple(values)


def answer(call, *names):
    """What `call` returns; None where it refuses with one of the argument's names."""
    try:
        return call()
    except (ValueError, TypeError) as error:
        text = str(error)
        assert " must " in text, f"no rule in: {text}"
        assert any(name in text for name in names), f"none of {names} in: {text}"
        return None


INTEGERS = st.one_of(st.integers(-3, 9), st.sampled_from([2**31 - 1, 2**31, -(2**31), 2**53, 2**63 - 1, 2**63, 2**64]))
FLOATS = st.one_of(st.floats(), st.integers(-3, 9).map(float), st.sampled_from([2.0**31, 2.0**63, 1e300]))
ODD = st.one_of(
    st.none(),
    st.booleans(),
    INTEGERS,
    FLOATS,
    st.text(max_size=2),
    st.binary(max_size=2),
    st.complex_numbers(),
    st.sampled_from([[], [[]], {}, set(), (), object(), np.nan, np.datetime64("2020-01-01"), decimal.Decimal(1)]),
    st.sampled_from([datetime.date(2020, 1, 1), np.int8(3), np.float32(2), np.bool_(True), np.array(3), np.array([3])]),
    st.lists(st.one_of(INTEGERS, FLOATS), max_size=4),
)
