"""Search for good arguments of ``ASARSSequenceModel``: all of a grid, or points drawn at random.

It must satisfy: a trial trains on nothing but the earlier sessions, and is judged on the held-out ones; the same search
finds the same values, whether in one process or in many; a trial that fails is a result like others; a search
that is killed loses the trials under way and no more; results of one question are never mixed with those of another.
"""

from __future__ import annotations

import csv
import io
import math
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.model_selection import ParameterGrid, ParameterSampler
from sklearn.utils.parallel import Parallel, delayed
from tqdm import tqdm

from spotlight_asars._checks import reject, require, whole
from spotlight_asars._spotlight import SequenceInteractions
from spotlight_asars.evaluation import METRICS, evaluate
from spotlight_asars.model import ASARSSequenceModel
from spotlight_asars.model.fingerprints import digest, text_of
from spotlight_asars.sessions.interactions import SessionInteractions, as_sessions

Space = Mapping[str, Any] | Sequence[Mapping[str, Any]]
Key = tuple[str, ...]  # all arguments of a model as text: what tells one trial from another

ARGUMENTS = tuple(ASARSSequenceModel().get_params())


@dataclass(frozen=True)
class Trial:
    """What came of one choice of arguments; ``ASARSSequenceModel(**trial.arguments)`` makes its model again."""

    arguments: dict[str, Any]  # all of the model's, those left at their defaults too
    metrics: dict[str, float]  # as in a ``Report``, on the held-out sessions; empty where the trial failed
    epochs: int  # trained; 0 where the trial failed
    seconds: float  # of training and evaluation
    error: str  # why the trial failed; empty where it did not


def grid_search(
    train: SequenceInteractions,
    space: Space,
    validation: SequenceInteractions | float = 0.1,
    metric: str = "mrr@20",
    path: str | os.PathLike[str] | None = None,
    n_jobs: int = 1,
    verbose: bool = False,
    **fixed: Any,
) -> list[Trial]:
    """Trials of every combination of the values in `space`, best first.

    Parameters
    ----------
    train : SessionInteractions or SequenceInteractions
        Sessions to train on and, where `validation` is a share, to validate on.
    space : dict or list of dicts
        Lists of values by the name of the model's argument. Of several dicts, each is searched on its own.
    validation : float, SessionInteractions or SequenceInteractions
        The share of the sessions, the latest ones, on which models trained on the others are judged; or sessions for
        that. Models with a `patience` stop by them as well, which flatters these a little: report on other sessions.
    metric : str
        What is best, like "mrr@20" or "recall@10".
    path : str or path, optional
        A CSV file that gets a row after each trial, with all arguments. Where it exists, the trials in it, failed ones
        too, are not run again. Functions stand there by name: give one that you change another name.
    n_jobs : int
        Processes, in each of which torch computes in one thread: so the results are the same for any number of them.
    verbose : bool
        Show a progress bar.
    **fixed
        Arguments of the model that are the same in all trials. `random_state` is 0 unless given.

    Returns
    -------
    list of Trial
        One for each combination, ties in the order of the grid, failed ones at the end. Combinations that make the
        same model count once.

    Raises
    ------
    ValueError
        Before any trial: for a bad space, metric, validation or argument, and for a file of another search.
    TypeError
        For an argument that no text can tell from others, such as a net that is built already.

    Examples
    --------
    >>> from spotlight_asars import to_sessions
    >>> from spotlight_asars.datasets.synthetic import generate_sessions
    >>> train = to_sessions(generate_sessions(num_users=5, num_items=20, num_sessions=60, random_state=0))
    >>> trials = grid_search(train, {"learning_rate": [0.001, 0.1]}, representation="gru4rec", n_iter=3)
    >>> [trial.arguments["learning_rate"] for trial in trials]
    [0.1, 0.001]
    """
    spaces = _check_space(space, fixed)
    return _search(train, ParameterGrid(spaces), validation, metric, path, n_jobs, verbose, {"random_state": 0} | fixed)


