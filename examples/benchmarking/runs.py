"""Tune, train and test every model on every data set; each run is kept in a file, so that none is done twice."""

from __future__ import annotations

import argparse
import inspect
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
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

CUTOFFS = (5, 10, 20)
MIB = 2**20 / 1e6  # [MB]
SPACES: dict[str, dict[str, list[Any]]] = json.loads((Path(__file__).parent / "spaces.json").read_text())
RECIPES: dict[str, dict[str, Any]] = {  # how the events of a data set are read
    "yoochoose": {},
    "kuairand": {"dwell": "dwell_s"},
    "ml-100k": {"keep_repeats": True},
    "deskdrop": {"only": "behavior == 'VIEW'"},
}
PLANTED = {"num_sessions": 3000, "predictability": 0.3, "dwell_effect": 0.2, "user_effect": 0.2, "repeat_effect": 0.2}


def unchanged(parts: list[SessionInteractions], random_state: RandomState) -> list[SessionInteractions]:
    """The sessions as they are."""
    return parts


class Contestant(NamedTuple):
    """A model to be made with some options, and what is special about it."""

    make: Callable[..., Any]
    options: Mapping[str, Any] = {}
    family: str = ""
    change: Callable[..., list[SessionInteractions]] = unchanged  # made to the sessions first
    spaces: Sequence[str] = ()  # entries of ``spaces.json`` to tune over
    honest: bool = True  # False where it sees what is not known in time

    def takes(self, option: str) -> bool:
        """Whether the model has this option; without `random_state` every run gives the same numbers."""
        return option in inspect.signature(self.make).parameters


def add_arguments(parser: argparse.ArgumentParser, out: str) -> None:
    """Add the arguments that both programs have."""
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="of folders with events.csv.gz, one a data set")
    parser.add_argument("--logs", nargs="+", metavar="NAME", help="data sets; by default all known ones in the folder")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each model in which chance plays a part")
    parser.add_argument("--trials", type=int, default=0, help="of tuning, for each model; 0 takes the defaults")
    parser.add_argument("--epochs", type=int, help="of models that are trained; else each model's own default")
    parser.add_argument("--jobs", type=int, default=1, help="runs side by side")
    parser.add_argument("--out", type=Path, default=Path(out), metavar="FOLDER", help=f"default: {out}")
    parser.add_argument("--retry", action="store_true", help="do runs again that have failed")


def load(name: str, folder: Path | None) -> tuple[SessionInteractions, SessionInteractions, str]:
    """Sessions to train and to test on, and their sizes.

    They are those of ``folder/name/events.csv.gz``, or of ``train.csv.gz`` and ``test.csv.gz`` there, which have been
    split and cleaned before; or of the log "synthetic".
    """
    recipe = RECIPES.get(name, {})
    if name == "synthetic":
        log = generate_sessions(**PLANTED, random_state=0)
    elif folder is None:
        raise ValueError(f"logs must be 'synthetic' without a folder of data; got {name!r}")
    elif (folder / name / "train.csv.gz").exists():
        return published(folder / name)
    else:
        frame = pd.read_csv(folder / name / "events.csv.gz")
        frame = frame.query(recipe["only"]) if "only" in recipe else frame
        log = EventLog.from_frame(frame, dwell=recipe.get("dwell"))
    log = (log if recipe.get("keep_repeats") else log.collapse_repeats()).filter_support(item=5, session=2)
    train, test = map(to_sessions, logs := log.split_by_time(test_fraction=0.15))
    lost = logs[1].dropped.events
    return train, test, f"{sizes(train, test)}; dropped {lost:,} events of unknown items or users"


def published(folder: Path) -> tuple[SessionInteractions, SessionInteractions, str]:
    """Sessions as somebody has published them: rows of a session and a contiguous item, in the order of time."""
    frames = [pd.read_csv(folder / f"{part}.csv.gz") for part in ("train", "test")]
    num_items = max(int(frame.item_id.max()) for frame in frames) + 1
    train, test = (
        SessionInteractions.from_ragged(
            frame.item_id.to_numpy(), np.r_[0, frame.groupby("session_id", sort=False).size().cumsum()], None, num_items
        )
        for frame in frames
    )
    return train, test, f"{sizes(train, test)}; as published, without times and users"


def sizes(train: SessionInteractions, test: SessionInteractions) -> str:
    """What there is to train and to test on."""
    return (
        f"{len(train):,} sessions with {len(train.items):,} events on {train.num_items - 1:,} items to train on, "
        f"{len(test):,} later ones with {(test.lengths - 1).sum():,} targets"
    )


