"""Tune, train and test every model on every data set; each run is kept in a file, so that none is done twice."""

from __future__ import annotations

import argparse
import inspect
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import numpy as np
import pandas as pd
from benchmarks.harness import in_child, memory
from joblib import Parallel, delayed
from numpy.random import RandomState

from spotlight_asars import ASARSSequenceModel, EventLog, SessionInteractions, to_sessions
from spotlight_asars.datasets.synthetic import generate_sessions
from spotlight_asars.evaluation import Report, evaluate
from spotlight_asars.search import search

CUTOFFS = (5, 10, 20)
MIB = 2**20
TEST_SHARE = 0.15  # of the sessions, the latest
SPACES: dict[str, dict[str, list[Any]]] = json.loads((Path(__file__).parent / "spaces.json").read_text())
RECIPES: dict[str, dict[str, Any]] = {  # how the events of a data set are read
    "yoochoose": {},
    "kuairand": {"dwell": "dwell_s"},
    "ml-100k": {"keep_repeats": True},
    "deskdrop": {"only": "behavior == 'VIEW'"},
}
PLANTED = {"num_sessions": 3000, "predictability": 0.3, "dwell_effect": 0.2, "user_effect": 0.2, "repeat_effect": 0.2}


class Contestant(NamedTuple):
    """A model to be made with some options, and what is special about it."""

    make: Callable[..., Any]
    options: Mapping[str, Any] = {}
    family: str = ""
    change: str = ""  # made to the sessions first, see ``changed``
    spaces: Sequence[str] = ()  # entries of ``spaces.json`` to tune over
    honest: bool = True  # False where it sees what is not known in time

    def takes(self, option: str) -> bool:
        """Whether the model has this option; one without `random_state` gives the same numbers in every run."""
        return option in inspect.signature(self.make).parameters

    @property
    def space(self) -> dict[str, list[Any]]:
        """Values to choose from, by option."""
        return {option: values for name in self.spaces for option, values in SPACES[name].items()}


class Log(NamedTuple):
    """A data set: sessions to train on, the latest ones to test on, and its sizes in a sentence."""

    name: str
    train: SessionInteractions
    test: SessionInteractions
    about: str


def load(name: str, folder: Path | None) -> Log:
    """Read ``folder/name/events.csv.gz``, or make the log "synthetic"; repeats are joined before rare items go."""
    recipe = RECIPES.get(name, {})
    if name == "synthetic":
        log = generate_sessions(**PLANTED, random_state=0)
    elif folder is None:
        raise ValueError(f"logs must be 'synthetic' without a folder of data; got {name!r}")
    else:
        frame = pd.read_csv(folder / name / "events.csv.gz")
        frame = frame.query(recipe["only"]) if "only" in recipe else frame
        log = EventLog.from_frame(frame, dwell=recipe.get("dwell"))
    log = (log if recipe.get("keep_repeats") else log.collapse_repeats()).filter_support(item=5, session=2)
    logs = log.split_by_time(TEST_SHARE)
    train, test = map(to_sessions, logs)
    first, last, end = (
        pd.Timestamp(time, unit="s").date()
        for time in (logs[0].timestamps.min(), logs[0].timestamps.max(), logs[1].timestamps.max())
    )
    users = 0 if train.user_ids is None else len(np.unique(train.user_ids))
    about = (
        f"{len(train):,} sessions of {users:,} users with {len(train.items):,} events on {train.num_items - 1:,} items "
        f"to train on, {first} to {last}; {len(test):,} later sessions with {(test.lengths - 1).sum():,} targets, until "
        f"{end}; {logs[1].dropped.events:,} later events of unknown items or users dropped"
    )
    return Log(name, train, test, about)


def changed(sessions: SessionInteractions, change: str, random: RandomState, median: float) -> SessionInteractions:
    """Sessions without the information of one channel: its values shuffled over all sessions, or all the same."""
    sessions = copy(sessions)
    if change == "users shuffled" and sessions.user_ids is not None:
        sessions.user_ids = random.permutation(sessions.user_ids)
    if change.startswith("dwell") and sessions.dwell is not None:
        sessions.dwell, known = sessions.dwell.copy(), ~np.isnan(sessions.dwell)
        values = sessions.dwell[known]
        sessions.dwell[known] = random.permutation(values) if change == "dwell shuffled" else median
    return sessions


