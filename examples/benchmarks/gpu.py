"""A GPU: targets trained on and ranked in a second of wall time, and the share of the time that kernels run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from data import click_sessions, targets
from harness import Comparison
from speed import TRAINED, our_model
from torch.profiler import ProfilerActivity, profile

from spotlight_asars.evaluation import evaluate

EPOCHS = 3  # after the first
UNITS = {"training": "targets/s", "ranking": "ranks/s", "busy while training": "%"}


def gpu(sessions: int = 100_000, num_items: int = 30_000, batch_size: int = 1024) -> Iterator[Comparison]:
    """How fast does a model train and rank on a GPU, and how much of its training is the GPU busy?"""
    if not torch.cuda.is_available():
        raise RuntimeError("no CUDA device, so nothing is measured")
    for what, unit in UNITS.items():
        calls = {name: partial(cost_of, name, what, sessions, num_items, batch_size) for name in TRAINED}
        work = {name: (call, None) for name, call in calls.items()}
        about = f"{what}, {torch.cuda.get_device_name()}, {num_items:,} items, batches of {batch_size:,}"
        yield Comparison(about, unit, work, {(name, next(iter(work))): "" for name in work})


def cost_of(name: str, what: str, sessions: int, num_items: int, batch_size: int, use_cuda: bool = True) -> float:
    """Targets trained on or ranked in a second, or the time of all kernels of some epochs beside that of these [%].

    Of training, epochs after the first count, for in the first one steps are recorded.
    """
    log = click_sessions(sessions, num_items)
    model = our_model(**{**TRAINED[name], "use_cuda": use_cuda, "batch_size": batch_size}).fit(log)
    if what == "ranking":
        seconds(partial(evaluate, model, log))
        return targets(log) / seconds(partial(evaluate, model, log))
    one, more = (partial(model.fit, log, n_iter=n_iter) for n_iter in (1, 1 + EPOCHS))
    whole = seconds(more) - seconds(one)
    if what == "training":
        return EPOCHS * targets(log) / whole
    return 100 * (kernel_seconds(more, use_cuda) - kernel_seconds(one, use_cuda)) / whole


def kernel_seconds(run: Callable[[], Any], use_cuda: bool) -> float:
    """Time [s] of all kernels of a GPU in `run`."""
    with profile(activities=[ProfilerActivity.CUDA if use_cuda else ProfilerActivity.CPU]) as profiled:
        seconds(run)
    events = profiled.key_averages()
    name = "self_device_time_total" if hasattr(events[0], "self_device_time_total") else "self_cuda_time_total"  # 2.2
    return sum(getattr(event, name) for event in events) / 1e6


def seconds(run: Callable[[], Any]) -> float:
    """Wall time [s] until the device is done."""
    start = time.perf_counter()
    run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start
