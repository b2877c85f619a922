"""Memory: of sessions that are ready, and at the peak of training and evaluation as the data grows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import torch
from data import LONGEST, click_sessions
from harness import Comparison, memory, peak_beyond
from speed import our_model

from spotlight_asars.evaluation import evaluate
from spotlight_asars.runtime.devices import SCORES_AT_ONCE

LENGTH, NUM_ITEMS = 4.5, 40_000  # events of a session and items as in RecSys Challenge 2015


def resident_memory(sessions: int = 4_000_000) -> Iterator[Comparison]:
    """How much memory do sessions hold, with dwell, users and starts, beside padded matrices (by their size)?"""
    work = {"ours": (partial(held_by_sessions, sessions), None)}
    for name, size in {"matrices, int64 items and float32 dwell": 12, "a matrix, int32 items": 4}.items():
        work[name] = (partial(float, sessions * LONGEST * size / 1e6), None)
    ours, both, items = work
    what = f"memory of {sessions:,} sessions of {LENGTH} events on average"
    yield Comparison(what, "MB", work, {(ours, both): "<= 0.2", (ours, items): ""})


def held_by_sessions(sessions: int) -> float:
    """Memory [MB] of the sessions of a large log."""
    before = memory()
    log = click_sessions(sessions, NUM_ITEMS, LENGTH)
    return memory() - before if len(log) else 0.0


def peak_memory(
    sessions: Sequence[int] = (10**6, 2 * 10**6, 4 * 10**6),
    steps: int = 20,
    num_items: int = 10**6,
    rows: Sequence[int] = (1_000, 10_000),
) -> Iterator[Comparison]:
    """Does the memory that training and evaluation take, beyond model and sessions, grow with the data?"""
    for name, options in {"hinge": {"loss": "hinge"}, "cross entropy": {}}.items():
        work = {f"{n:,} sessions": (partial(peak_of_training, n, steps, options), None) for n in sessions}
        first, *larger = work
        what = f"peak memory of training, {name}, all memories"
        yield Comparison(what, "MB", work, {(n, first): "<= 1.1" for n in larger})
    work = {f"{n:,} rows": (partial(peak_of_evaluation, n, num_items), None) for n in rows}
    work["one chunk of scores"] = (partial(float, SCORES_AT_ONCE * 4 / 1e6), None)
    few, many, chunk = work
    what = f"peak memory of evaluation, {num_items:,} items"
    yield Comparison(what, "MB", work, {(many, few): "<= 1.1", (many, chunk): "<= 4"})


def peak_of_training(sessions: int, steps: int, options: dict[str, Any]) -> float:
    """Peak memory [MB] of the first steps of an epoch."""
    left = iter(range(steps - 1))

    def stopping(weights: Any) -> torch.optim.Optimizer:
        optimizer = torch.optim.Adagrad(weights, lr=0.05)
        optimizer.register_step_post_hook(lambda *_: next(left) and None)  # StopIteration ends the training
        return optimizer

    def first_steps() -> None:
        with suppress(StopIteration):
            model.fit(log)

    log, model = click_sessions(sessions, NUM_ITEMS, LENGTH), our_model(optimizer_func=stopping, **options)
    return peak_beyond(first_steps)


def peak_of_evaluation(rows: int, num_items: int) -> float:
    """Peak memory [MB] of ``evaluate``."""
    model, test = our_model(n_iter=0).fit(click_sessions(1000, num_items)), click_sessions(rows, num_items, seed=1)
    return peak_beyond(partial(evaluate, model, test, positions="last"))
