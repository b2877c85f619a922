"""A catalogue that lives: fit on the first weeks, update every night, refit a little every week, day by day on record.

Every day three models are asked for the next item at each position of the day's sessions, from the second on:

- "stays" is fitted once, and never hears of what comes later;
- "nightly" is the same at first; every night ``update`` adds the day's sessions to its memories, with new items and
  users, and every ``--refit`` nights it is trained for ``--epochs-more`` epochs on all sessions so far;
- "anew" is trained from scratch on all sessions so far, every ``--anew`` nights.

    python examples/nightly.py
    python examples/nightly.py --events clicks.csv.gz --user visitor --item sku --timestamp unix_time --weeks 4

An item that a model does not know can't be recommended by it: such a target counts as a miss. Without ``--events`` the
log is synthetic, and half of its items come one by one.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from spotlight_asars import ASARSSequenceModel, EventLog, SessionInteractions, to_sessions
from spotlight_asars.datasets.synthetic import generate_sessions
from spotlight_asars.evaluation import evaluate
from spotlight_asars.events import DAY

MODELS = ("stays", "nightly", "anew")


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", metavar="FILE", help="csv, csv.gz or parquet file of one event a row")
    parser.add_argument("--user", default="user_id", metavar="COL", help="who; a session id where users are unknown")
    parser.add_argument("--item", default="item_id", metavar="COL", help="what")
    parser.add_argument("--timestamp", default="timestamp", metavar="COL", help="when: seconds, or dates and times")
    parser.add_argument("--weeks", type=int, default=1, help="to fit on before the first night")
    parser.add_argument("--nights", type=int, default=14)
    parser.add_argument("--refit", type=int, default=7, metavar="NIGHTS", help="between two refits")
    parser.add_argument("--anew", type=int, default=1, metavar="NIGHTS", help="between two models trained from scratch")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--epochs-more", type=int, default=2, help="of a refit")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(argv)


def read_log(args: argparse.Namespace) -> EventLog:
    if args.events is not None:
        return EventLog.read(args.events, args.user, args.item, args.timestamp).collapse_repeats()
    log = generate_sessions(random_state=args.seed)
    arrival = np.random.RandomState(args.seed).uniform(-20, 20, log.num_items) * DAY  # half of them are there already
    return part(log, log.timestamps >= arrival[log.item_ids])


def part(log: EventLog, events: np.ndarray) -> EventLog:
    """Some events of a log, with raw ids, and with no id for what is not in them."""
    columns = log.user_ids[events], log.item_ids[events], np.asarray(log.timestamps)[events]
    names = {"user_vocabulary": log.user_vocabulary, "item_vocabulary": log.item_vocabulary}
    kept = EventLog(*columns, dwell_times=log.dwell_times()[events], sessions=log.session_ids()[events], **names)
    return kept.filter_support(item=1, session=1)


def day_of_events(log: EventLog) -> np.ndarray:
    """The day on which the session of each event ends, int64 (events,), from 0."""
    sessions = log.session_ids()
    last = np.flatnonzero(np.diff(sessions, append=sessions[-1] + 1))
    days = (np.asarray(log.timestamps)[last] // DAY).astype(np.int64)
    return (days - days.min())[sessions]


def sessions_of(log: EventLog, model: ASARSSequenceModel | None, grow: bool = True) -> SessionInteractions:
    """Sessions in the ids of a model."""
    return to_sessions(log if model is None else log.encode_like(model, grow=grow), min_sequence_length=1)


def reciprocal_ranks(model: ASARSSequenceModel, day: EventLog) -> tuple[float, int]:
    """Sum of 1 / rank down to place 20, and number of targets, those that the model does not know among them."""
    targets = int((sessions_of(day, None).lengths - 1).sum())
    if not np.isin(day.item_vocabulary.raw, model.item_vocabulary.raw).any():
        return 0.0, targets
    known = sessions_of(day, model, grow=False)
    if known.lengths.max() < 2:
        return 0.0, targets
    report = evaluate(model, known, k=20)
    return report["mrr@20"] * len(report.ranks), targets


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    log = read_log(args)
    days = day_of_events(log)
    print(f"{log}, {days.max() + 1} days; fitted on the first {7 * args.weeks}")
    so_far = part(log, days < 7 * args.weeks)
    options = {"n_iter": args.epochs, "random_state": args.seed}
    models = {name: ASARSSequenceModel(**options).fit(sessions_of(so_far, None)) for name in MODELS}
    seconds, found, targets = dict.fromkeys(MODELS, 0.0), dict.fromkeys(MODELS, 0.0), 0

    print(f"\n{'day':>4}{'targets':>9}{'new items':>11}" + "".join(f"{name:>9}" for name in MODELS) + "   MRR@20")
    for night, day in enumerate(np.unique(days[days >= 7 * args.weeks])[: args.nights], start=1):
        today, so_far = part(log, days == day), part(log, days <= day)
        scores = {name: reciprocal_ranks(model, today) for name, model in models.items()}
        number = scores["stays"][1]
        new = len(sessions_of(today, models["stays"]).item_vocabulary or ()) - models["stays"].num_items + 1
        line = "".join(f"{scores[name][0] / max(number, 1):9.4f}" for name in MODELS)
        print(f"{day:4}{number:9}{new:11}{line}", flush=True)
        targets += number
        for name in MODELS:
            found[name] += scores[name][0]
        start = time.process_time()
        models["nightly"].update(sessions_of(today, models["nightly"]))
        if night % args.refit == 0:
            models["nightly"].fit(sessions_of(so_far, models["nightly"]), n_iter=args.epochs_more)
        seconds["nightly"] += time.process_time() - start
        if night % args.anew == 0:
            start = time.process_time()
            models["anew"] = ASARSSequenceModel(**options).fit(sessions_of(so_far, None))
            seconds["anew"] += time.process_time() - start
    print(f"{'all':>4}{targets:9}{'':11}" + "".join(f"{found[name] / max(targets, 1):9.4f}" for name in MODELS))
    print(f"{'CPU seconds a night':24}" + "".join(f"{seconds[name] / args.nights:9.2f}" for name in MODELS))


if __name__ == "__main__":
    main()
