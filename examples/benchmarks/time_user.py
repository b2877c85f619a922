"""What do the channels cost? Training with dwell times and users, beside training without.

The paper reports half the speed. What is timed is a further epoch, in processor time of one thread.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from typing import Any

from click_sessions import click_sessions, targets
from results import Result, per_second, print_results, threads
from timing import interleaved
from training import our_model

SETTINGS: dict[str, dict[str, Any]] = {
    "hinge, no memories": {"loss": "hinge", "history": False, "transitions": False},
    "cross entropy, both memories": {},
}
SMALL = {"sessions": 60, "num_items": 40, "repeats": 1}


def measure(sessions: int = 5_120, num_items: int = 30_000, repeats: int = 5) -> list[Result]:
    """A result for each setting."""
    log = click_sessions(sessions, num_items)
    count, results = targets(log), []
    for name, options in SETTINGS.items():
        models = {kind: our_model(representation=kind, **options) for kind in ("time_user", "gru4rec")}
        work = {kind: partial(model.fit, log) for kind, model in models.items()}
        with threads(1):
            for fit in work.values():
                fit()
            ours, theirs = (run.cpu for run in interleaved(work, repeats).values())
        what = f"training time_user, {name}; {num_items:,} items, {count:,} targets"
        rates = per_second(count, ours), per_second(count, theirs)
        results.append(Result(what, "our gru4rec", *rates, theirs / ours, ">= 0.8"))
    return results


def main(argv: Sequence[str] | None = None) -> None:
    """Print targets per second of both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=5_120)
    parser.add_argument("--items", type=int, default=30_000, dest="num_items")
    parser.add_argument("--repeats", type=int, default=5)
    print_results(measure(**vars(parser.parse_args(argv))))


if __name__ == "__main__":
    main()
