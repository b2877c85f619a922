"""Which Spotlight is chosen: absent, PyPI's namesake, or broken; and the core under Spotlight's name."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
from pathlib import Path

import pytest

from spotlight_asars import _spotlight

ROOT = Path(__file__).resolve().parents[1]


def loaded():
    return {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "spotlight"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder that is searched first, for a process in which no other spotlight can be found."""
    before = loaded()
    others = [path for path in sys.path if not (Path(path) / "spotlight").exists()]
    monkeypatch.setattr(sys, "path", [str(tmp_path), *others])
    for name in before:
        del sys.modules[name]
    yield tmp_path
    for name in loaded():
        del sys.modules[name]
    sys.modules.update(before)


def write(folder, files):
    """Write the files of a fake ``spotlight`` package."""
    for name, text in {"__init__.py": "", **files}.items():
        path = folder / "spotlight" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def choose():
    """A fresh copy of ``_spotlight.py``, which chooses as it is imported."""
    importlib.invalidate_caches()
    spec = importlib.util.spec_from_file_location("fresh_choice", _spotlight.__file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("namesake", [False, True])
def test_without_upstream_the_core_stands_under_its_name(folder, namesake):
    if namesake:
        write(folder, {"__init__.py": "raise SystemExit('the namesake was run')", "validator.py": ""})
    choice = choose()
    assert choice.SPOTLIGHT == "builtin"
    assert choice.ImplicitSequenceModel.__module__ == "spotlight_asars._core.sequence.implicit"
    assert not loaded()
    choice.install_as_spotlight()
    installed = loaded()
    choice.install_as_spotlight()

    import spotlight
    import spotlight.factorization.implicit
    from spotlight.datasets import movielens, synthetic  # noqa: F401
    from spotlight.interactions import Interactions

    assert loaded() == installed
    assert Interactions is choice.Interactions
    assert spotlight.sequence.implicit.ImplicitSequenceModel is choice.ImplicitSequenceModel


def test_install_refuses_to_stand_beside_another_spotlight(folder):
    (folder / "spotlight.py").touch()  # a single file has no sequence, whatever lies beside it
    (folder / "sequence.py").touch()
    importlib.import_module("spotlight")
    choice = choose()
    assert choice.SPOTLIGHT == "builtin"
    with pytest.raises(
        RuntimeError, match=r"must be called before another spotlight is imported; got .*spotlight\.py\. "
    ):
        choice.install_as_spotlight()


@pytest.mark.parametrize(
    ("files", "error", "message"),
    [
        ({"evaluation.py": "import a_missing_need"}, ModuleNotFoundError, "No module named 'a_missing_need'"),
        ({}, ModuleNotFoundError, "No module named 'spotlight.evaluation'"),
        ({"__init__.py": "raise OSError('inside')"}, OSError, "inside"),
    ],
)
def test_a_broken_upstream_raises_its_own_error(folder, files, error, message):
    write(folder, {"sequence/__init__.py": "", **files})
    with pytest.raises(error, match=f"^{message}$"):
        choose()


@pytest.mark.skipif(_spotlight.SPOTLIGHT != "upstream", reason="upstream Spotlight is not importable")
def test_upstream_is_chosen_where_it_is():
    from spotlight.sequence.implicit import ImplicitSequenceModel

    assert _spotlight.ImplicitSequenceModel is ImplicitSequenceModel
    before = loaded()
    _spotlight.install_as_spotlight()
    assert loaded() == before


def test_only_the_chooser_imports_spotlight():
    offenders = set()
    for path in (ROOT / "spotlight_asars").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.level == 0 else []
            offenders |= {path.name for name in names if name.partition(".")[0] == "spotlight"}
    assert offenders == {"_spotlight.py"}
