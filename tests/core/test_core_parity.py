"""The core gives upstream's numbers: as recorded, and live where upstream can be imported."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

import numpy as np
import pytest
from cases import LIVE, RECORDED
from library import MODULES, load

from spotlight_asars._spotlight import SPOTLIGHT

CORE = load("spotlight_asars._core")
with np.load(Path(__file__).parents[1] / "golden" / "spotlight.npz") as archive:
    GOLDEN = dict(archive)
SIGNATURES_TIGHTENED = {"minibatch", "shuffle"}  # upstream's take **kwargs and read one key of them

with_upstream = pytest.mark.skipif(SPOTLIGHT != "upstream", reason="upstream Spotlight is not importable")


def assert_same(expected, actual, tolerance):
    """Same arrays: exact shapes, ids and names; floats to the tolerance."""
    assert set(actual) == set(expected)
    for key, wanted in expected.items():
        got = actual[key]
        assert got.shape == wanted.shape, key
        if got.dtype.kind == "f":
            np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=tolerance, err_msg=key)
        else:
            np.testing.assert_array_equal(got, wanted, err_msg=key)
            assert got.dtype.kind == wanted.dtype.kind, key


def arrays(case, lib):
    return {key: np.asarray(array) for key, array in (RECORDED | LIVE)[case](lib).items()}


@pytest.mark.parametrize("case", RECORDED)
def test_core_gives_the_recorded_numbers(case):
    prefix = f"{case}: "
    recorded = {key.removeprefix(prefix): array for key, array in GOLDEN.items() if key.startswith(prefix)}
    assert_same(recorded, arrays(case, CORE), tolerance=1e-5)


def test_every_record_has_its_case():
    assert {key.partition(": ")[0] for key in GOLDEN} == {*RECORDED, "made with"}


@with_upstream
@pytest.mark.parametrize("case", RECORDED | LIVE)
def test_core_gives_the_numbers_of_the_upstream_at_hand(case):
    assert_same(arrays(case, load("spotlight")), arrays(case, CORE), tolerance=1e-6)


def signatures(module):
    """Parameters and defaults of the module's own public functions, classes and methods."""
    found = {}
    for name, thing in inspect.getmembers(module, lambda it: inspect.isfunction(it) or inspect.isclass(it)):
        if not name.startswith("_") and thing.__module__ == module.__name__:
            methods = inspect.getmembers(thing, inspect.isfunction) if inspect.isclass(thing) else []
            found |= {name: thing} | {f"{name}.{key}": it for key, it in methods if not key.startswith("_")}
    parameters = {name: inspect.signature(thing).parameters.values() for name, thing in found.items()}
    return {name: [str(p.replace(annotation=p.empty)) for p in ps] for name, ps in parameters.items()}


@with_upstream
@pytest.mark.parametrize("module", MODULES)
def test_public_names_and_signatures_are_upstreams(module):
    roots = ("spotlight", "spotlight_asars._core")
    theirs, ours = (signatures(importlib.import_module(f"{root}.{module}")) for root in roots)
    assert theirs.keys() <= ours.keys()
    for name in theirs.keys() - SIGNATURES_TIGHTENED:
        assert ours[name] == theirs[name], name


@with_upstream
@pytest.mark.parametrize("model", ["ImplicitSequenceModel", "ImplicitFactorizationModel"])
def test_models_have_upstreams_attributes_and_no_others(model):
    theirs, ours = (set(dir(getattr(lib, model)())) for lib in (load("spotlight"), CORE))
    assert {name for name in theirs ^ ours if not name.startswith("__")} == set()
