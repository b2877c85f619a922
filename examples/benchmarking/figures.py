"""Figures 6, 7 and 8 of the paper for any models and data sets: accuracy, speed of training, and memory, as bars.

Needs matplotlib, and only here. Models stand in one order in all figures, the best on top, in the colour of their kind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarking.contestants import FAMILIES
from benchmarking.summary import Line

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = dict(zip(FAMILIES, ("0.75", "#9db8d9", "#2f5f9e", "#e07b28", "0.3"), strict=True))  # told apart in grey, too
PANEL, ROW, NARROWEST = 3.4, 0.19, 7.5  # [inch], width of a panel, height of a bar, width of a figure
Lines = Mapping[str, Sequence[Line]]  # by data set


def draw_all(lines: Lines, families: Mapping[str, str], folder: Path) -> dict[str, Path]:
    """Draw ``accuracy.png``, ``speed.png`` and ``memory.png`` into a folder; `families` says the kind of each model."""
    figures = {
        "accuracy": {"MRR@20 at every position": "every mrr@20", "Recall@20 at every position": "every recall@20"},
        "speed": {"targets learned per second": "targets learned/s"},
        "memory": {"peak memory [MiB]; dark: before training": "peak [MiB]"},
    }
    paths = {name: folder / f"{name}.png" for name in figures}
    for name, rows in figures.items():
        draw(lines, families, rows, paths[name])
    return paths


def draw(lines: Lines, families: Mapping[str, str], rows: Mapping[str, str], path: Path) -> None:
    """A panel for each data set, side by side, and a row of them for each of the columns that `rows` titles."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    order = in_order(lines)
    size = (max(NARROWEST, 2.2 + PANEL * len(lines)), 1.0 + len(rows) * (0.8 + ROW * len(order)))
    figure = Figure(figsize=size, dpi=120, layout="constrained")
    panels = figure.subplots(len(rows), len(lines), squeeze=False, sharey=True)
    for across, (title, column) in zip(panels, rows.items(), strict=True):
        for panel, (data, mine) in zip(across, lines.items(), strict=True):
            _bars(panel, {line.model: line for line in mine if not line.failed}, order, families, column)
            panel.set_title(data, loc="left", fontsize="large", fontweight="bold")
            panel.set_xlabel(title if panel is across[0] else "", loc="left")
    kinds = [family for family in FAMILIES if family in {families[model] for model in order}]
    patches = [Patch(color=COLOURS[family], label=family) for family in kinds]
    figure.legend(handles=patches, loc="outside upper right", ncols=len(kinds), frameon=False)
    figure.savefig(path)


def in_order(lines: Lines) -> list[str]:
    """Models by MRR@20 as a share of the best of each data set, the mean over those they were run on; worst first."""
    shares: dict[str, list[float]] = {}
    for mine in lines.values():
        found = {line.model: line.means["every mrr@20"] for line in mine if not line.failed}
        for model, value in found.items():
            shares.setdefault(model, []).append(value / (max(found.values()) or 1))
    return sorted(shares, key=lambda model: float(np.mean(shares[model])))


def _bars(
    panel: Axes, lines: Mapping[str, Line], order: Sequence[str], families: Mapping[str, str], column: str
) -> None:
    place = {model: height for height, model in enumerate(order)}
    for model, line in lines.items():
        value, colour = line.means[column], COLOURS[families[model]]
        panel.barh(place[model], value, 0.8, color=colour)
        if column in line.intervals:
            low, high = line.intervals[column]
            panel.plot([low, high], [place[model]] * 2, color="0.1", linewidth=1)
        if column == "peak [MiB]":
            panel.barh(place[model], line.means["held before [MiB]"], 0.8, color="0.2", alpha=0.35)
        if line.seeds > 1 and column not in line.intervals:
            panel.errorbar(value, place[model], xerr=line.spreads[column], color="0.1", linewidth=1)
    if column == "targets learned/s":
        panel.set_xscale("log")
    else:
        panel.locator_params(axis="x", nbins=5)
    panel.set_yticks(range(len(order)), order)
    panel.set_ylim(-0.6, len(order) - 0.4)
    panel.spines[["top", "right"]].set_visible(False)
    panel.set_axisbelow(True)
    panel.grid(axis="x", color="0.9")
