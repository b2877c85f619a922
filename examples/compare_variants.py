"""Every variant of the paper on one log, with and without the memories: the same budget, several seeds.

    python examples/compare_variants.py --events clicks.csv.gz --seeds 3 --jobs 2

Without ``--events`` the log is synthetic, with effects planted for each channel. The paper's variants are those of
memory "none". Two baselines of counts stand beside them, and the weights that the memories have learned below.
"""

from __future__ import annotations

import argparse
import time

import pandas as pd
import torch
from joblib import Parallel, delayed

from spotlight_asars import ASARSSequenceModel, SessionInteractions, to_sessions
from spotlight_asars.analysis.tables import text_table
from spotlight_asars.baselines import BASELINES
from spotlight_asars.datasets.synthetic import generate_sessions
from spotlight_asars.evaluation import evaluate
from spotlight_asars.events import EventLog

BY_TIME = ("time_att", "time_cat", "time_user", "time_dynamics")
VARIANTS = ("gru4rec", "user_att", "user_cat", "dynamics", *BY_TIME)
MEMORIES = {
    "none": {"history": False, "transitions": False, "neighbours": False},
    "history": {"history": True, "transitions": False, "neighbours": False},
    "both": {"history": True, "transitions": True, "neighbours": False},
}
BESIDE = ("sequential_rules", "vsknn")
METRICS = ("mrr@20", "recall@20")

Row = tuple[str, str, str]  # variant, memory, last dwell


def score(train: SessionInteractions, test: SessionInteractions, row: Row, seed: int, epochs: int) -> dict[str, float]:
    """Train and evaluate one model: its metrics, seconds and learned weights."""
    torch.set_num_threads(1)
    (variant, memory, last_dwell), start = row, time.perf_counter()
    if variant in BASELINES:
        model = BASELINES[variant]()
    else:
        options = {"last_dwell": last_dwell, "n_iter": epochs, "random_state": seed, **MEMORIES[memory]}
        model = ASARSSequenceModel(representation=variant, **options)
    report = evaluate(model.fit(train), test, k=20, roll_history=hasattr(model, "update"))
    weights = {} if variant in BASELINES else model.memory_weights()
    return {**report, "seconds": time.perf_counter() - start, **weights}


def rows_of(args: argparse.Namespace) -> list[Row]:
    dwells = {variant: args.last_dwell if variant in BY_TIME else ("unknown",) for variant in args.variants}
    trained = [(v, memory, dwell) for v in args.variants for memory in args.memories for dwell in dwells[v]]
    return [(name, "-", "-") for name in BESIDE] + trained


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", metavar="FILE", help="csv, csv.gz or parquet file of one event a row")
    parser.add_argument("--dwell", metavar="COL", help="measured seconds on the item; else the gap to the next event")
    parser.add_argument("--keep-repeats", action="store_true", help="do not join runs of one item into one event")
    parser.add_argument("--variants", nargs="+", default=VARIANTS, choices=VARIANTS)
    parser.add_argument("--memories", nargs="+", default=tuple(MEMORIES), choices=tuple(MEMORIES))
    parser.add_argument("--last-dwell", nargs="+", default=("unknown",), choices=("unknown", "observed"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=1, help="models trained side by side, one thread each")
    args = parser.parse_args(argv)

    if args.events is None:
        log = generate_sessions(num_sessions=3000, drift_effect=0.1, random_state=0)
    else:
        log = EventLog.read(args.events, dwell=args.dwell)
        log = (log if args.keep_repeats else log.collapse_repeats()).filter_support(item=5, session=2)
    train_log, test_log = log.split_by_time(test_fraction=0.15)
    train, test = to_sessions(train_log), to_sessions(test_log)
    print(f"train {train_log}, {len(train)} sessions\ntest  {test_log}, {len(test)} sessions")
    print(f"{args.epochs} epochs, {args.seeds} seeds, torch {torch.__version__}\n")

    rows = rows_of(args)
    runs = [(row, seed) for row in rows for seed in range(1 if row[0] in BASELINES else args.seeds)]
    results = Parallel(n_jobs=args.jobs)(delayed(score)(train, test, *run, args.epochs) for run in runs)
    table = pd.DataFrame(results, index=pd.MultiIndex.from_tuples([row for row, _ in runs]))
    means, spreads = (getattr(table.groupby(level=[0, 1, 2], sort=False), name)() for name in ("mean", "std"))
    shown = [
        [*row, *(f"{means.loc[row, name]:.4f} ±{spreads.fillna(0).loc[row, name]:.4f}" for name in METRICS), seconds]
        for row, seconds in means["seconds"].map("{:.1f}".format).items()
    ]
    print(text_table(["variant", "memory", "last dwell", *METRICS, "seconds"], shown))
    print("\nlearned weights, mean over the seeds")
    for row, learned in means.drop(columns=[*METRICS, "seconds"]).iterrows():
        if learned.notna().any():
            print(
                f"{row[0]:14}{row[1]:8}", ", ".join(f"{name} {value:.2f}" for name, value in learned.dropna().items())
            )


if __name__ == "__main__":
    main()
