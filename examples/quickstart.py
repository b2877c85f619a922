"""From a click log to ranked items: train ASARS beside its GRU4REC baseline, and compare them on the latest sessions.

ASARS is the model as it comes, with both memories; time_user puts the paper's network under them, in the place of the
plain recurrent one, which is all that GRU4REC has.

    python examples/quickstart.py
    python examples/quickstart.py --events clicks.csv.gz --user visitor --item sku --timestamp unix_time

Without ``--events`` the log is synthetic, with a user effect and a dwell effect planted in it.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np
import torch

import spotlight_asars
from spotlight_asars import ASARSSequenceModel, EventLog, to_sessions
from spotlight_asars.datasets.synthetic import generate_sessions
from spotlight_asars.evaluation import evaluate

MODELS: dict[str, dict[str, object]] = {
    "GRU4REC": {
        "representation": "gru4rec",
        **dict.fromkeys(("history", "transitions", "neighbours"), False),
        "item_neighbours": 0,
    },
    "time_user": {"representation": "time_user"},
    "ASARS": {},
}
SESSIONS_SHOWN = 3


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", metavar="FILE", help="csv, csv.gz or parquet file of one event a row")
    parser.add_argument("--user", default="user_id", metavar="COL", help="who; a session id where users are unknown")
    parser.add_argument("--item", default="item_id", metavar="COL", help="what")
    parser.add_argument("--timestamp", default="timestamp", metavar="COL", help="when: seconds, or dates and times")
    parser.add_argument("--dwell", metavar="COL", help="measured seconds on the item; else the gap to the next event")
    parser.add_argument("--keep-repeats", action="store_true", help="do not join runs of one item into one event")
    parser.add_argument("--last-dwell", choices=["unknown", "observed"], default="unknown", help="see the README")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cuda", action="store_true", help="train on the GPU")
    return parser.parse_args(argv)


def read_log(args: argparse.Namespace) -> EventLog:
    if args.events is None:
        return generate_sessions(random_state=args.seed)
    log = EventLog.read(args.events, args.user, args.item, args.timestamp, dwell=args.dwell)
    print(f"read {args.events}: {log}")
    if not args.keep_repeats:
        log = log.collapse_repeats()
    return log.filter_support(item=5, session=2)


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    log = read_log(args)
    train_log, test_log = log.split_by_time(test_fraction=0.15)
    train, test = to_sessions(train_log), to_sessions(test_log)
    print(f"train {train_log}, {len(train)} sessions")
    dropped = f"of unknown items or users: {test_log.dropped.events} events dropped"
    print(f"test  {test_log}, {len(test)} sessions; {dropped}")

    rows, models = [], {}
    for name, options in MODELS.items():
        print(f"\n{name}", file=sys.stderr)
        start = time.perf_counter()
        fixed = {"n_iter": args.epochs, "last_dwell": args.last_dwell, "use_cuda": args.cuda, "random_state": args.seed}
        models[name] = ASARSSequenceModel(**options, **fixed).fit(train, verbose=True)
        report = evaluate(models[name], test, k=20)
        rows.append((name, report["mrr@20"], report["recall@20"], time.perf_counter() - start))

    print(f"\n{'model':10}{'MRR@20':>8}{'Recall@20':>11}{'seconds':>9}")
    for name, mrr, recall, seconds in rows:
        print(f"{name:10}{mrr:8.4f}{recall:11.4f}{seconds:9.1f}")
    print(
        f"every position after the first, all {train.num_items - 1} items ranked; {args.epochs} epochs, "
        f"seed {args.seed}, last dwell {args.last_dwell}, {spotlight_asars.SPOTLIGHT} Spotlight, "
        f"torch {torch.__version__}, numpy {np.__version__}"
    )

    print("\nwhat ASARS recommends next")
    best = models["ASARS"].recommend(test, k=5)
    for session in range(min(SESSIONS_SHOWN, len(test))):
        viewed = test.items[test.offsets[session] : test.offsets[session + 1]]
        raw_viewed, raw_best = (
            test_log.item_vocabulary.decode(viewed),
            test_log.item_vocabulary.decode(best.items[session]),
        )
        print(f"  after {' '.join(map(str, raw_viewed))}: {', '.join(map(str, raw_best))}")


if __name__ == "__main__":
    main()
