"""Figures 6, 7 and 8 of the paper for any models and data sets: accuracy, speed of training, and memory, as bars."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from benchmarking.results import Summary
from matplotlib.figure import Figure
from matplotlib.patches import Patch

COLOURS = {  # by kind of model; also told apart in grey
    "counted": "0.75",
    "other nets": "#9db8d9",
    "ASARS": "#2f5f9e",
    "ASARS with memories": "#e07b28",
    "sees the last dwell": "0.3",
}
FIGURES = {
    "accuracy": {"MRR@20 at every position": "every mrr@20", "Recall@20 at every position": "every recall@20"},
    "speed": {"targets learned per second": "targets learned/s"},
    "memory": {"peak memory [MiB]; dark: before training": "peak [MiB]"},
}


def draw_all(summaries: Mapping[str, Summary], families: Mapping[str, str], folder: Path) -> dict[str, Path]:
    """Draw ``accuracy.png``, ``speed.png`` and ``memory.png``: a column of panels for each data set."""
    order = in_order(summaries)
    paths = {name: folder / f"{name}.png" for name in FIGURES}
    for name, rows in FIGURES.items():
        size = (max(7.5, 2.2 + 3.4 * len(summaries)), 1.0 + len(rows) * (0.8 + 0.19 * len(order)))
        figure = Figure(figsize=size, dpi=120, layout="constrained")
        panels = figure.subplots(len(rows), len(summaries), squeeze=False, sharey=True)
        for across, (title, column) in zip(panels, rows.items(), strict=True):
            across[0].set_xlabel(title, loc="left")
            for panel, (data, summary) in zip(across, summaries.items(), strict=True):
                panel.set_title(data, loc="left", fontsize="large", fontweight="bold")
                bars(panel, summary, order, families, column)
        kinds = [kind for kind in COLOURS if kind in {families[model] for model in order}]
        patches = [Patch(color=COLOURS[kind], label=kind) for kind in kinds]
        figure.legend(handles=patches, loc="outside upper right", ncols=len(kinds), frameon=False)
        figure.savefig(paths[name])
    return paths


def in_order(summaries: Mapping[str, Summary]) -> list[str]:
    """Models by MRR@20 as a share of the best of each data set, the mean over those they were run on; worst first."""
    shares = [summary.mean["every mrr@20"] / summary.mean["every mrr@20"].max() for summary in summaries.values()]
    return list(pd.concat(shares, axis=1).mean(axis=1).sort_values().index)


def bars(panel, summary: Summary, order: list[str], families: Mapping[str, str], column: str) -> None:
    """A bar for each model, with its interval, or the spread of its seeds."""
    mean = summary.mean.reindex(order)
    panel.barh(order, mean[column], 0.8, color=[COLOURS[families[model]] for model in order])
    if column == "peak [MiB]":
        panel.barh(order, mean["held before [MiB]"], 0.8, color="0.2", alpha=0.35)
    for model in summary.mean.index:
        value, std = mean.loc[model, column], summary.std.loc[model, column]
        sampled = column in summary.draws[model]
        ends = summary.interval(summary.draws[model][column]) if sampled else (value - std, value + std)
        panel.plot(ends, [order.index(model)] * 2, color="0.1", linewidth=1)
    panel.set_xscale("log" if column == "targets learned/s" else "linear")
    panel.set_ylim(-0.6, len(order) - 0.4)
    panel.spines[["top", "right"]].set_visible(False)
    panel.set_axisbelow(True)
    panel.grid(axis="x", color="0.9")
