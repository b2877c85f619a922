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

UNITS = {"training": "targets/s", "ranking": "ranks/s", "busy while training": "%"}


def gpu(sessions: int = 100_000, num_items: int = 30_000, batch_size: int = 1024) -> Iterator[Comparison]:
    """How fast does a model train and rank on a GPU, and how much of a training epoch is the GPU busy?"""
    if not torch.cuda.is_available():
        raise RuntimeError("no CUDA device, so nothing is measured")
    for what, unit in UNITS.items():
        calls = {name: partial(cost_of, name, what, sessions, num_items, batch_size) for name in TRAINED}
        work = {name: (call, None) for name, call in calls.items()}
        about = f"{what}, {torch.cuda.get_device_name()}, {num_items:,} items, batches of {batch_size:,}"
        yield Comparison(about, unit, work, {(name, next(iter(work))): "" for name in work})


def cost_of(name: str, what: str, sessions: int, num_items: int, batch_size: int, use_cuda: bool = True) -> float:
    """Targets trained on or ranked in a second, or the time of all kernels of an epoch beside the whole of it [%]."""
    log = click_sessions(sessions, num_items)
    model = our_model(**{**TRAINED[name], "use_cuda": use_cuda, "batch_size": batch_size}).fit(log)
    run = partial(evaluate, model, log) if what == "ranking" else partial(model.fit, log)
    seconds(run)
    whole = seconds(run)
    if what != "busy while training":
        return targets(log) / whole
    with profile(activities=[ProfilerActivity.CUDA if use_cuda else ProfilerActivity.CPU]) as profiled:
        seconds(run)
    events = profiled.key_averages()
    name = "self_device_time_total" if hasattr(events[0], "self_device_time_total") else "self_cuda_time_total"  # 2.2
    return 100 * sum(getattr(event, name) for event in events) / 1e6 / whole


def seconds(run: Callable[[], Any]) -> float:
    """Wall time [s] until the device is done."""
    start = time.perf_counter()
    run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start
