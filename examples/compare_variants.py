"""Every variant of the paper on one log: the same budget, several seeds, the last dwell unknown and observed.

    python examples/compare_variants.py --events clicks.csv.gz --seeds 3 --jobs 2

Without ``--events`` the log is synthetic, with effects planted for each channel.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from joblib import Parallel, delayed

from spotlight_asars import ASARSSequenceModel, SessionInteractions, to_sessions
from spotlight_asars.datasets.synthetic import generate_sessions
from spotlight_asars.evaluation import evaluate
from spotlight_asars.events import EventLog

BY_TIME = ("time_att", "time_cat", "time_user", "time_dynamics")
VARIANTS = ("gru4rec", "user_att", "user_cat", "dynamics", *BY_TIME)


def score(
    train: SessionInteractions, test: SessionInteractions, variant: str, last_dwell: str, seed: int, epochs: int
) -> tuple[float, float, float]:
    """MRR@20, Recall@20 and seconds of one model."""
    torch.set_num_threads(1)
    start = time.perf_counter()
    model = ASARSSequenceModel(representation=variant, last_dwell=last_dwell, n_iter=epochs, random_state=seed)
    report = evaluate(model.fit(train), test, k=20, roll_history=True)
    return report["mrr@20"], report["recall@20"], time.perf_counter() - start


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", metavar="FILE", help="csv, csv.gz or parquet file of one event a row")
    parser.add_argument("--dwell", metavar="COL", help="measured seconds on the item; else the gap to the next event")
    parser.add_argument("--keep-repeats", action="store_true", help="do not join runs of one item into one event")
    parser.add_argument("--variants", nargs="+", default=VARIANTS, choices=VARIANTS)
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

    rows = [(v, d) for v in args.variants for d in (("unknown", "observed") if v in BY_TIME else ("unknown",))]
    runs = [(*row, seed) for row in rows for seed in range(args.seeds)]
    found = Parallel(n_jobs=args.jobs)(delayed(score)(train, test, *run, args.epochs) for run in runs)
    print(f"{'variant':14}{'last dwell':>11}{'MRR@20':>17}{'Recall@20':>17}{'seconds':>9}")
    for row, scores in zip(rows, np.reshape(found, (len(rows), args.seeds, 3)), strict=True):
        (mrr, recall, seconds), (mrr_spread, recall_spread, _) = scores.mean(axis=0), scores.std(axis=0)
        dwell = row[1] if row[0] in BY_TIME else "-"
        print(f"{row[0]:14}{dwell:>11}", end="")
        print(f"{mrr:10.4f} ±{mrr_spread:.4f}{recall:10.4f} ±{recall_spread:.4f}{seconds:9.1f}")


if __name__ == "__main__":
    main()
