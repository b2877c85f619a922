"""The runs of one model on one data set, whatever their seeds, as one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from benchmarking.measuring import last_of
from benchmarking.resampling import Floats, draw_sessions, drawn_means, interval, p_value, session_sums
from benchmarking.runs import COST_NAMES, METRIC_NAMES, Book, Run
from spotlight_asars.evaluation import METRICS

COMPARED = ("every mrr@20", "every recall@20", "last mrr@20", "last recall@20")


class Versus(NamedTuple):
    """How far a model's metric lies above that of the one all are measured against, and how likely that is chance."""

    difference: float
    low: float
    high: float
    p: float


class Line(NamedTuple):
    """One model on one data set: means over seeds, and how far the seeds spread (standard deviation of a sample)."""

    model: str
    seeds: int
    means: Mapping[str, float]
    spreads: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    versus: Mapping[str, Versus]
    failed: str = ""


def lines_of(runs: Mapping[str, Sequence[Run]], book: Book, reference: str) -> list[Line]:
    """A line for each model, from its runs in the book; those that have failed say why."""
    done = {name: [run for run in mine if not book.rows[run.key]["error"]] for name, mine in runs.items()}
    drawn = {name: _drawn(mine, book) for name, mine in done.items() if mine}
    lines: dict[str, Line] = {}
    for name, mine in runs.items():
        rows = [book.rows[run.key] for run in done[name]]
        if not rows:
            lines[name] = Line(name, 0, {}, {}, {}, {}, book.rows[mine[0].key]["error"])
            continue
        columns = {c: [float(row[c]) for row in rows] for c in (*METRIC_NAMES, *COST_NAMES) if rows[0][c]}
        means = {column: float(np.mean(values)) for column, values in columns.items()}
        spreads = {column: float(np.std(values, ddof=min(1, len(values) - 1))) for column, values in columns.items()}
        intervals = {metric: interval(values) for metric, values in drawn[name].items()}
        lines[name] = Line(name, len(rows), means, spreads, intervals, {})
    if reference not in drawn:
        return list(lines.values())
    return [line._replace(versus=_versus(line, lines[reference], drawn)) for line in lines.values()]


def _versus(line: Line, other: Line, drawn: Mapping[str, Mapping[str, Floats]]) -> dict[str, Versus]:
    """By metric, from the metrics of both in each draw; empty for a model against itself, and for one that failed."""
    if line.failed or line.model == other.model:
        return {}
    differences = {metric: drawn[line.model][metric] - drawn[other.model][metric] for metric in COMPARED}
    return {
        metric: Versus(line.means[metric] - other.means[metric], *interval(values), p_value(values))
        for metric, values in differences.items()
    }


def _drawn(runs: Sequence[Run], book: Book) -> dict[str, Floats]:
    """Metrics in each draw of sessions, the mean over the seeds, float64 (draws,) by name.

    The draws depend on nothing but the number of sessions, so those of two models on one data set are the same.
    """
    ranks = [book.ranks(run.key) for run in runs]
    sessions = ranks[0]["sessions"]
    places = {"every": np.arange(len(sessions)), "last": last_of(sessions)}
    drawn, means = draw_sessions(len(places["last"])), {}
    for metric in COMPARED:
        at, name = metric.split()
        kind, k = name.split("@")
        place = places[at]
        values = np.mean([METRICS[kind](r["every"][place].astype(np.float64), int(k)) for r in ranks], axis=0)
        means[metric] = drawn_means(*session_sums(values, sessions[place]), drawn)
    return means
