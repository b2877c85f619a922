"""All benchmarks with targets, one after the other, each in a process of its own, as one table.

``--out FILE.md`` or ``FILE.csv`` writes the table; the circumstances stand below it in markdown. A benchmark that fails
has its error in its row, and the others go on.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import inspect
import io
import math
import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from results import HEAD, Result, in_child

from spotlight_asars import SPOTLIGHT

BENCHMARKS = (
    "training",
    "time_user",
    "step",
    "triangle",
    "ranking",
    "preparation",
    "resident_memory",
    "peak_memory",
    "latency",
)


def measured(name: str, small: bool, repeats: int | None) -> list[Result]:
    """Results of one benchmark, here and now; `repeats` for those that have it."""
    module: Any = importlib.import_module(name)
    options = dict(getattr(module, "SMALL", {})) if small else {}
    if repeats is not None and "repeats" in inspect.signature(module.measure).parameters:
        options["repeats"] = repeats
    return list(module.measure(**options))


def run(name: str, small: bool = False, repeats: int | None = None) -> list[Result]:
    """Results of one benchmark from a process of its own; if it fails, its error as the only result."""
    try:
        return in_child(measured, name, small, repeats)
    except Exception as failure:  # the others go on
        return [Result(name, "", f"{type(failure).__name__}: {failure}".splitlines()[0], "", math.nan)]


def command(name: str) -> str:
    """What runs one benchmark alone."""
    return f"python examples/benchmarks/{name}.py"


def circumstances() -> list[str]:
    """Versions and the machine, a line each."""
    versions = "  ".join(f"{name} {version(name)}" for name in ("numpy", "torch", "pandas"))
    return [
        f"Spotlight: {SPOTLIGHT}; python {platform.python_version()}  {versions}",
        f"{platform.machine()}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}",
    ]


def as_markdown(rows: Sequence[Sequence[str]]) -> str:
    """The table, and the circumstances below."""
    head, *others = rows
    lines = [head, ["---"] * len(head), *([cell.replace("|", "\\|") for cell in row] for row in others)]
    return "\n".join(["| " + " | ".join(line) + " |" for line in lines] + ["", *circumstances(), ""])


def as_csv(rows: Sequence[Sequence[str]]) -> str:
    """The table alone."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


FORMATS = {".md": as_markdown, ".csv": as_csv}


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, default=BENCHMARKS, metavar="NAME")
    parser.add_argument("--repeats", type=int, help="runs of each contestant, in place of the benchmark's own number")
    parser.add_argument("--small", action="store_true", help="sizes that only show that it runs")
    parser.add_argument("--out", type=Path, help="a file that ends in .md or .csv")
    options = parser.parse_args(argv)
    if options.out is not None and options.out.suffix not in FORMATS:
        parser.error(f"--out must end in .md or .csv; got {options.out}")
    rows = [[*HEAD, "command"]]
    for name in options.only:
        print(f"... {command(name)}", flush=True)
        rows += [[*result.cells, command(name)] for result in run(name, options.small, options.repeats)]
        if options.out is not None:
            options.out.write_text(FORMATS[options.out.suffix](rows))
    print(as_markdown(rows))


if __name__ == "__main__":
    main()
