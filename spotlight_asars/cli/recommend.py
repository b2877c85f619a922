"""``recommend``: a model file and what was viewed give the items to come, raw ids in and out."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from spotlight_asars import ASARSSequenceModel
from spotlight_asars._checks import require
from spotlight_asars.cli.answers import Answer, plain, table
from spotlight_asars.cli.arguments import USER, UsageError, add_cuda, add_events, add_inactivity, add_model
from spotlight_asars.cli.reading import read_ids, read_log, read_model, read_rules
from spotlight_asars.cli.writing import TABLES, check_place, write_table

PURPOSE = "recommend the next items of sessions"
EPILOG = """\
What was viewed is a file of events, of which each session gets its own items, or one session as --items. Items that the
model does not know are skipped, users that it does not know have no history. With --items, --user is the user's id and
not a column, by default an unknown user's.

examples:
  spotlight-asars recommend --model shop.safetensors --items A17,B4 --user ann -k 5
  spotlight-asars recommend today.csv --model shop.safetensors --output next.parquet --exclude-seen session
  spotlight-asars recommend --model shop.safetensors --items A17,B4 --exclude C3 --boosts D1=0.5,D2=-1
"""
SEEN = {"no": False, "session": "session", "history": "history"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_events(parser, optional=True)
    add_model(parser, "to read")
    parser.add_argument("--items", metavar="ID,ID", help="items of one session, oldest first, instead of EVENTS")
    parser.set_defaults(user=None)
    add_inactivity(parser)
    parser.add_argument("-k", type=int, default=20, metavar="N", help="items for each session; default 20")
    parser.add_argument("--next-kind", metavar="KIND", help="ask for a next event of this kind; default any")
    parser.add_argument(
        "--exclude-seen",
        choices=tuple(SEEN),
        default="no",
        help="leave out what was viewed in the session, or by the user in any; default no",
    )
    rules = parser.add_argument_group("rules")
    rules.add_argument("--candidates", metavar="ID,ID", help="recommend these only; default all items")
    rules.add_argument("--exclude", metavar="ID,ID", help="never recommend these")
    rules.add_argument("--boosts", metavar="ID=X,ID=X", help="add X to the score of an item")
    rules.add_argument(
        "--rules",
        type=Path,
        metavar="FILE",
        help="json file of candidates, exclude and boosts instead; the first two may be a list for each session",
    )
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="csv, csv.gz, parquet or json; default a table on stdout"
    )
    add_cuda(parser)


def run(args: argparse.Namespace) -> Answer:
    """Run the command."""
    if (args.events is None) == (args.items is None):
        raise UsageError("recommend must have either EVENTS or --items")
    check_place(args.output, "--output", (*TABLES, ".json"))
    model = read_model(args)
    require(
        model.item_vocabulary is not None, "--model must know raw ids, as one that train wrote does", str(args.model)
    )
    options: dict[str, Any] = {"k": args.k, "exclude_seen": SEEN[args.exclude_seen], "raw": True}
    if args.next_kind is not None:
        options["kind"] = read_ids([args.next_kind], model.kind_vocabulary, "--next-kind")[0]
    options |= read_rules(args, model.item_vocabulary)
    best = _of_items(args, model, options) if args.items is not None else _of_events(args, model, options)
    columns = {name: plain(column) for name, column in best.columns().items()}
    unknown, in_rules = best.unknown, best.unknown_in_rules
    skipped = f"unknown to the model: {unknown.events} events of {unknown.items} items; {unknown.users} users"
    if any(in_rules):
        counts = ", ".join(f"{number} of {name}" for name, number in in_rules._asdict().items() if number)
        skipped = f"{skipped}; items in rules: {counts}"
    data = {"unknown": unknown._asdict(), "unknown_in_rules": in_rules._asdict()}
    if args.output is not None:
        write_table(best.columns(), args.output)
        rows = f"{len(columns['rank']):,} recommendations for {len(best.items):,} sessions in {args.output}"
        return Answer(f"{rows}\n{skipped}", {"file": str(args.output), "sessions": len(best.items), **data})
    rows_of = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    if not args.json and (any(unknown) or any(in_rules)):
        print(skipped, file=sys.stderr)
    shown = [tuple(columns), *((*row[:-1], f"{row[-1]:.4f}") for row in zip(*columns.values(), strict=True))]
    return Answer(table(shown), {"recommendations": rows_of, **data})


def _of_items(args: argparse.Namespace, model: ASARSSequenceModel, options: dict[str, Any]) -> Any:
    items = read_ids(args.items.split(",") if args.items else [], model.item_vocabulary, "--items")
    user = None if args.user is None else read_ids([args.user], model.user_vocabulary, "--user")
    return model.recommend([items], user_ids=user, **options)


def _of_events(args: argparse.Namespace, model: ASARSSequenceModel, options: dict[str, Any]) -> Any:
    args.user = args.user or USER
    return model.recommend(read_log(args, model), inactivity=args.inactivity, **options)
