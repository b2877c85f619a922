"""The honest benchmark: every model on every data set, tuned alike, with what it costs.

    python examples/benchmark.py --data FOLDER --quick --jobs 2
    python examples/benchmark.py --data FOLDER --trials 20 --seeds 5 --jobs 2 --out results

FOLDER has a folder with ``events.csv.gz`` for each data set; without it the log is synthetic. Every run is a process
of its own with one thread, written down as it ends: start the same command again, and a benchmark that was killed goes
on where it was. What comes out: ``results.md``, ``accuracy.png``, ``speed.png``, ``memory.png``, ``runs.csv``.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from benchmarking import logs
from benchmarking.contestants import CONTESTANTS, HONEST, QUICK, REFERENCE
from benchmarking.figures import draw_all
from benchmarking.report import circumstances, written
from benchmarking.runs import FINAL, Book, Run, plan, run_all
from benchmarking.summary import lines_of
from benchmarking.tuning import best, trials_of


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="of folders with events.csv.gz, one a data set")
    parser.add_argument("--logs", nargs="+", metavar="NAME", help="data sets; by default all known ones in the folder")
    parser.add_argument("--models", nargs="+", default=HONEST, choices=tuple(CONTESTANTS), metavar="MODEL")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each model in which chance plays a part")
    parser.add_argument("--trials", type=int, default=0, help="of tuning, for each model; 0 takes the defaults")
    parser.add_argument("--epochs", type=int, help="of models that are trained; else each model's own default")
    parser.add_argument("--jobs", type=int, default=1, help="runs side by side")
    parser.add_argument("--out", type=Path, default=Path("benchmark_results"), metavar="FOLDER")
    parser.add_argument("--retry", action="store_true", help="do runs again that have failed")
    parser.add_argument("--quick", action="store_true", help=f"the defaults of {', '.join(QUICK)}")
    args = parser.parse_args(argv)
    if args.quick:
        args.models, args.trials = QUICK, 0
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    data = [logs.load(name, args.data) for name in args.logs or logs.names_in(args.data)]
    book, models = Book(args.out, args.retry), {name: CONTESTANTS[name] for name in args.models}

    tried = {
        (log.name, name): trials_of(log, name, model, args.trials, args.epochs)
        for log in data
        for name, model in models.items()
    }
    run_all([run for trials in tried.values() for _, run in trials], book, args.jobs)

    runs: dict[str, Mapping[str, list[Run]]] = {}
    for log in data:
        runs[log.name] = {}
        for name, model in models.items():
            chosen = best(tried[log.name, name], book)
            seeds = range(args.seeds if model.seeded else 1)
            settled = [model.settled(seed, args.epochs, **chosen) for seed in seeds]
            runs[log.name][name] = [plan(log, FINAL, name, model, *one) for one in enumerate(settled)]
    run_all([run for of_log in runs.values() for mine in of_log.values() for run in mine], book, args.jobs)

    lines = {name: lines_of(of_log, book, REFERENCE) for name, of_log in runs.items()}
    dishonest = [name for name, model in models.items() if not model.honest]
    tuned = {log.name: {name: best(tried[log.name, name], book) for name in models} for log in data}
    text = written(lines, {log.name: log.final.about for log in data}, REFERENCE, dishonest, tuned)
    drawn = draw_all(lines, {name: model.family for name, model in models.items()}, args.out)
    pictures = "\n".join(f"![{path.stem}]({path.name})" for path in drawn)
    budget = f"{args.trials} trials for each model, {args.seeds} seeds."
    told = f"{circumstances('benchmark', argv)}\n\n{budget}\n\n{text}\n\n{pictures}\n"
    (args.out / "results.md").write_text(told)
    print(told)


if __name__ == "__main__":
    main()
