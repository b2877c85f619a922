"""Every public name has a docstring; one that takes several arguments describes each, and says what it raises."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
import re
from typing import get_origin

import pytest

import spotlight_asars

SEVERAL = 3  # arguments from which a docstring needs sections; fewer fit into one sentence
RAISING = r"\braise |\brequire\(|\breject\(|\bone_of\("
PUBLIC = ("", ".analysis", ".baselines", ".datasets", ".evaluation", ".preparation", ".search")


def public(module):
    """Functions and classes of a module, and the methods of these, as (name, object)."""
    here = [getattr(module, name) for name in getattr(module, "__all__", [])]
    here = here or [thing for thing in vars(module).values() if getattr(thing, "__module__", None) == module.__name__]
    for thing in here:
        of_ours = inspect.isfunction(thing) or (inspect.isclass(thing) and get_origin(thing) is None)
        if of_ours and not thing.__name__.startswith("_"):
            yield thing.__name__, thing
            for name, method in inspect.getmembers(thing, inspect.isroutine) if inspect.isclass(thing) else ():
                ours = (getattr(method, "__module__", None) or "").startswith("spotlight_asars.")
                if ours and callable(method) and not name.startswith("_") and "._core" not in method.__module__:
                    yield f"{thing.__name__}.{name}", method


def test_every_public_name_has_a_docstring():
    missing = []
    for info in pkgutil.walk_packages(spotlight_asars.__path__, "spotlight_asars."):
        if "._" not in info.name:
            module = importlib.import_module(info.name)
            missing += [] if module.__doc__ else [info.name]
            named = public(module)
            missing += [f"{info.name}.{name}" for name, it in named if "." not in name and not inspect.getdoc(it)]
    assert not missing


def lacks(thing):
    """The sections and arguments that the docstring of a function, method or class leaves out."""
    text = inspect.getdoc(thing) or ""
    arguments = [one for one in inspect.signature(thing).parameters if one not in ("self", "cls")]
    if len(arguments) < SEVERAL or dataclasses.is_dataclass(thing):
        return [] if text else ["a docstring"]
    raises = inspect.isroutine(thing) and re.search(RAISING, inspect.getsource(thing))
    sections = ["Parameters", *(["Raises"] if raises else [])]
    missing = [section for section in sections if not re.search(rf"^{section}\n-+$", text, re.MULTILINE)]
    if "as in ``" not in text:  # where most arguments are described
        missing += [one for one in arguments if not re.search(rf"\b{one}\b", text)]
    return missing


@pytest.mark.parametrize("name", PUBLIC)
def test_a_docstring_describes_several_arguments_in_sections(name):
    module = importlib.import_module(f"spotlight_asars{name}")
    assert not {thing: lacks(value) for thing, value in public(module) if lacks(value)}