def random_search(
    train: SequenceInteractions,
    space: Space,
    n_trials: int,
    validation: SequenceInteractions | float = 0.1,
    metric: str = "mrr@20",
    path: str | os.PathLike[str] | None = None,
    n_jobs: int = 1,
    verbose: bool = False,
    random_state: int = 0,
    **fixed: Any,
) -> list[Trial]:
    """Trials of `n_trials` points drawn from `space`, best first; the rest is as in ``grid_search``.

    Parameters
    ----------
    space : dict or list of dicts
        Lists of values, or distributions with the ``rvs`` of scipy's, by the name of the model's argument. Of several
        dicts, one is drawn first.
    n_trials : int
        Points to draw, without replacement where all are lists: at most as many as there are. With a distribution
        among them, a larger `n_trials` begins with the points of a smaller one, and so can go on in the same file.
    random_state : int
        Seed of the draws, and of each model whose space does not have its own.

    Examples
    --------
    >>> from scipy.stats import loguniform
    >>> from spotlight_asars import to_sessions
    >>> from spotlight_asars.datasets.synthetic import generate_sessions
    >>> train = to_sessions(generate_sessions(num_users=5, num_items=20, num_sessions=60, random_state=0))
    >>> space = {"learning_rate": loguniform(0.001, 0.1), "cell": ["lstm", "gru"]}
    >>> len(random_search(train, space, n_trials=3, n_iter=1))
    3
    """
    whole(n_trials, "n_trials", least=1)
    spaces = _check_space(space, fixed, distributions=True)
    if not any(_is_distribution(values) for part in spaces for values in part.values()):
        n_trials = min(n_trials, len(ParameterGrid(spaces)))
    points = ParameterSampler(spaces, n_trials, random_state=random_state)
    return _search(train, points, validation, metric, path, n_jobs, verbose, {"random_state": random_state} | fixed)


def _search(
    train: SequenceInteractions,
    points: Iterable[dict[str, Any]],
    validation: SequenceInteractions | float,
    metric: str,
    path: str | os.PathLike[str] | None,
    n_jobs: int,
    verbose: bool,
    fixed: dict[str, Any],
) -> list[Trial]:
    whole(n_jobs, "n_jobs", least=1)
    cutoff = _cutoff(metric)
    earlier, held_out = _split(train, validation)
    plan = _plan(points, fixed)
    table = None if path is None else _Table(Path(path), cutoff, digest(earlier, held_out))
    trials = {} if table is None else table.read(plan)
    ahead = [key for key in plan if key not in trials]
    # Large arrays would reach the other processes read-only, of which torch warns, but for max_nbytes.
    pool = Parallel(min(n_jobs, len(ahead)) or 1, return_as="generator_unordered", max_nbytes=None)
    with tqdm(total=len(plan), initial=len(trials), disable=not verbose, unit="trial") as bar:
        for key, trial in pool(delayed(_try)(key, plan[key], earlier, held_out, cutoff) for key in ahead):
            trials[key] = replace(trial, arguments=plan[key])  # a function from another process is not the caller's
            if table is not None:
                table.append(key, trial)
            bar.set_postfix_str(f"best {metric} {max(found.metrics.get(metric, 0.0) for found in trials.values()):.4f}")
            bar.update()
    return sorted((trials[key] for key in plan), key=lambda trial: trial.metrics.get(metric, -math.inf), reverse=True)


def _try(
    key: Key, arguments: dict[str, Any], earlier: SessionInteractions, held_out: SessionInteractions, cutoff: int
) -> tuple[Key, Trial]:
    """Train a model of its own on the earlier sessions and judge it on those held out."""
    threads, start = torch.get_num_threads(), time.perf_counter()
    torch.set_num_threads(1)
    model = ASARSSequenceModel(**arguments)
    metrics, error = {}, ""
    try:
        model.fit(earlier, validation=None if arguments["patience"] is None else held_out)
        metrics = dict(evaluate(model, held_out, k=cutoff))
    except Exception as failure:  # whatever stops one trial, the others go on
        error = f"{type(failure).__name__}: {' '.join(str(failure).split())}"  # on one line, as a row of the file is
    finally:
        torch.set_num_threads(threads)
    return key, Trial(arguments, metrics, 0 if error else len(model.epochs), time.perf_counter() - start, error)


def _plan(points: Iterable[dict[str, Any]], fixed: dict[str, Any]) -> dict[Key, dict[str, Any]]:
    """All arguments of every trial, with the model's own check of them."""
    plan: dict[Key, dict[str, Any]] = {}
    for point in points:
        given = {**fixed, **point}
        plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in given.items()}
        arguments = ASARSSequenceModel(**plain).get_params()
        key = tuple(text_of(value, name) for name, value in arguments.items())
        known = plan.setdefault(key, arguments)
        for name, text in zip(arguments, key, strict=True):
            rule = f"{name} must have another name for each of its values, for trials are told by it"
            require(known[name] == arguments[name], rule, text)
    return plan


