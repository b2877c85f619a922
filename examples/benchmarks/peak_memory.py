"""Does the memory that training and evaluation take grow with the data?

Training: the peak of ``fit`` beyond what the sessions hold, over the first mini-batches of an epoch, for three sizes of
the log. Evaluation: the peak of ``evaluate`` beyond what the model and the test sessions hold, with a catalogue of a
million items, for two sizes of the test; and beside one chunk of scores, ``SCORES_AT_ONCE``. Each in a process of its
own.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import memory_use
import torch
from click_sessions import click_sessions
from resident_memory import MEAN_LENGTH, NUM_ITEMS
from results import Result, in_child, print_results, threads
from training import our_model

from spotlight_asars.evaluation import evaluate
from spotlight_asars.runtime.devices import SCORES_AT_ONCE

NO_MEMORIES = {"history": False, "transitions": False}
SETTINGS: dict[str, dict[str, Any]] = {
    "hinge, no memories": {"loss": "hinge", **NO_MEMORIES},
    "cross entropy, no memories": NO_MEMORIES,
    "cross entropy, both memories": {},
}
FEW_SESSIONS = 1_000  # that the evaluated model has seen
SMALL = {"sessions": (200, 400), "num_items": 500, "rows": (20, 40), "steps": 1}


class Enough(Exception):
    """As many steps as were asked for."""


class Memory(NamedTuple):
    """Resident memory [MB] before, and at most beyond that."""

    before: float
    beyond: float


class Stopping(torch.optim.Adagrad):
    """Raises ``Enough`` after some steps."""

    def __init__(self, parameters: Iterable[torch.nn.Parameter], steps: int) -> None:
        super().__init__(parameters, lr=0.05)
        self.left = steps

    def step(self, closure: Any = None) -> Any:
        super().step(closure)
        self.left -= 1
        if not self.left:
            raise Enough


def of_training(sessions: int, steps: int, setting: str) -> Memory:
    """What ``fit`` takes."""
    log = click_sessions(sessions, NUM_ITEMS, MEAN_LENGTH)
    model = our_model(optimizer_func=lambda parameters: Stopping(parameters, steps), **SETTINGS[setting])
    memory_use.forget_peak()
    before = memory_use.held()
    with threads(1), suppress(Enough):
        model.fit(log)
    return Memory(before, memory_use.peak() - before)


def of_evaluation(rows: int, num_items: int) -> Memory:
    """What ``evaluate`` takes, of a model with both memories."""
    model = our_model(n_iter=0).fit(click_sessions(FEW_SESSIONS, num_items))
    test = click_sessions(rows, num_items, random_state=1)
    memory_use.forget_peak()
    before = memory_use.held()
    with threads(1):
        evaluate(model, test, positions="last")
    return Memory(before, memory_use.peak() - before)


def measure(
    sessions: Sequence[int] = (1_000_000, 2_000_000, 4_000_000),
    steps: int = 20,
    num_items: int = 1_000_000,
    rows: Sequence[int] = (1_000, 10_000),
) -> list[Result]:
    """Growth from the smallest to each larger size."""
    results = []
    for setting in SETTINGS:
        found = [in_child(of_training, size, steps, setting) for size in sessions]
        what = f"peak memory of training, {setting}"
        for size, memory in zip(sessions[1:], found[1:], strict=True):
            results.append(_growth(what, "sessions", sessions[0], size, found[0], memory))
    found = [in_child(of_evaluation, size, num_items) for size in rows]
    what = f"peak memory of evaluation, {num_items:,} items"
    results.append(_growth(what, "test rows", rows[0], rows[-1], found[0], found[-1]))
    chunk = SCORES_AT_ONCE * 4 / 1e6
    most = max(memory.beyond for memory in found)
    results.append(
        Result(what, "one chunk of float32 scores", f"{most:,.0f} MB", f"{chunk:,.0f} MB", most / chunk, "<= 4")
    )
    return results


def _growth(what: str, unit: str, small: int, large: int, at_small: Memory, at_large: Memory) -> Result:
    return Result(
        f"{what}; {large:,} {unit}",
        f"{small:,} {unit}",
        f"{at_large.beyond:,.0f} MB beyond {at_large.before:,.0f}",
        f"{at_small.beyond:,.0f} MB beyond {at_small.before:,.0f}",
        at_large.beyond / max(at_small.beyond, 1e-3),
        "<= 1.1",
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Print peaks and growth."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, nargs="+", default=[1_000_000, 2_000_000, 4_000_000])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--items", type=int, default=1_000_000, dest="num_items")
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000, 10_000])
    print_results(measure(**vars(parser.parse_args(argv))))


if __name__ == "__main__":
    main()
