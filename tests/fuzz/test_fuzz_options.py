"""Options of the model, one or two of them odd: a model is made of them, or the option is named."""

from __future__ import annotations

import inspect
import math

import numpy as np
import pytest
from fuzzing import CASES, FEW, FLOATS, INTEGERS, ODD, answer, explore
from hypothesis import strategies as st
from numpy.random import RandomState

from spotlight_asars import ASARSSequenceModel
from spotlight_asars.model.options import OPTIONS

DEFAULTS = {name: parameter.default for name, parameter in inspect.signature(ASARSSequenceModel).parameters.items()}
TABLES = {name: kind.choices for name, kind in OPTIONS.items() if kind.choices}
SHARES = ("dropout", "event_dropout", "user_dropout", "dwell_dropout", "id_dropout")


def is_number(value, whole):
    kinds = (int, np.integer) if whole else (int, float, np.integer, np.floating)
    return isinstance(value, kinds) and not isinstance(value, bool)


def is_valid(name, value):
    """What the docstring of the model says of one option."""
    if name in TABLES:
        return isinstance(value, str) and value in TABLES[name]
    if name == "monitor":
        return isinstance(value, str) and value == "loss"
    if name in ("optimizer_func", "kind_weights"):
        return value is None
    if name == "random_state":
        seed = is_number(value, whole=True) and 0 <= value < 2**32
        return value is None or isinstance(value, RandomState) or seed
    if isinstance(DEFAULTS[name], bool):
        return isinstance(value, (bool, np.bool_))
    if name in SHARES:
        return is_number(value, whole=False) and 0 <= value < 1
    if name in ("l2", "learning_rate"):
        least = value >= 0 if name == "l2" else is_number(value, whole=False) and value > 0
        return is_number(value, whole=False) and math.isfinite(value) and least
    if name == "patience" and value is None:
        return True
    return is_number(value, whole=True) and (0 if name in ("n_iter", "item_neighbours") else 1) <= value < 2**31


def check(name, value):
    valid = is_valid(name, value) if name != "l2" or is_number(value, whole=False) else False
    made = answer(lambda: ASARSSequenceModel(**{name: value}), name)
    assert (made is not None) == valid, (name, value)
    if valid:
        assert made.get_params()[name] is value or made.get_params()[name] == value


@pytest.mark.parametrize("cases", CASES)
def test_every_value_of_every_option_makes_a_model_or_is_named(cases):
    values = st.sampled_from([ODD, INTEGERS, FLOATS, st.floats(0, 1), st.booleans()]).flatmap(lambda kind: kind)
    explore(check, 4 * cases if cases == FEW else cases, st.tuples(st.sampled_from(sorted(DEFAULTS)), values))
