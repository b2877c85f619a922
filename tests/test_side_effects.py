"""Importing the package is quick, and leaves the global random generators as they were; making a model, likewise."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CHECK = """
import importlib, importlib.util, random, sys
from pathlib import Path

import numpy as np
import torch

def generators():
    return random.getstate(), str(np.random.get_state()), torch.get_rng_state().numpy().tobytes()

changed = []
def check(name, action, *arguments):
    before = generators()
    made = action(*arguments)
    if generators() != before:
        changed.append(name)
    return made

package = check("spotlight_asars", importlib.import_module, "spotlight_asars")
slow = {"pandas", "scipy.stats", "sklearn", "torch._dynamo"} & set(sys.modules)  # each as slow as half of torch
assert not slow or package.SPOTLIGHT != "builtin", slow
root = Path(package.__file__).parent
paths = sorted(path.relative_to(root.parent).with_suffix("") for path in root.rglob("*.py") if path.stem[:2] != "__")
modules = [".".join(path.parts) for path in paths]
for name in modules:
    check(name, importlib.import_module, name)

check("ASARSSequenceModel", package.ASARSSequenceModel)
check("ASARSSequenceModel, seeded", lambda: package.ASARSSequenceModel(random_state=1))
baselines = importlib.import_module("spotlight_asars.baselines").BASELINES
for name, baseline in baselines.items():
    if name != "sasrec" or importlib.util.find_spec("rectools"):
        check(name, baseline)
assert len(modules) > 50 and len(baselines) > 10, (modules, baselines)
print(changed)
"""


def test_no_import_and_no_constructor_moves_a_global_generator():
    root = Path(__file__).parents[1]
    result = subprocess.run([sys.executable, "-c", CHECK], cwd=root, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "[]"
