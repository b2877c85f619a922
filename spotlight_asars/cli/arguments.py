"""Arguments that several commands have."""

from __future__ import annotations

import argparse
from pathlib import Path

from spotlight_asars.datasets import DATASETS
from spotlight_asars.events import HOUR
from spotlight_asars.events.times import PER_SECOND

USER, ITEM, TIMESTAMP = "user_id", "item_id", "timestamp"  # columns by default
DWELL, SESSION = "dwell_seconds", "session_number"  # columns that prepare writes, and that are read where they are

KIND = "kind"  # column of kinds that prepare writes


class UsageError(ValueError):
    """The command line is wrong, whatever is in the files."""


def add_events(parser: argparse.ArgumentParser, datasets: bool = False, optional: bool = False) -> None:
    """Add the log, its columns, and with `datasets` the published data sets."""
    what = "csv or parquet file of one event a row, packed or not, a folder of these, or a pattern"
    nargs = "?" if datasets or optional else None
    if datasets:
        what += "; with --dataset its published file or folder, by default where downloads are kept"
    parser.add_argument("events", metavar="EVENTS", nargs=nargs, help=what)
    group = parser.add_argument_group("columns")
    group.add_argument("--user", default=USER, metavar="COL", help=f"who, or a session id; default {USER}")
    group.add_argument("--item", default=ITEM, metavar="COL", help=f"what; default {ITEM}")
    group.add_argument(
        "--timestamp", default=TIMESTAMP, metavar="COL", help=f"when, in numbers or as dates; default {TIMESTAMP}"
    )
    group.add_argument(
        "--unit",
        choices=(*PER_SECOND, "auto"),
        default="s",
        help="unit of timestamps that are numbers; auto: by their size; default s",
    )
    group.add_argument(
        "--dwell", metavar="COL", help=f"seconds on the item; default {DWELL} if there, else the gap to the next event"
    )
    group.add_argument(
        "--session",
        metavar="COL",
        help=f"which of the user's sessions; default {SESSION} if there, else cut by --inactivity",
    )
    group.add_argument("--kind", metavar="COL", help="kind of the event, such as view, cart and buy; default none")
    group.add_argument(
        "--context",
        type=names,
        default=(),
        metavar="COL,COL",
        help="what is known of a session, such as its device and country; default nothing",
    )
    if datasets:
        group.add_argument("--category", metavar="COL", help="category of the item; default none")
        group.add_argument("--dataset", choices=sorted(DATASETS), help="EVENTS is of this published data set")
        group.add_argument("--partial", action="store_true", help="with --dataset: its file may be a part of it")
    group.add_argument("--text-ids", action="store_true", help="ids of a csv file are text, even if all are integers")


def add_inactivity(parser: argparse.ArgumentParser) -> None:
    """Add what ends a session."""
    parser.add_argument(
        "--inactivity",
        type=float,
        default=HOUR,
        metavar="SECONDS",
        help=f"what ends a session; default {HOUR:g} s",
    )


def add_sessions(parser: argparse.ArgumentParser) -> None:
    """Add how events become rows of sessions."""
    add_inactivity(parser)
    parser.add_argument(
        "--max-length", type=int, default=50, metavar="N", help="events of a row; longer sessions are cut; default 50"
    )


def add_model(parser: argparse.ArgumentParser, purpose: str) -> None:
    """Add the model file."""
    parser.add_argument("--model", type=Path, required=True, metavar="FILE", help=f"model file (safetensors) {purpose}")


def add_cuda(parser: argparse.ArgumentParser) -> None:
    """Add the choice of the device."""
    parser.add_argument("--cuda", action="store_true", help="run on the GPU; default on the CPU")


def names(text: str) -> tuple[str, ...]:
    """The names of "device,country".

    >>> names("device,country")
    ('device', 'country')
    """
    return tuple(name for name in text.split(",") if name)


def whole_numbers(text: str) -> list[int]:
    """The numbers of "10,20".

    >>> whole_numbers("10,20")
    [10, 20]
    """
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be whole numbers with commas between them; got {text!r}") from None
