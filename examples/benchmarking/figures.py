"""Figures 6, 7 and 8 of the paper for any models and data sets: accuracy, speed of training, and memory, as bars."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from benchmarking.results import Summary
from spotlight_asars.evaluation import interval

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


def draw_all(summaries: Mapping[str, Summary], families: Mapping[str, str], folder: Path) -> None:
    """Draw ``accuracy.png``, ``speed.png`` and ``memory.png``: panels of a data set stand in one column."""
    order = in_order(summaries)
    kinds = [kind for kind in COLOURS if kind in {families[model] for model in order}]
    for name, rows in FIGURES.items():
        size = (max(7.5, 2.2 + 3.4 * len(summaries)), 1.0 + len(rows) * (0.8 + 0.19 * len(order)))
        figure = Figure(figsize=size, dpi=120, layout="constrained")
        panels = figure.subplots(len(rows), len(summaries), squeeze=False, sharey=True)
        for across, (title, column) in zip(panels, rows.items(), strict=True):
            for panel, (data, summary) in zip(across, summaries.items(), strict=True):
                mean, std = summary.mean.reindex(order), summary.std[column].reindex(order)
                ends = np.array([mean[column] - std, mean[column] + std])
                if column in FIGURES["accuracy"].values():
                    drawn = [summary.draws.get(model) for model in order]
                    ends = np.transpose([(np.nan, np.nan) if d is None else interval(d[column]) for d in drawn])
                panel.barh(order, mean[column], 0.8, color=[COLOURS[families[model]] for model in order])
                known = np.isfinite(np.asarray(ends, float)).all(axis=0)
                panel.hlines(np.flatnonzero(known), *np.asarray(ends)[:, known], color="0.1", linewidth=1)
                if name == "memory":
                    panel.barh(order, mean["held before [MiB]"], 0.8, color="0.2", alpha=0.35)
                panel.set_title(data, loc="left", fontweight="bold")
                panel.set_xscale("log" if name == "speed" else "linear")
                panel.spines[["top", "right"]].set_visible(False)
            across[0].set_xlabel(title, loc="left")
        patches = [Patch(color=COLOURS[kind], label=kind) for kind in kinds]
        figure.legend(handles=patches, loc="outside upper right", ncols=len(kinds), frameon=False)
        figure.savefig(folder / f"{name}.png")


def in_order(summaries: Mapping[str, Summary]) -> list[str]:
    """Models by MRR@20 as a share of the best of each data set, the mean over those they were run on; worst first."""
    shares = [summary.mean["every mrr@20"] / summary.mean["every mrr@20"].max() for summary in summaries.values()]
    return list(pd.concat(shares, axis=1).mean(axis=1).sort_values().index)
