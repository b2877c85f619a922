"""Many runs side by side, each written down at once: what is killed goes on where it was.

A run is known by all that decides its outcome: the data, the model with all its options, the seed. One that is written
down is not done again, whether it failed or not; ``--retry`` does failed ones again.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarking.contestants import Contestant
from benchmarking.logs import Log
from benchmarking.measuring import CUTOFFS, Job, Outcome, in_child
from spotlight_asars.evaluation import METRICS

FINAL, TRIAL = "final", "trial"
METRIC_NAMES = [f"{at} {name}@{k}" for at in ("every", "last", "rolled") for name in METRICS for k in CUTOFFS]
COST_NAMES = ["epochs", "fit [s]", "evaluate [s]", "targets learned/s", "targets ranked/s"]
COST_NAMES += ["held before [MiB]", "peak [MiB]"]


class Key(NamedTuple):
    """What tells a run from any other, as text."""

    data: str
    digest: str  # of the sessions
    stage: str  # a trial while tuning, or final
    model: str
    change: str
    seed: str
    settings: str  # every option of the model, as JSON


class Run(NamedTuple):
    """A key, and the job that answers it."""

    key: Key
    job: Job


def plan(log: Log, stage: str, name: str, contestant: Contestant, seed: int, options: Mapping[str, Any]) -> Run:
    """The run of one model, made with `options`, on the sessions of a stage."""
    sessions = log.final if stage == FINAL else log.trial
    settings = json.dumps(contestant.make(**options).get_params(), default=_called, sort_keys=True)
    key = Key(log.name, sessions.digest, stage, name, contestant.change, str(seed), settings)
    return Run(key, Job(contestant.make, options, contestant.change, seed, sessions.train, sessions.test))


class Book:
    """The runs of a folder: ``runs.csv`` with a row for each, and the ranks of final ones in ``ranks/``.

    Ranks are written before their row, so a row never lacks them; what a row cut off by a kill leaves is dropped.
    """

    COLUMNS = (*Key._fields, "error", *METRIC_NAMES, *COST_NAMES, "torch", "finished")

    def __init__(self, folder: Path, retry: bool = False) -> None:
        self._path, self._ranks = folder / "runs.csv", folder / "ranks"
        self._ranks.mkdir(parents=True, exist_ok=True)
        header = _line(self.COLUMNS)
        found = self._path.read_bytes() if self._path.exists() else b""
        if not (found.startswith(header) or header.startswith(found)):
            raise ValueError(f"out must be a new folder, or one of runs with these columns; got {str(folder)!r}")
        whole = found[: found.rfind(b"\n") + 1] if found.startswith(header) else header
        if whole != found:
            self._path.write_bytes(whole)
        rows = csv.DictReader(io.StringIO(whole.decode(), newline=""))
        self.rows = {Key(*(row[name] for name in Key._fields)): row for row in rows if not (retry and row["error"])}

    def write(self, key: Key, outcome: Outcome) -> None:
        """Take down a run that is over."""
        if outcome.ranks and key.stage == FINAL:
            part = self._file(key).with_suffix(".part")
            with part.open("wb") as file:
                np.savez_compressed(file, **outcome.ranks)
            os.replace(part, self._file(key))
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        values = {**outcome.metrics, **outcome.costs, "error": outcome.error, "torch": torch.__version__}
        row = {name: str(value) for name, value in {**key._asdict(), **values, "finished": now}.items()}
        self.rows[key] = {name: row.get(name, "") for name in self.COLUMNS}
        with self._path.open("ab", buffering=0) as file:
            file.write(_line(self.rows[key].values()))

    def ranks(self, key: Key) -> dict[str, NDArray[Any]]:
        """Ranks at every position, rolled or not, and the session of each; of a final run that did not fail."""
        with np.load(self._file(key)) as arrays:
            return dict(arrays)

    def _file(self, key: Key) -> Path:
        return self._ranks / f"{hashlib.blake2b(repr(tuple(key)).encode(), digest_size=12).hexdigest()}.npz"


def run_all(runs: Sequence[Run], book: Book, jobs: int = 1, launch: Callable[[Job], Outcome] = in_child) -> None:
    """Do those that are not in the book, `jobs` at a time."""
    ahead = {run.key: run for run in runs if run.key not in book.rows}
    pool, start = ThreadPoolExecutor(jobs), time.monotonic()
    try:
        keys = {pool.submit(launch, run.job): key for key, run in ahead.items()}
        for done, future in enumerate(as_completed(keys), start=1):
            key, outcome = keys[future], future.result()
            book.write(key, outcome)
            found = (
                outcome.error or f"MRR@20 {outcome.metrics['every mrr@20']:.4f}, fit {outcome.costs['fit [s]']:.1f} s"
            )
            told = f"{key.data} {key.model}{' ' * bool(key.change)}{key.change}, seed {key.seed}: {found}"
            minutes = (time.monotonic() - start) / 60
            print(f"[{done}/{len(ahead)} {key.stage}s, {minutes:.1f} min] {told}", file=sys.stderr, flush=True)
    finally:
        pool.shutdown(cancel_futures=True)


def _called(value: Any) -> str:
    """A function by its name; a partial one with what it is given."""
    if hasattr(value, "func"):
        return f"{_called(value.func)}({', '.join(f'{name}={part}' for name, part in value.keywords.items())})"
    return f"{value.__module__}.{value.__qualname__}"


def _line(values: Iterable[object]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue().encode()