class _Table:
    """The CSV file: a header, and a row for each trial, each written at once.

    Whatever is not ended by a line break was being written when the search was killed, and is dropped.
    """

    def __init__(self, path: Path, cutoff: int, data: str) -> None:
        self._path, self._data = path, data
        self._metrics = [f"{name}@{cutoff}" for name in METRICS]
        self._columns = [*self._metrics, "epochs", "seconds", "error", "data", *ARGUMENTS]

    def read(self, plan: Mapping[Key, dict[str, Any]]) -> dict[Key, Trial]:
        """The trials of `plan` that the file has; after that it is ready for more of them."""
        header = _line(self._columns)
        found = self._path.read_bytes() if self._path.exists() else b""
        self._check_header(found, header)
        whole = found[: found.rfind(b"\n") + 1] if found.startswith(header) else header
        rows = list(csv.DictReader(io.StringIO(whole.decode(), newline="")))
        rule = f"path must be new, or a file of a search on the same sessions, data {self._data!r}"
        for row in rows:
            require(row["data"] == self._data, rule, row["data"])
        if found.startswith(header):
            os.truncate(self._path, len(whole))
        else:
            self._path.write_bytes(header)
        keys = (tuple(row[name] for name in ARGUMENTS) for row in rows)
        return {key: self._trial(row, plan[key]) for key, row in zip(keys, rows, strict=True) if key in plan}

    def append(self, key: Key, trial: Trial) -> None:
        values = [trial.metrics.get(name, "") for name in self._metrics]
        line = _line([*values, trial.epochs, f"{trial.seconds:.3f}", trial.error, self._data, *key])
        with self._path.open("ab", buffering=0) as file:
            file.write(line)

    def _check_header(self, found: bytes, header: bytes) -> None:
        """Refuse a file that does not start with the header, or with what of it was written before the end."""
        if not (found.startswith(header) or header.startswith(found)):
            first = found.decode(errors="replace").partition("\n")[0]
            theirs = next(csv.reader([first]), [])
            lacking = [name for name in self._columns if name not in theirs]
            others = [name for name in theirs if name not in self._columns]
            require(False, f"path must be new, or a file of this search, with columns {lacking}", others or first)

    def _trial(self, row: Mapping[str, str], arguments: dict[str, Any]) -> Trial:
        metrics = {} if row["error"] else {name: float(row[name]) for name in self._metrics}
        return Trial(arguments, metrics, int(row["epochs"]), float(row["seconds"]), row["error"])


def _line(values: Iterable[object]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue().encode()


def _split(
    train: SequenceInteractions, validation: SequenceInteractions | float
) -> tuple[SessionInteractions, SessionInteractions]:
    """Sessions to train on and to judge by."""
    if isinstance(validation, SequenceInteractions):
        earlier, held_out = as_sessions(train), as_sessions(validation)
    else:
        earlier, held_out = as_sessions(train).split_latest(validation)
    for argument, part in (("train", earlier), ("validation", held_out)):
        longest = int(part.lengths.max())
        require(longest >= 2, f"{argument} must have a session of two events or more; the longest has", longest)
    rule = f"validation must have item ids below {earlier.num_items}, as in train"
    reject(held_out.items >= earlier.num_items, held_out.items, rule)
    return earlier, held_out


def _cutoff(metric: str) -> int:
    name, _, cutoff = str(metric).partition("@")
    valid = name in METRICS and cutoff.isdecimal() and cutoff == str(int(cutoff)) != "0"
    require(valid, f"metric must be one of {sorted(METRICS)} with a cut-off, like 'mrr@20'", metric)
    return int(cutoff)


def _check_space(space: Space, fixed: Mapping[str, Any], distributions: bool = False) -> list[Mapping[str, Any]]:
    """The dicts of a space, each of the model's arguments with values to choose from."""
    spaces = [space] if isinstance(space, Mapping) else list(space)
    rule = "space must be a dict of values by argument, or a list of such dicts, none of them empty"
    require(bool(spaces) and all(isinstance(part, Mapping) and part for part in spaces), rule, space)
    kind = "list or distribution" if distributions else "list"
    for part in spaces:
        for name in (*part, *fixed):
            require(name in ARGUMENTS, f"space and fixed must name arguments of the model, {sorted(ARGUMENTS)}", name)
        for name, values in part.items():
            require(name not in fixed, f"{name} must be in the space or fixed, not both", fixed.get(name))
            listed = isinstance(values, (list, tuple, range, np.ndarray)) and len(values) > 0
            valid = listed or (distributions and _is_distribution(values))
            require(valid, f"space must give {name} a {kind} of values, not empty", values)
    return spaces


def _is_distribution(values: object) -> bool:
    return hasattr(values, "rvs")
