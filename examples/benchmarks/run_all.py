"""All benchmarks, each in a process of its own with one thread, as one table. Times are processor time.

    python examples/benchmarks/run_all.py --out table.md
    python examples/benchmarks/run_all.py --only latency
    python examples/benchmarks/run_all.py --only preparation_at_scale --set events=100_000_000 'engines=["polars"]'

A benchmark that fails has its error in its row; the others go on.
"""

from __future__ import annotations

import argparse
import ast
import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from features import features
from gpu import gpu
from harness import HEAD, circumstances, in_child, rows_of
from preparation import preparation, preparation_at_scale
from space import peak_memory, resident_memory
from speed import latency, ranking, training, triangle
from step import step

from spotlight_asars.analysis.tables import markdown_table

# A function whose docstring is the question, sizes that only show that it runs, and runs of each contestant.
BENCHMARKS: dict[str, tuple[Any, dict[str, Any], int]] = {
    "training": (training, {"sessions": 60, "catalogues": [40]}, 3),
    "step": (step, {"sessions": 60, "num_items": 40}, 5),
    "features": (features, {"sessions": 60, "num_items": 40, "epochs": 1}, 3),
    "triangle": (triangle, {"length": 50}, 5),
    "ranking": (ranking, {"rows": 40, "sample": 5, "num_items": 60}, 3),
    "preparation": (preparation, {"events": 3_000}, 3),
    "preparation_at_scale": (preparation_at_scale, {"events": 3_000}, 1),
    "resident_memory": (resident_memory, {"sessions": 300}, 1),
    "peak_memory": (peak_memory, {"sessions": [200, 400], "steps": 1, "num_items": 500, "rows": [20, 40]}, 1),
    "latency": (latency, {"sessions": 60, "catalogues": [50]}, 500),
    "gpu": (gpu, {"sessions": 100, "num_items": 50, "batch_size": 32}, 1),
}


def measured(name: str, small: bool, sizes: dict[str, Any], repeats: int | None) -> list[list[str]]:
    """Rows of one benchmark in this process."""
    comparisons, tiny, runs = BENCHMARKS[name]
    runs = 1 if small else repeats or runs
    return [row for one in comparisons(**{**(tiny if small else {}), **sizes}) for row in rows_of(one, runs)]


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, default=BENCHMARKS, metavar="NAME")
    parser.add_argument("--small", action="store_true", help="sizes that only show that it runs")
    parser.add_argument("--set", nargs="+", default=[], metavar="SIZE=VALUE", help="other sizes, with --only")
    parser.add_argument("--repeats", type=int, help="runs of each contestant, in place of the benchmark's own number")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the table, as .md or .csv")
    args = parser.parse_args(argv)
    if args.out is not None and args.out.suffix not in (".md", ".csv"):
        parser.error(f"--out must end in .md or .csv; got {args.out}")
    sizes = {name: ast.literal_eval(value) for name, _, value in (size.partition("=") for size in args.set)}
    rows = []
    for name in args.only:
        print(f"{name}: {BENCHMARKS[name][0].__doc__.splitlines()[0]}", flush=True)
        try:
            rows += in_child(measured, name, args.small, sizes, args.repeats)
        except Exception as failure:  # the others go on
            rows.append([f"{name}: {type(failure).__name__}: {' '.join(str(failure).split())}", *[""] * 6])
    page = f"{markdown_table(HEAD, rows)}\n\n{circumstances()}\n"
    print(page)
    if args.out is not None and args.out.suffix == ".md":
        args.out.write_text(page)
    elif args.out is not None:
        with args.out.open("w", newline="") as file:
            csv.writer(file).writerows([HEAD, *rows])


if __name__ == "__main__":
    main()
