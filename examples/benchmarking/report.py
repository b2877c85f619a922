"""The page of results: circumstances, then a section for each data set."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarking.summary import Line
from benchmarking.tables import NOTES, overview, table

POSITIONS = {"every": "Every position after the first", "last": "The last position of each session"}


def circumstances(program: str, argv: Sequence[str] | None) -> str:
    """The command, its folders by their last name; the day, the versions and the machine."""
    given = [Path(word).name if os.path.isabs(word) else word for word in (sys.argv[1:] if argv is None else argv)]
    command = shlex.join(["python", f"examples/{program}.py", *given])
    today = datetime.now(timezone.utc).strftime("%Y-%m-%d")
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "numpy", "scipy"))
    machine = f"{platform.machine()}, {os.cpu_count()} processors, one thread for each run"
    return f"`{command}`, {today}, Python {platform.python_version()}, {versions}; {machine}."


def written(
    lines: Mapping[str, Sequence[Line]],
    about: Mapping[str, str],
    reference: str,
    dishonest: Collection[str] = (),
    tuned: Mapping[str, Mapping[str, Mapping[str, Any]]] | None = None,
    by_score: bool = True,
) -> str:
    """One table of all data sets; then for each its sizes, two tables, of every position and the last, and what tuning
    chose.

    With `by_score` the models stand in the order of MRR@20, on the first data set where there are several; else as they
    come.
    """
    lines = {name: _ordered(mine, "every mrr@20") if by_score else mine for name, mine in lines.items()}
    sections = [NOTES]
    if len(lines) > 1:
        sections += [
            f"## All data sets\n\nA star: the MRR@20 differs from that of {reference}.",
            overview(lines, dishonest),
        ]
    for name, mine in lines.items():
        sections += [f"## {name}", about[name] + "."]
        for at, title in POSITIONS.items():
            ordered = _ordered(mine, f"{at} mrr@20") if by_score else mine
            sections += [f"{title}:", table(ordered, at, reference, dishonest)]
        chosen = {model: choice for model, choice in (tuned or {}).get(name, {}).items() if choice}
        told = [f"- {model}: {', '.join(f'{o} {v}' for o, v in choice.items())}" for model, choice in chosen.items()]
        sections += ["Tuning chose other settings than the defaults:", "\n".join(told)] if told else []
    return "\n\n".join(sections)


def _ordered(lines: Sequence[Line], by: str) -> list[Line]:
    return sorted(lines, key=lambda line: -line.means.get(by, 0.0))
