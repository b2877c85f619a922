"""One run: a model made, trained and evaluated, and what that cost."""

from __future__ import annotations

import os
import pickle
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray

from benchmarking.changes import CHANGES
from spotlight_asars import SessionInteractions
from spotlight_asars.evaluation import METRICS, Report, evaluate

CUTOFFS = (5, 10, 20)
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
STATUS = Path("/proc/self/status")
MIB = 2**20
RSS_UNIT = 1 if platform.system() == "Darwin" else 1024  # [bytes] in which the system counts ru_maxrss


@dataclass(frozen=True)
class Job:
    """What to run: all that a child process needs to know."""

    make: Callable[..., Any]
    options: Mapping[str, Any]
    change: str
    seed: int
    train: SessionInteractions
    test: SessionInteractions


@dataclass(frozen=True)
class Outcome:
    """What came of it."""

    error: str = ""  # why it failed; empty where it did not
    costs: Mapping[str, float] = field(default_factory=dict)
    ranks: Mapping[str, NDArray[Any]] = field(default_factory=dict)  # every, rolled; and the session of each target

    @property
    def metrics(self) -> dict[str, float]:
        """By position and name, as "last mrr@20"; without "rolled" where nothing was."""
        if self.error:
            return {}
        every, last = self.ranks["every"], last_of(self.ranks["sessions"])
        at = {"every": every, "last": every[last]}
        if "rolled" in self.ranks:
            at["rolled"] = self.ranks["rolled"]
        return {
            f"{where} {name}@{k}": float(metric(ranks.astype(np.float64), k).mean())
            for where, ranks in at.items()
            for name, metric in METRICS.items()
            for k in CUTOFFS
        }


def last_of(sessions: NDArray[Any]) -> NDArray[np.int64]:
    """Place of each session's last target, where `sessions` has the session of every target and rises.

    >>> last_of(np.array([0, 0, 2])).tolist()
    [1, 2]
    """
    return np.flatnonzero(np.diff(sessions, append=sessions[-1] + 1))


def measure(job: Job) -> Outcome:
    """Run it here and now; whatever stops the model is an outcome, too."""
    try:
        return _measure(job)
    except Exception as failure:  # the other runs go on
        return Outcome(f"{type(failure).__name__}: {' '.join(str(failure).split())}")


def _measure(job: Job) -> Outcome:
    train, test = CHANGES[job.change](job.train, job.test, RandomState(job.seed))
    model = job.make(**job.options)
    held = held_memory()
    fitting = time.perf_counter()
    model.fit(train)
    evaluating = time.perf_counter()
    report = evaluate(model, test, k=CUTOFFS)
    done = time.perf_counter()
    epochs = len(model.epochs) if hasattr(model, "epochs") else job.options.get("n_iter", 1)
    learned, ranked = int((train.lengths - 1).clip(0).sum()) * epochs, len(report.ranks)
    costs = {
        "epochs": epochs,
        "fit [s]": evaluating - fitting,
        "evaluate [s]": done - evaluating,
        "targets learned/s": learned / (evaluating - fitting),
        "targets ranked/s": ranked / (done - evaluating),
        "held before [MiB]": held,
        "peak [MiB]": peak_memory(),
    }
    return Outcome("", costs, _ranks(report, _rolled(model, test)))


def _rolled(model: Any, test: SessionInteractions) -> Report | None:
    """The report in which later test sessions have seen the user's earlier ones, of models that can learn of them."""
    return evaluate(model, test, k=CUTOFFS, roll_history=True) if hasattr(model, "update") else None


def _ranks(report: Report, rolled: Report | None) -> dict[str, NDArray[Any]]:
    ranks = {"every": report.ranks.astype(np.float32), "sessions": report.sessions.astype(np.int32)}
    return ranks if rolled is None else {**ranks, "rolled": rolled.ranks.astype(np.float32)}


def in_child(job: Job) -> Outcome:
    """Run it in a process of its own, with one thread: its memory is nobody else's, and no crash is ours."""
    here = os.pathsep.join(path or os.getcwd() for path in sys.path)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarking.child"],
        input=pickle.dumps(job),
        capture_output=True,
        env={**os.environ, **ONE_THREAD, "PYTHONPATH": here},
        check=False,
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or [""]
        return Outcome(f"the process ended with {done.returncode}: {said[-1]}")
    return pickle.loads(done.stdout)


def held_memory() -> float:
    """Memory [MiB] this process holds; where the system does not say, the most it has held."""
    return _status("VmRSS") or peak_memory()


def peak_memory() -> float:
    """The most memory [MiB] this process has held.

    Linux lets ``ru_maxrss`` of a new process begin at what its parent held, so what it says elsewhere comes first.
    """
    return _status("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT / MIB


def _status(name: str) -> float:
    """A line of the system's own account of this process [MiB]; 0 where it keeps none."""
    lines = STATUS.read_text().splitlines() if STATUS.exists() else []
    return next((float(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:")), 0.0)
