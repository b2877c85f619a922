"""The honest benchmark: every model on every data set, tuned alike, with what it costs.

    python examples/benchmark.py --data FOLDER --quick --jobs 2
    python examples/benchmark.py --data FOLDER --trials 20 --seeds 5 --jobs 2 --out results

FOLDER has a folder with ``events.csv.gz`` for each data set; without it the log is synthetic. Every run is a process
of its own with one thread, written down as it ends: start the same command again, and a benchmark that was killed goes
on where it was. What comes out: ``results.md``, ``runs.csv`` and, with matplotlib, figures of accuracy, speed, memory.
``sasrec`` needs the extra of that name, and may be run in an environment of its own into the same folder.
"""

from __future__ import annotations

import argparse
from importlib.util import find_spec

from benchmarking.competition import add_arguments, compete, publish
from benchmarking.contestants import CONTESTANTS, HONEST, QUICK, REFERENCE
from benchmarking.figures import draw_all


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser, out="benchmark_results")
    parser.add_argument("--models", nargs="+", choices=tuple(CONTESTANTS), metavar="MODEL", help=", ".join(CONTESTANTS))
    parser.add_argument("--quick", action="store_true", help=f"without tuning, {', '.join(QUICK)}")
    args = parser.parse_args(argv)
    if args.quick:
        args.trials = 0
    models = {name: CONTESTANTS[name] for name in args.models or (QUICK if args.quick else HONEST)}

    results = compete(models, REFERENCE, args)
    families = {name: model.family for name, model in models.items()}
    pictures = draw_all(results.lines, families, args.out) if find_spec("matplotlib") else {}
    publish("benchmark", argv, results, models, REFERENCE, args, pictures=pictures)


if __name__ == "__main__":
    main()
