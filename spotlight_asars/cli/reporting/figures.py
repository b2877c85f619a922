"""The figures of a report, as pictures that a page can hold: each one for a wide and one for a narrow window."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from typing import TYPE_CHECKING

from spotlight_asars.cli.reporting.contents import OURS, Curve, Findings

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLORS = ("#e07b28", "#2f5f9e", "#4f8f4f", "#8c5aa8", "#a0522d", "#606060")  # the first is ours
MARKERS = "os^Dvx"
WIDE, NARROW = (10.0, 3.8), (5.0, 7.6)  # [inch]


def picture(draw: Callable[[bool], Figure], text: str) -> str:
    """An html picture of ``draw(narrow)``, which says `text` where it cannot be seen."""
    wide, narrow = (_data(draw(is_narrow)) for is_narrow in (False, True))
    return f'<picture><source media="(max-width: 700px)" srcset="{narrow}"><img src="{wide}" alt="{text}"></picture>'


def draw_curves(findings: Findings, narrow: bool) -> Figure:
    """The MRR of every model by the position in the session, and by how often the target was viewed."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=NARROW if narrow else WIDE, layout="constrained")
    panels = figure.subplots(2, 1) if narrow else figure.subplots(1, 2, sharey=True)
    name = f"MRR@{findings.k}"
    _draw(panels[0], findings.by_position, "place in the session", name)
    _draw(panels[1], findings.by_popularity, "views of the next item in training", name if narrow else "")
    for panel in panels:
        panel.set_ylim(0, None)
    lines, names = panels[0].get_legend_handles_labels()
    figure.legend(lines, names, loc="outside upper left", ncols=2 if narrow else 6, frameon=False)
    return figure


def _draw(panel: Axes, curve: Curve, what: str, metric: str) -> None:
    places = range(len(curve.labels))
    for number, (name, values) in enumerate(curve.values.items()):
        panel.plot(
            places,
            values,
            label=name,
            color=COLORS[number % len(COLORS)],
            marker=MARKERS[number % len(MARKERS)],
            linewidth=2.2 if name == OURS else 1.2,
            markersize=5,
            zorder=3 if name == OURS else 2,
        )
    panel.set(xlabel=what, ylabel=metric)
    panel.set_xticks(places, curve.labels)
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(axis="y", color="0.9")


def _data(figure: Figure) -> str:
    """A figure as an address that holds it."""
    file = io.BytesIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    return f"data:image/svg+xml;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
