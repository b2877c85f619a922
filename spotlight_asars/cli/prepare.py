"""``prepare``: a raw log becomes train and test files, or one folder of sessions where it does not fit into memory."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from spotlight_asars.cli.answers import Answer
from spotlight_asars.cli.arguments import UsageError, add_events, add_inactivity
from spotlight_asars.cli.reading import read_log
from spotlight_asars.cli.writing import TABLES, check_place, write_log
from spotlight_asars.events.reading import scan_frame
from spotlight_asars.preparation import LazyLog

PURPOSE = "filter a raw log, and write its earlier sessions to train on and its latest to test on"
EPILOG = """\
The files have the columns user_id, item_id, timestamp, dwell_seconds, session_number and, if given, category, kind and
those of the context: dwell and sessions as recorded, also where events between were filtered out. Parquet keeps ids in
their type, csv does not.

With --sessions the log may be larger than memory; there is no split, and the folder is what train takes.

examples:
  spotlight-asars prepare clicks.csv.gz --user visitor --item sku --timestamp unix_time \\
      --train train.parquet --test test.parquet
  spotlight-asars prepare --dataset movielens-1m ml-1m.zip --keep-repeats --train train.parquet --test test.parquet
  spotlight-asars prepare year.parquet --sessions year_sessions
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_events(parser, datasets=True)
    parser.add_argument("--train", type=Path, metavar="FILE", help="write training events here: csv, csv.gz, parquet")
    parser.add_argument("--test", type=Path, metavar="FILE", help="write test events here: csv, csv.gz, parquet")
    parser.add_argument("--sessions", type=Path, metavar="FOLDER", help="write all sessions into this new folder")
    add_inactivity(parser)
    parser.add_argument("--keep-repeats", action="store_true", help="do not join runs of one item into one event")
    parser.add_argument("--item-support", type=int, default=5, metavar="N", help="events per item at least; default 5")
    parser.add_argument(
        "--session-support", type=int, default=2, metavar="N", help="events per session at least; default 2"
    )
    parser.add_argument(
        "--user-support", type=int, default=1, metavar="N", help="sessions per user at least; default 1"
    )
    parser.add_argument(
        "--test-fraction", type=float, default=0.15, metavar="SHARE", help="of the sessions, 0..1; default 0.15"
    )
    parser.add_argument(
        "--unknown-users",
        choices=("auto", "drop", "keep"),
        default="auto",
        help="test users without a training session; default auto: drop them, unless users hardly ever return",
    )


def run(args: argparse.Namespace) -> Answer:
    """Run the command."""
    if args.sessions is not None:
        if args.train or args.test:
            raise UsageError("--sessions must stand without --train and --test, for there is no split")
        return _shards(args)
    if not (args.train and args.test):
        raise UsageError("prepare must have --train and --test, or --sessions")
    check_place(args.train, "--train", TABLES)
    check_place(args.test, "--test", TABLES)
    log = read_log(args)
    read = len(log)
    if not args.keep_repeats:
        log = log.collapse_repeats(args.inactivity)
    log = log.filter_support(args.item_support, args.session_support, args.user_support, args.inactivity)
    train, test = log.split_by_time(args.test_fraction, args.inactivity, args.unknown_users)
    for part, path in ((train, args.train), (test, args.test)):
        write_log(part, args.inactivity, path)
    sizes = {
        name: {
            "file": str(path),
            "events": len(part),
            "sessions": int(part.session_ids(args.inactivity)[-1]) + 1,
            "users": len({*part.user_ids.tolist()}),
            "items": len({*part.item_ids.tolist()}),
        }
        for name, part, path in (("train", train, args.train), ("test", test, args.test))
    }
    lines = [f"read {read:,} events; {len(log):,} left after joining repeats and asking for support"]
    for name, size in sizes.items():
        counts = ", ".join(f"{size[what]:,} {what}" for what in ("events", "sessions", "users", "items"))
        lines.append(f"{name:5} {counts} in {size['file']}")
    lines.append(f"test events dropped, of items or users unknown to train: {test.dropped.events:,}")
    return Answer("\n".join(lines), {"read": read, "kept": len(log), **sizes, "dropped": test.dropped})


def _shards(args: argparse.Namespace) -> Answer:
    given = [name for name in ("dataset", "category", "session") if getattr(args, name)]
    if given or not args.events:
        raise UsageError(f"--sessions must come with EVENTS and without --{', --'.join(given or ['dataset'])}")
    columns = {"user": args.user, "item": args.item, "timestamp": args.timestamp, "dwell": args.dwell}
    columns |= {"kind": args.kind} | {f"context {place}": name for place, name in enumerate(args.context)}
    log = LazyLog.from_frame(
        scan_frame(args.events, columns, [args.user, args.item] if args.text_ids else []),
        args.user,
        args.item,
        args.timestamp,
        args.dwell,
        inactivity=args.inactivity,
        unit=args.unit,
        kind=args.kind,
        context=args.context,
    )
    if not args.keep_repeats:
        log = log.collapse_repeats()
    log = log.filter_support(args.item_support, args.session_support, args.user_support)
    shards = log.write_sessions(args.sessions)
    sizes: dict[str, Any] = {
        "folder": str(args.sessions),
        "shards": len(shards),
        "sessions": shards.num_sessions,
        "events": shards.num_events,
        "users": shards.num_users,
        "items": shards.num_items - 1,
    }
    counts = ", ".join(f"{sizes[what]:,} {what}" for what in ("shards", "sessions", "events", "users", "items"))
    return Answer(f"{counts} in {sizes['folder']}", sizes)
