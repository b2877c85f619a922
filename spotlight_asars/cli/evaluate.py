"""``evaluate``: a model file and test events give metrics."""

from __future__ import annotations

import argparse

from spotlight_asars import to_sessions
from spotlight_asars._checks import require
from spotlight_asars.cli.answers import Answer, table
from spotlight_asars.cli.arguments import add_cuda, add_events, add_model, add_sessions, whole_numbers
from spotlight_asars.cli.reading import read_log, read_model
from spotlight_asars.evaluation import evaluate

PURPOSE = "rank the next items of test sessions with a model, and give the metrics"
EPILOG = """\
All items that the model knows are ranked. Events of others are dropped, and counted; users that it does not know stay,
without a history.

example:
  spotlight-asars evaluate test.parquet --model shop.safetensors -k 5,20 --roll-history
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_events(parser)
    add_model(parser, "to read")
    add_sessions(parser)
    parser.add_argument(
        "-k", type=whole_numbers, default=[10, 20], metavar="N,N", help="cut-offs of the metrics; default 10,20"
    )
    parser.add_argument(
        "--positions",
        choices=("every", "last"),
        default="every",
        help="every position after the first, or each session's last; default every",
    )
    parser.add_argument(
        "--roll-history", action="store_true", help="let later test sessions of a user see the earlier ones"
    )
    parser.add_argument("--by", choices=("kind",), help="report on the targets of each kind as well; needs --kind")
    parser.add_argument(
        "--ask-kinds", action="store_true", help="ask for each target as one of its own kind; needs --kind"
    )
    parser.add_argument("--lists", action="store_true", help="also coverage, novelty and tail of what is recommended")
    parser.add_argument("--category", metavar="COL", help="with --lists: category of the item, for the diversity")
    add_cuda(parser)


def run(args: argparse.Namespace) -> Answer:
    """Run the command."""
    require(args.lists or args.category is None, "--category must come with --lists", args.category)
    for name, given in (("--by", args.by), ("--ask-kinds", args.ask_kinds)):
        require(not given or args.kind is not None, f"{name} must come with --kind, the column of the kinds", given)
    model = read_model(args)
    log = read_log(args, model).encode_like(model)
    sessions = to_sessions(log, args.inactivity, args.max_length)
    categories = log if args.category is not None else None
    report = evaluate(
        model,
        sessions,
        args.k,
        args.positions,
        args.roll_history,
        lists=args.lists,
        categories=categories,
        by=args.by,
        ask_kinds=args.ask_kinds,
    )
    parts = report.by if args.by is not None else {}
    rows = [("metric", "value", *map(str, parts))]
    rows += [
        (name, f"{value:.4f}", *(f"{part[name]:.4f}" if name in part else "" for part in parts.values()))
        for name, value in report.items()
    ]
    summary = (
        f"{args.positions} position of {len(sessions):,} sessions, {len(report.ranks):,} targets, each among "
        f"{model.num_items - 1:,} items; {log.dropped.events:,} events of unknown items dropped"
    )
    data = {
        "metrics": dict(report),
        "by": {str(name): {**part, "targets": len(part.ranks)} for name, part in parts.items()},
        "positions": args.positions,
        "sessions": len(sessions),
        "targets": len(report.ranks),
        "items": model.num_items - 1,
        "dropped": log.dropped,
    }
    return Answer(f"{table(rows)}\n{summary}", data)
