"""Training speed and peak memory of every model, as in figures 7 and 8 of the paper.

All learn from the same sessions with the hinge loss, in mini-batches of the same size. Speed is that of a further epoch
in processor time of one thread; the models take turns. Memory is what two epochs take at most, beyond torch and the
sessions, in a process of their own. ``--plot FILE`` draws both; it needs matplotlib.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import memory_use
from click_sessions import click_sessions, padded_rows, targets
from results import in_child, threads
from timing import interleaved, print_circumstances, print_table
from training import our_model, spotlight_model

OURS = ("gru4rec", "user_cat", "user_att", "time_cat", "time_att", "time_user", "dynamics")
SPOTLIGHTS = ("lstm", "pooling", "cnn")
PLAIN, REMEMBERING, SPOTLIGHT = "without memories", "with both memories", "Spotlight"
COLOURS = {PLAIN: "#2f5f9e", REMEMBERING: "#e07b28", SPOTLIGHT: "0.6"}
SMALL = {"sessions": 40, "num_items": 40, "repeats": 1, "kinds": ((PLAIN, "time_user"), (SPOTLIGHT, "pooling"))}


class Cost(NamedTuple):
    """Of one model: targets per second [1/s], and memory at most [MB]."""

    kind: str
    name: str
    speed: float
    memory: float


def all_kinds() -> list[tuple[str, str]]:
    """Every model, as kind and name."""
    ours = [(kind, name) for kind in (PLAIN, REMEMBERING) for name in OURS]
    return ours + [(SPOTLIGHT, name) for name in SPOTLIGHTS]


def made(kind: str, name: str, sessions: int, num_items: int) -> tuple[Any, Any]:
    """A model, and what it is fitted on."""
    log = click_sessions(sessions, num_items)
    if kind == SPOTLIGHT:
        return spotlight_model(name), padded_rows(log)
    memories = kind == REMEMBERING
    return our_model(loss="hinge", representation=name, history=memories, transitions=memories), log


def peak_of(kind: str, name: str, sessions: int, num_items: int) -> float:
    """Memory [MB] that training takes at most, beyond what this process holds before."""
    with threads(1):
        model, log = made(kind, name, sessions=2, num_items=10)
        model.fit(log)  # what torch loads at the first step is no cost of the model
        model, log = made(kind, name, sessions, num_items)
        memory_use.forget_peak()
        before = memory_use.held()
        model.fit(log)
        model.fit(log)
    return memory_use.peak() - before


def measure_models(
    sessions: int = 2_560,
    num_items: int = 30_000,
    repeats: int = 3,
    kinds: Sequence[tuple[str, str]] | None = None,
) -> list[Cost]:
    """Costs of all models, or of some, fastest first."""
    kinds = all_kinds() if kinds is None else kinds
    work = {}
    for kind in kinds:
        model, log = made(*kind, sessions, num_items)
        work[" ".join(kind)] = partial(model.fit, log)
    count = targets(click_sessions(sessions, num_items))
    with threads(1):
        for fit in work.values():
            fit()
        seconds = interleaved(work, repeats)
    peaks = {kind: in_child(peak_of, *kind, sessions, num_items) for kind in kinds}
    costs = [Cost(*kind, count / seconds[" ".join(kind)].cpu, peaks[kind]) for kind in kinds]
    return sorted(costs, key=lambda cost: -cost.speed)


def plot(costs: Sequence[Cost], file: Path) -> None:
    """Two panels of bars with the same models in the same order, fastest on top."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    figure = Figure(figsize=(10, 1.4 + 0.27 * len(costs)), dpi=110, layout="constrained")
    speed, memory = figure.subplots(1, 2, sharey=True)
    places = [len(costs) - place for place in range(len(costs))]
    colours = [COLOURS[cost.kind] for cost in costs]
    for panel, title, form, values in (
        (speed, "training speed [1000 targets/s], more is better", "{:.1f}", [cost.speed / 1e3 for cost in costs]),
        (memory, "memory beyond the data [MB], less is better", "{:,.0f}", [cost.memory for cost in costs]),
    ):
        bars = panel.barh(places, values, 0.72, color=colours)
        panel.bar_label(bars, fmt=form, padding=3, fontsize=8)
        panel.set_title(title, loc="left", fontsize=10)
        panel.set(xlim=(0, 1.12 * (max(values) or 1)), ylim=(0.4, len(costs) + 0.6))
        panel.set_xticks([])
        panel.tick_params(axis="y", length=0)
        panel.spines[["top", "right", "bottom"]].set_visible(False)
    speed.set_yticks(places, [cost.name for cost in costs])
    shown = [kind for kind in COLOURS if any(cost.kind == kind for cost in costs)]
    figure.legend(
        handles=[Patch(color=COLOURS[kind], label=kind) for kind in shown],
        loc="outside lower center",
        ncols=len(shown),
        frameon=False,
    )
    figure.savefig(file)


def main(argv: Sequence[str] | None = None) -> None:
    """Print speed and memory of each model, and draw them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=2_560)
    parser.add_argument("--items", type=int, default=30_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="+", metavar="MODEL", help="some models, like gru4rec lstm")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="png, svg or pdf")
    options = parser.parse_args(argv)
    kinds = [(kind, name) for kind, name in all_kinds() if options.only is None or name in options.only]
    costs = measure_models(options.sessions, options.items, options.repeats, kinds)
    print(f"{options.sessions} sessions, {options.items} items, medians of {options.repeats} epochs")
    rows = [[cost.name, cost.kind, f"{cost.speed:,.0f}", f"{cost.memory:,.0f}"] for cost in costs]
    print_table(["model", "", "targets/s", "memory [MB]"], rows)
    print_circumstances("numpy", "torch")
    if options.plot is not None:
        plot(costs, options.plot)


if __name__ == "__main__":
    main()
