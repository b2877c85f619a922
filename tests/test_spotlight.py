"""Which Spotlight is taken: absent, PyPI's namesake, or broken; and the core under Spotlight's name.

Every case runs in a process of its own, with a path on which the spotlight of this machine is not.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from spotlight_asars._spotlight import SPOTLIGHT

ROOT = Path(__file__).resolve().parents[1]


def run(folder, code):
    """Run the code with ``folder`` and this repository on the path."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])},
        capture_output=True,
        text=True,
    )


def succeed(folder, code):
    result = run(folder, code)
    assert result.returncode == 0, result.stderr


def write(folder, files):
    """Write the files of a fake ``spotlight`` package."""
    for name, text in {"__init__.py": "", **files}.items():
        path = folder / "spotlight" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


CORE_UNDER_ITS_NAME = """
    import sys
    from spotlight_asars import _spotlight as ours

    def loaded():
        return {name: it for name, it in sys.modules.items() if name.partition(".")[0] == "spotlight"}

    assert ours.SPOTLIGHT == "builtin"
    assert ours.ImplicitSequenceModel.__module__ == "spotlight_asars._core.sequence.implicit"
    assert not loaded()
    ours.install_as_spotlight()
    first = loaded()
    ours.install_as_spotlight()
    assert loaded() == first

    import spotlight
    import spotlight.factorization.implicit
    from spotlight.datasets import movielens, synthetic
    from spotlight.interactions import Interactions
    from spotlight.sequence.implicit import ImplicitSequenceModel
    assert loaded() == first
    assert Interactions is ours.Interactions
    assert ImplicitSequenceModel is ours.ImplicitSequenceModel
    assert spotlight.sequence.implicit.ImplicitSequenceModel is ours.ImplicitSequenceModel
"""


def test_absent_spotlight_gives_the_core(tmp_path):
    succeed(tmp_path, CORE_UNDER_ITS_NAME)


def test_namesake_gives_the_core_and_is_not_in_its_way(tmp_path):
    write(tmp_path, {"__init__.py": "raise SystemExit('the namesake was run')", "validator.py": ""})
    succeed(tmp_path, CORE_UNDER_ITS_NAME)


def test_install_refuses_to_stand_beside_another_spotlight(tmp_path):
    (tmp_path / "spotlight.py").touch()  # a single file has no sequence, whatever lies beside it
    (tmp_path / "sequence.py").touch()
    result = run(
        tmp_path,
        """
        import spotlight
        from spotlight_asars._spotlight import SPOTLIGHT, install_as_spotlight
        assert SPOTLIGHT == "builtin"
        install_as_spotlight()
        """,
    )
    message = "install_as_spotlight must be called before another spotlight is imported; got"
    assert f"RuntimeError: {message} {tmp_path / 'spotlight.py'}." in result.stderr


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({"evaluation.py": "import a_missing_need"}, "ModuleNotFoundError: No module named 'a_missing_need'"),
        ({}, "ModuleNotFoundError: No module named 'spotlight.evaluation'"),
        ({"__init__.py": "raise OSError('inside')"}, "OSError: inside"),
    ],
)
def test_broken_upstream_speaks_for_itself(tmp_path, files, complaint):
    write(tmp_path, {"sequence/__init__.py": "", **files})
    result = run(tmp_path, "import spotlight_asars._spotlight")
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == complaint


@pytest.mark.skipif(SPOTLIGHT != "upstream", reason="upstream Spotlight is not importable")
def test_upstream_is_taken_where_it_is(tmp_path):
    package = Path(importlib.util.find_spec("spotlight").origin).parent
    (tmp_path / "spotlight").symlink_to(package, target_is_directory=True)
    succeed(
        tmp_path,
        """
        import sys
        from spotlight_asars import _spotlight as ours
        from spotlight.sequence.implicit import ImplicitSequenceModel
        assert ours.SPOTLIGHT == "upstream"
        assert ours.ImplicitSequenceModel is ImplicitSequenceModel
        nets = (ours.PoolNet, ours.CNNNet, ours.LSTMNet, ours.MixtureLSTMNet)
        assert {net.__module__ for net in nets} == {"spotlight.sequence.representations"}
        before = dict(sys.modules)
        ours.install_as_spotlight()
        assert sys.modules == before
        """,
    )


def test_only_the_chooser_imports_spotlight():
    offenders = []
    for path in (ROOT / "spotlight_asars").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module]
            if any(name.partition(".")[0] == "spotlight" for name in names):
                offenders.append(path.name)
    assert set(offenders) == {"_spotlight.py"}
