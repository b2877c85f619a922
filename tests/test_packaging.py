"""The wheel and the sdist are complete; installed far from the source, they run."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = {
    "pandas",
    "polars",
    "pyarrow",
    "duckdb",
    "pyspark",
    "h5py",
    "matplotlib",
    "onnxscript",
    "usearch",
    "optuna",
    "mlflow",
    "tensorboard",
}
HEAVY |= {"starlette", "uvicorn"}


def test_nothing_heavy_is_needed_without_extras():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    needed = setup["options"]["install_requires"].split()
    assert not {line.partition(">")[0] for line in needed} & HEAVY
    assert all(">=" in line for line in needed)


def run(*command, folder):
    """Run a command in the folder, which must succeed, and return what it prints."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(list(map(str, command)), cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Return a folder with the wheel and the sdist, built from a copy of the source."""
    folder = tmp_path_factory.mktemp("built")
    left_out = shutil.ignore_patterns(".git", "build", "*.egg-info", "__pycache__", ".*_cache", ".hypothesis", ".venv*")
    shutil.copytree(ROOT, folder / "source", ignore=left_out)
    build = "from setuptools import build_meta; build_meta.build_{0}({1!r})"
    for kind in ("wheel", "sdist"):
        run(sys.executable, "-c", build.format(kind, str(folder)), folder=folder / "source")
    return folder


@pytest.mark.packaging
def test_wheel_and_sdist_have_every_module_and_the_type_marker(built):
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "spotlight_asars").rglob("*.py")}
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        held = set(wheel.namelist())
    assert {name for name in held if name.endswith(".py")} == modules
    assert {"spotlight_asars/py.typed", "spotlight_asars/cli/reporting/style.css"} <= held
    assert any(name.endswith("/LICENSE") for name in held)
    with tarfile.open(next(built.glob("*.tar.gz"))) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert modules | {"spotlight_asars/py.typed", "setup.cfg", "pyproject.toml", "README.md", "LICENSE"} <= names


@pytest.fixture(scope="module", params=["*.whl", "*.tar.gz"])
def place(request, built, tmp_path_factory):
    """Return the bin folder of a new environment in which the package is installed."""
    folder = tmp_path_factory.mktemp("fresh")
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv", folder=folder)
    site = next((folder / "venv").glob("lib/python*/site-packages"))
    others = [path for path in sys.path if path.endswith("site-packages")]
    (site / "others.pth").write_text("\n".join(others) + "\n")  # torch and the rest, as they are here
    install = ["-m", "pip", "--python", folder / "venv/bin/python", "install", "--quiet", "--no-deps", "--no-index"]
    archive = next(built.glob(request.param))
    run(sys.executable, *install, "--no-build-isolation", "--force-reinstall", archive, folder=folder)
    return folder / "venv/bin"


@pytest.mark.packaging
def test_an_installed_package_runs_its_command_and_its_example(place, tmp_path):
    where = "import spotlight_asars; print(spotlight_asars.__file__)"
    assert str(place.parent) in run(place / "python", "-c", where, folder=tmp_path)
    assert "prepare" in run(place / "spotlight-asars", "--help", folder=tmp_path)
    assert run(place / "spotlight-asars", "--version", folder=tmp_path).startswith("spotlight-asars 0.")
    shown = run(place / "python", ROOT / "examples/quickstart.py", "--epochs", "1", folder=tmp_path)
    assert "Recall@20" in shown
