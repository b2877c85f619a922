"""The honest benchmark: every model on every data set, tuned alike, with what it costs.

    python examples/benchmark.py --data FOLDER --quick --jobs 2
    python examples/benchmark.py --data FOLDER --trials 20 --seeds 5 --jobs 2 --out results

FOLDER has a folder with ``events.csv.gz`` for each data set; without it the log is synthetic. Every run is a process
of its own with one thread, written to a file as it ends: start the same command again, and a benchmark that was killed
goes on where it was. It writes ``results.md``, ``runs.csv`` and figures of accuracy, speed and memory. ``sasrec`` needs
the extra of that name, and may be run in an environment of its own into the same folder.

Models are ``BASELINES``; ``gru4rec``, our own net without channels, which all are compared with; the paper's variants
without the memories, under the paper's names, and our transformers; ``NAME+memories``, each of these with all memories;
and ``NAME+observed``, which sees the dwell of the last viewed item, as in the paper, and so wins no comparison: that
dwell ends with the very click that is to be predicted.
"""

from __future__ import annotations

import argparse
import inspect

from benchmarking.figures import draw_all
from benchmarking.results import page, publish, summarise
from benchmarking.runs import SPACES, Contestant, add_arguments, compete

from spotlight_asars import ASARSSequenceModel
from spotlight_asars.baselines import BASELINES

REFERENCE = "gru4rec"
BY_USER, BY_TIME = ("user_att", "user_cat", "dynamics"), ("time_att", "time_cat", "time_user", "time_dynamics")
TRANSFORMERS = ("transformer", "time_transformer")
VARIANTS = (REFERENCE, *BY_USER, *BY_TIME, *TRANSFORMERS)


def baseline(name: str) -> Contestant:
    """A baseline with its defaults."""
    options = inspect.signature(BASELINES[name]).parameters
    family = "other nets" if "random_state" in options else "counted"
    spaces = [space for space in ("nets", name) if space in SPACES and (space == name or "representation" in options)]
    return Contestant(BASELINES[name], family=family, spaces=spaces)


def variant(name: str, memories: bool, last_dwell: str = "unknown") -> Contestant:
    """A variant of the paper, or a transformer, with all memories and the item graph, or with none of them."""
    options = {"representation": name, "last_dwell": last_dwell}
    options |= dict.fromkeys(("history", "transitions", "neighbours"), memories)
    options |= {} if memories else {"item_neighbours": 0}
    family = "ASARS with memories" if memories else "other nets" if name == REFERENCE else "ASARS"
    channels = {"users": "user" in name or "dynamics" in name, "dwell": name in BY_TIME, "memories": memories}
    spaces, honest = ["nets", *(channel for channel, has in channels.items() if has)], last_dwell == "unknown"
    return Contestant(
        ASARSSequenceModel, options, family if honest else "sees the last dwell", spaces=spaces, honest=honest
    )


CONTESTANTS: dict[str, Contestant] = {
    **{name: baseline(name) for name in BASELINES},
    **{name: variant(name, memories=False) for name in VARIANTS},
    **{f"{name}+memories": variant(name, memories=True) for name in VARIANTS},
    **{f"{name}+observed": variant(name, memories=False, last_dwell="observed") for name in BY_TIME},
}
HONEST = tuple(name for name, model in CONTESTANTS.items() if model.honest)
COUNTED = tuple(name for name, model in CONTESTANTS.items() if model.family == "counted")
QUICK = (*COUNTED, REFERENCE, f"{REFERENCE}+memories", "time_user+memories")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser, out="benchmark_results")
    parser.add_argument("--models", nargs="+", choices=tuple(CONTESTANTS), metavar="MODEL", help=", ".join(CONTESTANTS))
    parser.add_argument("--quick", action="store_true", help=f"without tuning, {', '.join(QUICK)}")
    args = parser.parse_args(argv)
    args.trials = 0 if args.quick else args.trials
    models = {name: CONTESTANTS[name] for name in args.models or (QUICK if args.quick else HONEST)}

    abouts, runs = compete(models, args)
    summaries = {data: summarise(mine) for data, mine in runs.groupby("data", sort=False)}
    draw_all(summaries, {name: model.family for name, model in models.items()}, args.out)
    publish("benchmark", argv, page(abouts, summaries, REFERENCE, [*{*models} - {*HONEST}]), runs, args)


if __name__ == "__main__":
    main()