def measure(model: Contestant, options: Mapping[str, Any], seed: int, log: Log) -> dict[str, Any]:
    """Train and test one model: metrics by position and name, as "last mrr@20", costs, and the rank of every target."""
    median, random = 0.0 if log.train.dwell is None else np.nanmedian(log.train.dwell), RandomState(seed)
    train, test = (changed(sessions, model.change, random, median) for sessions in (log.train, log.test))
    ASARSSequenceModel(n_iter=1).fit(SessionInteractions([[1, 2]]))  # what torch loads at the first step is no cost
    net = model.make(**options)
    held, start = memory(), time.perf_counter()
    fitted = net.fit(train) and time.perf_counter()
    report = evaluate(net, test, k=CUTOFFS)
    done, peak = time.perf_counter(), memory("VmHWM")
    last = np.flatnonzero(np.diff(report.sessions, append=-1))
    reports = {"every": report, "last": Report(report.ranks[last], report.sessions[last], CUTOFFS)}
    if hasattr(net, "update"):
        reports["rolled"] = evaluate(net, test, k=CUTOFFS, roll_history=True)
    epochs = len(net.epochs) if hasattr(net, "epochs") else options.get("n_iter", 1)
    return {
        **{f"{at} {name}": value for at, one in reports.items() for name, value in one.items()},
        "epochs": epochs,
        "fit [s]": fitted - start,
        "evaluate [s]": done - fitted,
        "targets learned/s": (train.lengths - 1).sum() * epochs / (fitted - start),
        "targets ranked/s": len(report.ranks) / (done - fitted),
        "held before [MiB]": held / MIB,
        "peak [MiB]": peak / MIB,
        "ranks": report.ranks.astype(np.float32),
        "sessions": report.sessions.astype(np.int32),
    }


def tuned(log: Log, name: str, model: Contestant, args: argparse.Namespace) -> dict[str, Any]:
    """The options that did best on the latest training sessions in ``args.trials`` trials, the defaults first."""
    if not (args.trials and model.space):
        return {}
    fixed = {**model.options, **({"n_iter": args.epochs} if args.epochs and model.takes("n_iter") else {})}
    fixed = {option: value for option, value in fixed.items() if option not in model.space}
    defaults = {option: [value] for option, value in model.make(**model.options).get_params().items()}
    median = 0.0 if log.train.dwell is None else float(np.nanmedian(log.train.dwell))
    train, trials = changed(log.train, model.change, RandomState(0), median), []
    for part, space, count in (
        ("defaults", {option: defaults[option] for option in model.space}, 1),
        ("tuned", model.space, args.trials - 1),
    ):
        study = {"storage": str(args.out / "trials"), "study": f"{log.name}, {name}, {part}", "n_jobs": args.jobs}
        trials += search(train, space, model=model.make, n_trials=count, **study, **fixed) if count else []
    pd.DataFrame(map(asdict, trials)).to_csv(args.out / f"trials of {name} on {log.name}.csv", index=False)
    best = max(trials, key=lambda trial: trial.metrics.get("mrr@20", 0.0))
    return {option: best.arguments[option] for option in model.space if [best.arguments[option]] != defaults[option]}


def compete(models: Mapping[str, Contestant], args: argparse.Namespace) -> tuple[list[Log], pd.DataFrame]:
    """All data sets, and a row for each run: what it was, and what ``measure`` returned or the "error"."""
    names = args.logs or [name for name in RECIPES if args.data and (args.data / name / "events.csv.gz").exists()]
    logs, folder = [load(name, args.data) for name in names or ["synthetic"]], args.out / "runs"
    folder.mkdir(parents=True, exist_ok=True)
    chosen = {(log.name, name): tuned(log, name, model, args) for log in logs for name, model in models.items()}
    plan = [
        (log, name, model, seed)
        for log in logs
        for name, model in models.items()
        for seed in range(args.seeds if model.takes("random_state") else 1)
    ]

    def run(log: Log, name: str, model: Contestant, seed: int) -> dict[str, Any]:
        given = {"n_iter": args.epochs, "random_state": seed}
        given = {option: value for option, value in given.items() if value is not None and model.takes(option)}
        options = {**model.options, **given, **chosen[log.name, name]}
        settings = json.dumps(model.make(**options).get_params(), default=lambda v: v.__qualname__, sort_keys=True)
        what = {"data": log.name, "model": name, "change": model.change, "seed": seed, "settings": settings}
        file = folder / f"{joblib.hash([what, vars(log.train), vars(log.test)])}.joblib"
        return {**what, "tuned": chosen[log.name, name], **kept(file, args.retry, measure, model, options, seed, log)}

    runs = []
    for record in Parallel(args.jobs, prefer="threads", return_as="generator")(delayed(run)(*one) for one in plan):
        runs.append(record)
        outcome = record.get("error") or f"MRR@20 {record['every mrr@20']:.4f}, fit {record['fit [s]']:.1f} s"
        about = f"{record['data']} {record['model']}, seed {record['seed']}"
        print(f"[{len(runs)}/{len(plan)}] {about}: {outcome}", file=sys.stderr, flush=True)
    return logs, pd.DataFrame(runs)


def kept(file: Path, retry: bool, function: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """The outcome in the file, or of a call in a process of its own, written to the file: an error, too."""
    if file.exists() and not (retry and "error" in joblib.load(file)):
        return joblib.load(file)
    try:
        outcome = in_child(function, *arguments)
    except Exception as failure:  # the other runs go on
        outcome = {"error": f"{type(failure).__name__}: {' '.join(str(failure).split())}"}
    joblib.dump(outcome, part := file.with_suffix(".part"))
    part.replace(file)
    return outcome
