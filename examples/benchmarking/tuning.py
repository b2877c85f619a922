"""Tuning: the same number of trials for every model, on the latest of the training sessions.

The first trial is of the defaults, so that tuning never does worse than they do there; the others are drawn at random.
A model with fewer settings than trials tries all of them, and one with nothing to tune has no trial.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from sklearn.model_selection import ParameterGrid, ParameterSampler

from benchmarking.contestants import Contestant
from benchmarking.logs import Log
from benchmarking.runs import TRIAL, Book, Key, Run, plan

JUDGED_BY = "every mrr@20"

Choice = dict[str, Any]  # values by option


def choices(contestant: Contestant, trials: int) -> Iterator[Choice]:
    """The defaults, then points of the space, the same in every run of the program; one may be the defaults again."""
    if trials and contestant.space:
        yield {}
        points = min(trials, len(ParameterGrid(contestant.space)))
        yield from ParameterSampler(contestant.space, points, random_state=0)


def trials_of(log: Log, name: str, contestant: Contestant, trials: int, epochs: int | None) -> list[tuple[Choice, Run]]:
    """The runs that are to be judged, no two the same, each with what was chosen for it."""
    found: dict[Key, tuple[Choice, Run]] = {}
    for choice in choices(contestant, trials):
        run = plan(log, TRIAL, name, contestant, 0, contestant.settled(0, epochs, **choice))
        found.setdefault(run.key, (choice, run))
    return list(found.values())[:trials]


def best(tried: list[tuple[Choice, Run]], book: Book) -> Choice:
    """What did best, the earlier of equals; the defaults where nothing was tried."""

    def merit(run: Run) -> float:
        row = book.rows[run.key]
        return -math.inf if row["error"] else float(row[JUDGED_BY])

    return max(tried, key=lambda entry: merit(entry[1]))[0] if tried else {}
