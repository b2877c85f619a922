"""How much memory do sessions hold that are ready to train, beside padded matrices?

By default 4 million sessions of 4.5 events on average, as in RecSys Challenge 2015, at most 50. Ours have items, dwell
times, users and starts. The matrices (session, 50) are int64 items, as Spotlight's ``fit`` makes them, with float32
dwell times beside them; and for comparison int32 items alone, as ``to_sequence`` makes them. Each in a process of its
own; what counts is what the process holds afterwards and did not before.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import memory_use
import numpy as np
from click_sessions import click_sessions, padded
from results import Result, in_child, print_results

MEAN_LENGTH, NUM_ITEMS = 4.5, 40_000
SMALL = {"sessions": 300}


def held_by_sessions(sessions: int) -> float:
    """Memory [MB] of ``SessionInteractions``."""
    before = memory_use.held()
    log = click_sessions(sessions, NUM_ITEMS, MEAN_LENGTH)
    held = memory_use.held() - before
    del log
    return held


def held_by_matrices(sessions: int, with_dwell: bool) -> float:
    """Memory [MB] of the padded matrices, made of sessions that do not count."""
    log = click_sessions(sessions, NUM_ITEMS, MEAN_LENGTH)
    before = memory_use.held()
    matrices = [padded(log, log.items, 0, np.int64 if with_dwell else np.int32)]
    if with_dwell:
        assert log.flat_dwell_times is not None
        matrices.append(padded(log, log.flat_dwell_times, np.nan, np.float32))
    held = memory_use.held() - before
    del matrices
    return held


def measure(sessions: int = 4_000_000) -> list[Result]:
    """Against both forms of the matrices."""
    ours = in_child(held_by_sessions, sessions)
    results = []
    for against, with_dwell, target in (
        ("padded matrices, int64 items and float32 dwell", True, "<= 0.2"),
        ("padded matrix, int32 items alone", False, ""),
    ):
        theirs = in_child(held_by_matrices, sessions, with_dwell)
        what = f"memory of {sessions:,} sessions of {MEAN_LENGTH} events on average"
        results.append(Result(what, against, f"{ours:,.0f} MB", f"{theirs:,.0f} MB", ours / max(theirs, 1e-3), target))
    return results


def main(argv: Sequence[str] | None = None) -> None:
    """Print the memory of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=4_000_000)
    print_results(measure(**vars(parser.parse_args(argv))))


if __name__ == "__main__":
    main()
