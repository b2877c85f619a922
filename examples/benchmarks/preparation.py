"""How fast does a log become sessions, beside the same steps written as group-bys of pandas?

Both go from a pandas table of events to sessions: cut at an hour without an event, dwell from the gaps, repeats
collapsed, items with 5 events and sessions with 2 kept to a fixed point, contiguous ids, rows of at most 50 events.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import pandas as pd
from click_log import click_log
from results import Result
from timing import Seconds, interleaved, peak_memory, print_circumstances, print_table

from spotlight_asars import EventLog, SessionInteractions, to_sessions

HOUR, ITEM_SUPPORT, SESSION_SUPPORT, LONGEST, SHORTEST = 3600, 5, 2, 50, 2
IDS = ("integers", "strings")
SMALL = {"events": 3_000, "repeats": 1}


def prepared(events: pd.DataFrame) -> SessionInteractions:
    """Sessions by ``EventLog``."""
    log = EventLog.from_frame(events).collapse_repeats(HOUR)
    log = log.filter_support(item=ITEM_SUPPORT, session=SESSION_SUPPORT, inactivity=HOUR)
    return to_sessions(log, HOUR, max_sequence_length=LONGEST, min_sequence_length=SHORTEST)


def prepared_by_group_bys(events: pd.DataFrame) -> pd.DataFrame:
    """Sessions by pandas: a row each, with its user, start, and lists of items and dwell."""
    events = events.sort_values(["user_id", "timestamp"], kind="stable")
    gap = events.groupby("user_id")["timestamp"].diff()
    events["session"] = (gap.isna() | (gap >= HOUR)).cumsum()
    events["dwell"] = -events.groupby("session")["timestamp"].diff(-1)
    run = (events["item_id"] != events.groupby("session")["item_id"].shift()).cumsum()
    dwell = events.groupby(run)["dwell"].sum(min_count=1)
    events = events[~run.duplicated()].assign(dwell=dwell.to_numpy())
    size = None
    while size != len(events):
        size = len(events)
        events = events[events.groupby("item_id")["item_id"].transform("size") >= ITEM_SUPPORT]
        events = events[events.groupby("session")["session"].transform("size") >= SESSION_SUPPORT]
    events = events.assign(
        user=pd.factorize(events["user_id"], sort=True)[0],
        item=pd.factorize(events["item_id"], sort=True)[0] + 1,
        window=events.groupby("session").cumcount(ascending=False) // LONGEST,
    )
    rows = events.groupby(["session", "window"], sort=False).agg(
        user=("user", "first"), started=("timestamp", "first"), items=("item", list), dwell=("dwell", list)
    )
    return rows[rows["items"].str.len() >= SHORTEST]


def compared(table: pd.DataFrame, repeats: int) -> dict[str, Seconds]:
    """Medians of both on one table."""
    return interleaved(
        {"EventLog": lambda: prepared(table), "group-bys": lambda: prepared_by_group_bys(table)},
        repeats,
    )


def measure(events: int = 10_000_000, repeats: int = 3) -> list[Result]:
    """Ratio and seconds, for integer ids and for strings."""
    results = []
    for ids in IDS:
        ours, theirs = compared(pd.DataFrame(click_log(events, text=ids == "strings")), repeats).values()
        what, shown = f"{events:,} events to sessions, {ids}", f"{ours.wall:.1f} s"
        results += [
            Result(what, "group-bys of pandas", shown, f"{theirs.wall:.1f} s", theirs.cpu / ours.cpu, ">= 10"),
            Result(what, "", shown, "", ours.wall, "<= 25", " s"),
        ]
    return results


def main(argv: Sequence[str] | None = None) -> None:
    """Print the medians of both, for integer ids and for strings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=float, default=1e6)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args(argv)
    rows = []
    for ids in IDS:
        table = pd.DataFrame(click_log(int(options.events), text=ids == "strings"))
        seconds = compared(table, options.repeats)
        for name, (wall, cpu) in seconds.items():
            ratio = seconds["group-bys"].cpu / cpu
            rows.append([f"{name}, {ids}", f"{wall:.2f}", f"{cpu:.2f}", f"{ratio:.1f}"])
        sessions = prepared(table)
        print(f"{len(table)} events of {ids} become {sessions}, {len(sessions.items)} events")
    print_table(["", "wall [s]", "cpu [s]", "group-bys / it"], rows)
    print(f"medians of {options.repeats} runs in turn; at most {peak_memory():.2f} GB held in all")
    print_circumstances("numpy", "pandas", "pyarrow", "narwhals")


if __name__ == "__main__":
    main()