def measure(
    model: Contestant, options: Mapping[str, Any], seed: int, train: SessionInteractions, test: SessionInteractions
) -> dict[str, Any]:
    """Train and test one model: metrics by position and name, as "last mrr@20", costs, and the rank of every target."""
    train, test = model.change([train, test], RandomState(seed))
    ASARSSequenceModel(n_iter=1).fit(SessionInteractions([[1, 2]]))  # what torch loads at the first step is no cost
    net = model.make(**options)
    held, start = memory(), time.perf_counter()
    net.fit(train)
    fitted = time.perf_counter()
    report = evaluate(net, test, k=CUTOFFS)
    done, peak = time.perf_counter(), memory("VmHWM")
    last = np.flatnonzero(np.diff(report.sessions, append=-1))
    reports = {"every": report, "last": Report(report.ranks[last], report.sessions[last], CUTOFFS)}
    if hasattr(net, "update"):
        reports["rolled"] = evaluate(net, test, k=CUTOFFS, roll_history=True)
    epochs = len(net.epochs) if hasattr(net, "epochs") else options.get("n_iter", 1)
    return {
        **{f"{at} {name}": value for at, one in reports.items() for name, value in one.items()},
        "fit [s]": fitted - start,
        "evaluate [s]": done - fitted,
        "targets learned/s": (train.lengths - 1).sum() * epochs / (fitted - start),
        "held before [MiB]": held / MIB,
        "peak [MiB]": peak / MIB,
        "ranks": report.ranks.astype(np.float32),
        "sessions": report.sessions.astype(np.int32),
    }


def tuned(data: str, train: SessionInteractions, name: str, model: Contestant, args: Any) -> dict[str, Any]:
    """The options that did best on the latest training sessions, in the same number of trials for every model."""
    space = {option: values for part in model.spaces for option, values in SPACES[part].items()}
    if not (args.trials and space):
        return {}
    from spotlight_asars.search import search

    fixed = {**model.options, **({"n_iter": args.epochs} if args.epochs and model.takes("n_iter") else {})}
    fixed = {option: value for option, value in fixed.items() if option not in space}
    storage, study = str(args.out / "trials.log"), f"{data}, {name}"
    (train,) = model.change([train], RandomState(0))
    trials = search(
        train, space, model=model.make, n_trials=args.trials, storage=storage, study=study, n_jobs=args.jobs, **fixed
    )
    pd.DataFrame(map(asdict, trials)).to_csv(args.out / f"trials, {study}.csv", index=False)
    return {option: trials[0].arguments[option] for option in space if not trials[0].error}


def compete(models: Mapping[str, Contestant], args: argparse.Namespace) -> tuple[dict[str, str], pd.DataFrame]:
    """Sizes by data set, and a row for each run: what it was, and what ``measure`` returned or the "error"."""
    names = args.logs or [name for name in RECIPES if args.data and (args.data / name / "events.csv.gz").exists()]
    logs = {name: load(name, args.data) for name in names or ["synthetic"]}
    (args.out / "runs").mkdir(parents=True, exist_ok=True)
    plan = []
    for data, (train, test, _) in logs.items():
        arrays = [(p.items, p.offsets, p.user_ids, p.flat_dwell_times, p.started, p.num_items) for p in (train, test)]
        digest = joblib.hash(arrays)
        for name, model in models.items():
            chosen = tuned(data, train, name, model, args)
            for seed in range(args.seeds if model.takes("random_state") else 1):
                given = {"n_iter": args.epochs, "random_state": seed}
                given = {option: value for option, value in given.items() if value is not None and model.takes(option)}
                options = {**model.options, **given, **chosen}
                settings = json.dumps(model.make(**options).get_params(), default=lambda v: v.__qualname__)
                what = {"data": data, "model": name, "seed": seed, "settings": settings}
                file = args.out / "runs" / f"{joblib.hash([what, digest])}.joblib"
                run = delayed(kept)(file, args.retry, measure, model, options, seed, train, test)
                plan.append(({**what, "tuned": chosen}, run))

    runs = []
    outcomes = Parallel(args.jobs, prefer="threads", return_as="generator")(run for _, run in plan)
    for (what, _), outcome in zip(plan, outcomes, strict=True):
        runs.append({**what, **outcome})
        text = outcome.get("error") or f"MRR@20 {outcome['every mrr@20']:.4f}, fit {outcome['fit [s]']:.1f} s"
        print(f"[{len(runs)}/{len(plan)}] {what['data']} {what['model']}, seed {what['seed']}: {text}", file=sys.stderr)
    return {name: log[2] for name, log in logs.items()}, pd.DataFrame(runs)


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
