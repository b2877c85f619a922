"""What both programs do: load the logs, tune, run every model with every seed, and sum up."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from benchmarking import logs
from benchmarking.contestants import Contestant
from benchmarking.report import circumstances, written
from benchmarking.runs import FINAL, Book, Run, plan, run_all
from benchmarking.summary import Line, lines_of
from benchmarking.tuning import best, trials_of

Named = dict[tuple[str, str], Any]  # by data set and model


class Results(NamedTuple):
    """By data set: a line for each model, what tuning chose for it, and the sizes."""

    lines: Mapping[str, list[Line]]
    tuned: Mapping[str, Mapping[str, Mapping[str, Any]]]
    about: Mapping[str, str]


def add_arguments(parser: argparse.ArgumentParser, out: str) -> None:
    """The arguments that both programs have."""
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="of folders with events.csv.gz, one a data set")
    parser.add_argument("--logs", nargs="+", metavar="NAME", help="data sets; by default all known ones in the folder")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each model in which chance plays a part")
    parser.add_argument("--trials", type=int, default=0, help="of tuning, for each model; 0 takes the defaults")
    parser.add_argument("--epochs", type=int, help="of models that are trained; else each model's own default")
    parser.add_argument("--jobs", type=int, default=1, help="runs side by side")
    parser.add_argument("--out", type=Path, default=Path(out), metavar="FOLDER", help=f"default: {out}")
    parser.add_argument("--retry", action="store_true", help="do runs again that have failed")


def compete(models: Mapping[str, Contestant], reference: str, args: argparse.Namespace) -> Results:
    """All trials, then all final runs with what did best in them; what is in the book is not done again."""
    data, book = (
        [logs.load(name, args.data) for name in args.logs or logs.names_in(args.data)],
        Book(args.out, args.retry),
    )
    pairs = {(log.name, name): (log, model) for log in data for name, model in models.items()}
    tried: Named = {
        pair: trials_of(log, pair[1], model, args.trials, args.epochs) for pair, (log, model) in pairs.items()
    }
    run_all([run for trials in tried.values() for _, run in trials], book, args.jobs)

    chosen: Named = {pair: best(trials, book) for pair, trials in tried.items()}
    finals: dict[tuple[str, str], list[Run]] = {}
    for pair, (log, model) in pairs.items():
        seeds = range(args.seeds if model.seeded else 1)
        settled = {seed: model.settled(seed, args.epochs, **chosen[pair]) for seed in seeds}
        finals[pair] = [plan(log, FINAL, pair[1], model, seed, options) for seed, options in settled.items()]
    run_all([run for runs in finals.values() for run in runs], book, args.jobs)

    def by_model(found: Named, log: logs.Log) -> dict[str, Any]:
        return {name: found[log.name, name] for name in models}

    return Results(
        {log.name: lines_of(by_model(finals, log), book, reference) for log in data},
        {log.name: by_model(chosen, log) for log in data},
        {log.name: log.final.about for log in data},
    )


def publish(
    program: str,
    argv: list[str] | None,
    results: Results,
    models: Mapping[str, Contestant],
    reference: str,
    args: argparse.Namespace,
    by_score: bool = True,
    pictures: Mapping[str, Path] | None = None,
) -> None:
    """Write ``results.md``, and print it."""
    head = f"{circumstances(program, argv)} Seeds: {args.seeds}; trials of tuning for each model: {args.trials}."
    dishonest = [name for name, model in models.items() if not model.honest]
    text = written(results.lines, results.about, reference, dishonest, results.tuned, by_score)
    shown = [f"![{title}]({path.name})" for title, path in (pictures or {}).items()]
    page = "\n\n".join([head, text, *shown])
    (args.out / "results.md").write_text(f"{page}\n")
    print(page)
