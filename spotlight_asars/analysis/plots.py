"""The figure of an ``Analysis``, by matplotlib (the extra ``plots``) without pyplot and its global state."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from spotlight_asars.analysis.dwell import DwellHistogram
from spotlight_asars.analysis.log_analysis import Analysis
from spotlight_asars.analysis.shares import RepeatRates, TopShares

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ITEM, CATEGORY, DWELL, FIT = "#e07b28", "#2f5f9e", "0.78", "0.1"  # orange, blue and greys that differ in print, too
SIZE, STACKED = (13.0, 4.0), (5.0, 11.5)  # [inch]


def plot_analysis(analysis: Analysis, stacked: bool = False) -> Figure:
    """Figure 1 of the paper for any log, in three panels: clicks within sessions, across sessions, and dwell times.

    Parameters
    ----------
    analysis : Analysis
        From ``analysis.analyse``. Categories are drawn where it has them; a panel without data says so.
    stacked : bool
        Put the panels one below the other, for narrow places.

    Returns
    -------
    matplotlib.figure.Figure
        For the caller to save: ``figure.savefig("analysis.png")``.

    Raises
    ------
    ImportError
        If matplotlib is missing.

    Examples
    --------
    >>> from spotlight_asars.analysis.log_analysis import analyse
    >>> from spotlight_asars.datasets.synthetic import generate_sessions
    >>> figure = plot_analysis(analyse(generate_sessions(10, 20, 30, random_state=0)))  # doctest: +SKIP
    """
    try:
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "matplotlib":  # something matplotlib itself needs is missing
            raise
        raise ImportError("plot_analysis needs matplotlib; pip install 'spotlight-asars[plots]' brings it") from error

    layout = ConstrainedLayoutEngine(hspace=0.1 if stacked else 0.02)
    figure = Figure(figsize=STACKED if stacked else SIZE, dpi=120, layout=layout)
    within, across, dwell = figure.subplots(3, 1) if stacked else figure.subplots(1, 3)
    _draw_top_shares(within, analysis.top_items, analysis.top_categories, analysis.summary.single_sessions)
    _draw_repeat_rates(across, analysis.repeated_items, analysis.repeated_categories)
    _draw_dwell(dwell, analysis.dwell)
    for panel in (within, across, dwell):
        panel.spines[["top", "right"]].set_visible(False)
        panel.set_axisbelow(True)
        panel.grid(axis="y", color="0.9")
    return figure


def _draw_top_shares(panel: Axes, items: TopShares, categories: TopShares | None, single: float) -> None:
    n = np.arange(1, len(items.share) + 1)
    if categories is None:
        panel.bar(n, 100 * items.share, 0.8, color=ITEM)
        panel.set_xlabel("n-th most frequent item of the session")
    else:
        panel.bar(n - 0.2, 100 * categories.share, 0.4, color=CATEGORY, label="category")
        panel.bar(n + 0.2, 100 * items.share, 0.4, color=ITEM, label="item")
        panel.set_xlabel("n-th most frequent of the session")
        panel.legend(frameon=False)
    panel.set(ylabel="share of the session's clicks [%]", xticks=n)
    _title(panel, "Within a session", f"mean of {items.sessions:,} sessions, {100 * single:.0f} % of one event")


def _draw_repeat_rates(panel: Axes, items: RepeatRates, categories: RepeatRates | None) -> None:
    k = np.arange(1, len(items.rate) + 1)
    if categories is not None:
        panel.plot(k, 100 * categories.rate, "o-", color=CATEGORY, label="category", clip_on=False)
    panel.plot(k, 100 * items.rate, "o-", color=ITEM, label="item", clip_on=False)
    panel.set(xlabel="k, number of the user's previous sessions", ylabel="clicks repeated from them [%]")
    panel.set(xticks=k, ylim=(0, None))
    _title(panel, "Across sessions", f"mean of {items.sessions:,} sessions with at least {items.earlier} before")
    if not items.sessions:
        _write(panel, f"no session has {items.earlier} before it")
    elif categories is not None:
        panel.legend(frameon=False)


def _draw_dwell(panel: Axes, dwell: DwellHistogram) -> None:
    panel.stairs(dwell.density, dwell.edges, fill=True, color=DWELL, label="observed")
    if not np.isnan(dwell.shape):
        fit = f"gamma, shape {dwell.shape:.2f}, scale {dwell.scale:.4g} s"
        panel.stairs(dwell.fitted, dwell.edges, baseline=None, color=FIT, linewidth=1.5, label=fit)
    top = 1.3 * np.nanmax([*dwell.density, *dwell.fitted]) or 1  # leaves room for the legend
    panel.set(xlabel="dwell time [s]", ylabel="density [1/s]", xlim=(dwell.edges[0], dwell.edges[-1]), ylim=(0, top))
    if dwell.positive:
        left_out = f"{100 * dwell.zeros:.0f} % zeros left out; {100 * dwell.outside:.0f} % of the rest is off the axis"
        _title(panel, "Dwell time", left_out)
        panel.legend(frameon=False, loc="upper right")
    else:
        _title(panel, "Dwell time", "")
        _write(panel, "no dwell time is known and above zero")


def _title(panel: Axes, what: str, population: str) -> None:
    panel.set_title(f"{what}\n", loc="left", fontsize="large", fontweight="bold")
    panel.text(0, 1.03, population, transform=panel.transAxes, fontsize="small", color="0.35")


def _write(panel: Axes, text: str) -> None:
    panel.text(0.5, 0.5, text, transform=panel.transAxes, ha="center", va="center")
