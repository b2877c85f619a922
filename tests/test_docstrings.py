"""Every public name says what it does; where it takes several arguments also what each is, and what is refused."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
import re

import pytest

import spotlight_asars

SEVERAL = 3  # arguments from which a docstring must have sections; one sentence may name fewer
REFUSALS = r"\braise |\brequire\(|\breject\(|\bone_of\("
DOORS = ("", ".analysis", ".baselines", ".datasets", ".evaluation", ".preparation", ".search")
MODULES = [
    module.name
    for module in pkgutil.walk_packages(spotlight_asars.__path__, "spotlight_asars.")
    if not any(part.startswith("_") for part in module.name.split("."))
]


def public(module):
    """Functions and classes of a module, and the methods of these, as (name, object)."""
    here = [getattr(module, name) for name in getattr(module, "__all__", [])]
    here = here or [thing for thing in vars(module).values() if getattr(thing, "__module__", None) == module.__name__]
    for thing in here:
        if (inspect.isfunction(thing) or inspect.isclass(thing)) and not thing.__name__.startswith("_"):
            yield thing.__name__, thing
            for name, method in inspect.getmembers(thing, inspect.isroutine) if inspect.isclass(thing) else ():
                ours = (getattr(method, "__module__", None) or "").startswith("spotlight_asars.")
                if ours and not name.startswith("_") and "._core" not in method.__module__:
                    yield f"{thing.__name__}.{name}", method


@pytest.mark.parametrize("name", MODULES)
def test_every_public_name_has_a_docstring(name):
    module = importlib.import_module(name)
    assert module.__doc__
    assert not [thing for thing, value in public(module) if not inspect.getdoc(value) and "." not in thing]


@pytest.mark.parametrize("name", DOORS)
def test_what_takes_several_arguments_has_sections(name):
    lacking = {}
    for thing, value in public(importlib.import_module(f"spotlight_asars{name}")):
        text = inspect.getdoc(value) or ""
        arguments = [one for one in inspect.signature(value).parameters if one not in ("self", "cls")]
        if len(arguments) < SEVERAL or dataclasses.is_dataclass(value):
            lacks = set() if text else {"a docstring"}
        else:
            refuses = inspect.isroutine(value) and re.search(REFUSALS, inspect.getsource(value))
            wanted = {"Parameters"} | ({"Raises"} if refuses else set())
            lacks = {section for section in wanted if not re.search(rf"^{section}\n-+$", text, re.MULTILINE)}
            if "as in ``" not in text:  # where most are described
                lacks |= {one for one in arguments if not re.search(rf"\b{one}\b", text)}
        if lacks:
            lacking[thing] = sorted(lacks)
    assert not lacking
