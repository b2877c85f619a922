"""Record upstream Spotlight's numbers in ``spotlight.npz``, which stands beside this script.

    PYTHONPATH=<checkout of maciejkula/spotlight> python tests/golden/make_spotlight_golden.py

The cases are ``RECORDED`` of ``tests/core/cases.py``. Commit and versions are kept with the numbers,
under ``made with``.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import scipy
import sklearn
import torch

HERE = Path(__file__).resolve().parent


def main() -> None:
    sys.path.insert(0, str(HERE.parent / "core"))
    import spotlight
    from cases import RECORDED
    from library import load

    checkout = Path(spotlight.__file__).parent
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=checkout, check=True, capture_output=True, text=True
    ).stdout.strip()
    versions = [f"{module.__name__} {module.__version__}" for module in (np, scipy, sklearn, torch)]
    made_with = np.array([f"maciejkula/spotlight {commit}", f"python {sys.version.split()[0]}", *versions])

    lib = load("spotlight")
    golden = {f"{case}: {key}": array for case, run in RECORDED.items() for key, array in run(lib).items()}
    path = HERE / "spotlight.npz"
    np.savez_compressed(path, **{"made with": made_with}, **golden)
    print(f"{path.name}: {len(golden)} arrays, {path.stat().st_size} bytes\n" + "\n".join(made_with))


if __name__ == "__main__":
    main()
