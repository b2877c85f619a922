"""Upstream's own tests of the parts the core covers pass on the core."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
COVERED = (
    "sequence",
    "test_interactions.py",
    "test_cross_validation.py",
    "test_evaluation_metrics.py",
    "test_layers.py",
    "factorization/test_implicit.py",
)


@pytest.mark.slow
def test_upstreams_tests_pass_on_the_core(tmp_path):
    for variable in ("SPOTLIGHT_UPSTREAM", "SPOTLIGHT_ASARS_DATA"):
        if variable not in os.environ:
            pytest.skip(f"{variable} is not set")
    # A copy, so that the spotlight package beside the tests cannot be imported.
    copy = shutil.copytree(Path(os.environ["SPOTLIGHT_UPSTREAM"]) / "tests", tmp_path / "tests")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "upstream_on_core"]
    path = os.pathsep.join([str(TESTS), str(TESTS.parent)])
    result = subprocess.run(
        [*command, f"--rootdir={tmp_path}", *(str(copy / part) for part in COVERED)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},  # small nets: threads only wait
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert result.returncode == 0, result.stdout[-6000:]
