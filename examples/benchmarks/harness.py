"""The harness of all benchmarks: contestants run in turn, and each pair that is compared becomes a row of one table."""

from __future__ import annotations

import os
import platform
import resource
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from spotlight_asars import SPOTLIGHT

HEAD = ("what", "beside", "it", "the other", "ratio", "target", "met")
STATUS = Path("/proc/self/status")


class Comparison(NamedTuple):
    """Contestants measured in one unit, and which of them are compared.

    A contestant is a call, and how much one run gets through, such as targets; it is timed, in "ms" or as a rate such
    as "targets/s". With None for the latter, the call returns its own measurement, and runs in a process of its own.
    """

    what: str
    unit: str
    contestants: Mapping[str, tuple[Callable[[], Any], float | None]]
    pairs: Mapping[tuple[str, str], str]  # (one, other): a target for one / other, like ">= 10", or ""


def rows_of(comparison: Comparison, repeats: int) -> list[list[str]]:
    """Measure all contestants here and now; cells in the order of ``HEAD``."""
    what, unit, contestants, pairs = comparison
    values = {name: [in_child(run)] for name, (run, count) in contestants.items() if count is None}
    seconds = cpu_seconds({name: run for name, (run, count) in contestants.items() if count is not None}, repeats)
    for name, runs in seconds.items():
        count = contestants[name][1]
        values[name] = 1e3 * runs / count if unit == "ms" else count / runs
    rows = []
    for (one, other), target in pairs.items():
        ratio = np.median(values[one]) / max(np.median(values[other]), 1e-9)
        sign, _, bound = target.partition(" ")
        met = sign and ("yes" if (ratio >= float(bound) if sign == ">=" else ratio <= float(bound)) else "no")
        texts = []
        for name in (one, other):  # the median; of many runs also the 95th percentile
            shown = np.quantile(values[name], [0.5, 0.95] if len(values[name]) >= 20 else [0.5])
            texts.append(" / ".join(f"{v:,.0f}" if v >= 100 else f"{v:.3g}" for v in shown) + f" {unit}")
        rows.append([f"{what}: {one}", other, *texts, f"{ratio:.3g}x", target, met])
    return rows


def cpu_seconds(runs: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, np.ndarray]:
    """Processor time [s] of each run: contestants take turns, so that all meet the same load, after a warm-up."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    warm_up = max(repeats // 10, 1)
    for turn in range(warm_up + repeats):
        for name, run in runs.items():
            start = time.process_time()
            run()
            if turn >= warm_up:
                seconds[name].append(time.process_time() - start)
    return {name: np.array(values) for name, values in seconds.items()}


def in_child(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a new process with one thread: its memory is nobody else's, and a crash is an exception."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=one_thread) as child:
        return child.submit(function, *arguments).result()


def one_thread() -> None:
    """From here on this process computes with one thread."""
    torch.set_num_threads(1)
    threadpool_limits(1)


def memory(name: str = "VmRSS") -> float:
    """Resident memory [MB] of this process, or its peak "VmHWM"; where Linux keeps no account, the peak."""
    lines = STATUS.read_text().splitlines() if STATUS.exists() else []
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if platform.system() == "Darwin" else 1024)
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:")), peak) / 1e6


def peak_beyond(run: Callable[[], Any]) -> float:
    """The most memory [MB] that a run holds beyond what this process held before it; on Linux only."""
    before = memory()
    STATUS.with_name("clear_refs").write_text("5")  # forget the peak, see proc(5)
    run()
    return memory("VmHWM") - before


def circumstances() -> str:
    """The machine, the Spotlight below and the versions, on one line."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "numpy", "scipy", "pandas"))
    machine = f"{platform.machine()}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}"
    return f"{machine}; {SPOTLIGHT} Spotlight, Python {platform.python_version()}, {versions}"
