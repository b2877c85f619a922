"""What benchmarks share: runs in turn, their medians, and the circumstances to print beside them."""

from __future__ import annotations

import os
import platform
import resource
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from statistics import median
from typing import Any, NamedTuple

import numpy as np

GIGABYTE = 1e9
RSS_UNIT = 1 if platform.system() == "Darwin" else 1024  # [bytes] in which the system counts ru_maxrss


class Seconds(NamedTuple):
    """Time on the wall, and time of all threads of this process on the processor [s]."""

    wall: float
    cpu: float


def timed(work: Callable[[], Any]) -> Seconds:
    """How long one run takes."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Seconds(time.perf_counter() - wall, time.process_time() - cpu)


def interleaved(contestants: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, Seconds]:
    """Medians of `repeats` runs of each, in turn, so that a busy machine is as busy for one as for the other."""
    runs: dict[str, list[Seconds]] = {name: [] for name in contestants}
    for _ in range(repeats):
        for name, work in contestants.items():
            runs[name].append(timed(work))
    return {name: Seconds(*(median(column) for column in zip(*times, strict=True))) for name, times in runs.items()}


class Latency(NamedTuple):
    """Median and 95th percentile of the time on the wall of single calls [ms]."""

    p50: float
    p95: float


def latencies(contestants: Mapping[str, Callable[[], Any]], calls: int) -> dict[str, Latency]:
    """Latency of each over so many calls in turn, after a tenth as many to warm up."""
    runs: dict[str, list[float]] = {name: [] for name in contestants}
    warmup = max(calls // 10, 1)
    for call in range(warmup + calls):
        for name, work in contestants.items():
            wall = timed(work).wall
            if call >= warmup:
                runs[name].append(1000 * wall)
    return {name: Latency(*np.quantile(times, [0.5, 0.95])) for name, times in runs.items()}


def peak_memory() -> float:
    """The most memory [GB] this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT / GIGABYTE


def print_circumstances(*packages: str) -> None:
    """Print versions, the processors, and how busy they are."""
    print(f"python {platform.python_version()}  " + "  ".join(f"{name} {_version(name)}" for name in packages))
    print(f"{platform.machine()}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")


def print_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under their heads, the first column to the left and the others to the right."""
    cells = [list(head), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(head))]
    for first, *others in cells:
        print("  ".join([first.ljust(widths[0]), *(c.rjust(w) for c, w in zip(others, widths[1:], strict=True))]))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "-"
