"""How many targets are trained on in a second, beside Spotlight's LSTM?

Both take the same sessions in mini-batches of the same size; a target is an event that another precedes in its session.
Spotlight trains on rows padded to 50 positions with a negative for each; we on trimmed rows with negatives that a batch
shares. The first row is like for like: hinge loss, no memories, a state of the size of the embedding, no dropout. What
is timed is a further epoch with all that each call of ``fit`` sets up, in processor time of one thread.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from click_sessions import click_sessions, padded_rows, targets
from numpy.random import RandomState
from results import Result, per_second, print_results, threads
from timing import interleaved

from spotlight_asars import ASARSSequenceModel
from spotlight_asars._spotlight import ImplicitSequenceModel

BATCH, DIM = 256, 64
PLAIN = {"loss": "hinge", "history": False, "transitions": False, "dropout": 0.0, "hidden_dim": DIM}
OURS: dict[str, dict[str, Any]] = {
    "gru4rec, hinge, like for like": PLAIN,
    "... with 32 negatives": {**PLAIN, "num_negative_samples": 32},
    "... with a state of 100": {**PLAIN, "hidden_dim": 100},
    "... and with both memories": {**PLAIN, "hidden_dim": 100, "history": True, "transitions": True},
    "... and cross entropy: the defaults": {},
}
TARGETS = {30_000: ">= 10", 3_000: ">= 6"}  # of the first row, by size of the catalogue
SMALL = {"sessions": 60, "catalogues": (40,), "repeats": 1}


def our_model(**options: Any) -> ASARSSequenceModel:
    """A model that trains an epoch in each call of ``fit``."""
    return ASARSSequenceModel(**{"n_iter": 1, "batch_size": BATCH, "embedding_dim": DIM, "random_state": 0, **options})


def spotlight_model(representation: str = "lstm") -> ImplicitSequenceModel:
    """The same of Spotlight."""
    return ImplicitSequenceModel(
        loss="hinge",
        representation=representation,
        embedding_dim=DIM,
        batch_size=BATCH,
        n_iter=1,
        random_state=RandomState(0),
    )


def measure(
    sessions: int = 20_480, catalogues: Sequence[int] = (30_000, 3_000), repeats: int = 3, one: bool = False
) -> list[Result]:
    """Results for each size of the catalogue; with `one`, of the like-for-like row only."""
    return [result for num_items in catalogues for result in _measure(sessions, num_items, repeats, one)]


def _measure(sessions: int, num_items: int, repeats: int, one: bool) -> list[Result]:
    log = click_sessions(sessions, num_items)
    rows, count = padded_rows(log), targets(log)
    spotlight = spotlight_model()
    models = {name: our_model(**options) for name, options in list(OURS.items())[: 1 if one else None]}
    work: dict[str, Callable[[], Any]] = {name: partial(model.fit, log) for name, model in models.items()}
    work["lstm"] = partial(spotlight.fit, rows)
    with threads(1):
        for fit in work.values():
            fit()  # sets up weights and optimizer
        seconds = {name: run.cpu for name, run in interleaved(work, repeats).items()}
    return [
        Result(
            f"training {name}; {num_items:,} items, {count:,} targets",
            f"Spotlight's lstm, {rows.sequences.shape[1]} positions",
            per_second(count, seconds[name]),
            per_second(count, seconds["lstm"]),
            seconds["lstm"] / seconds[name],
            TARGETS.get(num_items, "") if place == 0 else "",
        )
        for place, name in enumerate(models)
    ]


def main(argv: Sequence[str] | None = None) -> None:
    """Print targets per second of all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=20_480)
    parser.add_argument("--items", type=int, nargs="+", default=[30_000, 3_000], dest="catalogues")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--one", action="store_true", help="the like-for-like row only")
    print_results(measure(**vars(parser.parse_args(argv))))


if __name__ == "__main__":
    main()
