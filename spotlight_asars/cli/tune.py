"""``tune``: trials of the model's options on one log, in a file in which a later call goes on."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from spotlight_asars.cli.answers import Answer, table
from spotlight_asars.cli.arguments import UsageError, add_cuda, add_events, add_sessions
from spotlight_asars.cli.options import add_options, check_options, option_help, read_options, read_space
from spotlight_asars.cli.reading import read_training_sessions
from spotlight_asars.cli.writing import check_place
from spotlight_asars.search import Trial, search

PURPOSE = "try options of the model, judged on the latest sessions of the log"
EPILOG = f"""\
With --storage each trial is kept as soon as it ends; the same command goes on after an interruption, with more --trials
too. Give the training file, and report on the test file.

{option_help()}

examples:
  spotlight-asars tune train.parquet --try learning_rate=0.02,0.05,0.1 --try history=true,false
  spotlight-asars tune train.parquet --try learning_rate=0.02,0.05,0.1 --try dropout=0,0.25,0.5 --trials 5 \\
      --storage trials.log
"""
SHOWN = 10  # trials in the table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_events(parser)
    parser.add_argument(
        "--try",
        action="append",
        required=True,
        dest="space",
        metavar="NAME=VALUE,VALUE",
        help="values of an option to try, with all of those of the others; may be given again",
    )
    parser.add_argument("--trials", type=int, metavar="N", help="combinations to try; default all")
    parser.add_argument(
        "--sampler",
        help="grid, random, or tpe, which learns from the trials so far; default tpe with --trials, else grid",
    )
    parser.add_argument("--storage", type=Path, metavar="FILE", help="file that keeps the trials; default none")
    parser.add_argument(
        "--pruning", action="store_true", help="give trials up that are below the median after some epochs"
    )
    parser.add_argument(
        "--validation", type=float, default=0.1, metavar="SHARE", help="of the sessions, the latest; default 0.1"
    )
    parser.add_argument("--metric", default="mrr@20", help="what is best, like recall@10; default mrr@20")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes; default 1")
    add_sessions(parser)
    add_options(parser)
    add_cuda(parser)


def run(args: argparse.Namespace) -> Answer:
    """Run the command."""
    space, fixed = read_space(args.space), read_options(args.set, args.cuda)
    twice = sorted(name for name in space if name in [text.partition("=")[0] for text in args.set])
    if twice:
        raise UsageError(f"--try and --set must not name the same option; got {', '.join(twice)}")
    fixed = {name: value for name, value in fixed.items() if name not in space}
    for name, values in space.items():
        for value in values:
            check_options({**fixed, name: value})
    sampler = args.sampler or ("grid" if args.trials is None else "tpe")
    if sampler != "grid" and args.trials is None:
        raise UsageError(f"--sampler must come with --trials, unless it is grid; got {sampler}")
    check_place(args.storage, "--storage")
    trials = search(
        read_training_sessions(args),
        space,
        n_trials=args.trials,
        validation=args.validation,
        metric=args.metric,
        sampler=sampler,
        storage=args.storage,
        n_jobs=args.jobs,
        pruning=args.pruning,
        verbose=not args.quiet,
        **fixed,
    )
    return Answer(_text(trials, list(space), args.metric), {"metric": args.metric, "trials": _data(trials, space)})


def _text(trials: list[Trial], names: list[str], metric: str) -> str:
    rows: list[tuple[object, ...]] = [(*names, metric, "epochs", "seconds")]
    for trial in trials[:SHOWN]:
        value = trial.error or f"{trial.metrics[metric]:.4f}"
        rows.append((*(trial.arguments[name] for name in names), value, trial.epochs, f"{trial.seconds:.1f}"))
    more = f"\nand {len(trials) - SHOWN} more" if len(trials) > SHOWN else ""
    return table(rows) + more


def _data(trials: list[Trial], space: dict[str, list[Any]]) -> list[dict[str, Any]]:
    return [
        {
            "options": {name: trial.arguments[name] for name in space},
            "metrics": trial.metrics,
            "epochs": trial.epochs,
            "seconds": trial.seconds,
            "error": trial.error,
        }
        for trial in trials
    ]
