"""The numbers of a report: metrics with intervals, curves by position and by popularity, and sessions to look at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spotlight_asars import ASARSSequenceModel, SessionInteractions
from spotlight_asars.evaluation import METRICS, Comparison, Report, bootstrap, compare, evaluate, holm, interval

OURS = "ASARS"  # the model that the others are compared with
LAST_POSITION = 12  # later ones are put together
GROUPS = 5  # of targets, by how often their items were viewed
SHOWN, VIEWED, RECOMMENDED = 20, 8, 10  # sessions, and items of each, at most


class Curve(NamedTuple):
    """A metric of each model over groups of targets, by name of the model.

    labels : of the groups
    sizes : targets of each group
    values : {model: float (groups,)}
    """

    labels: list[str]
    sizes: list[int]
    values: dict[str, list[float]]


class Findings(NamedTuple):
    """What ``measure`` found, by name of the model.

    k : cut-off of all metrics
    reports : of every target
    intervals : {model: {metric: (low, high)}}
    comparisons : of ``OURS`` with each other model in MRR; the p values are corrected by Holm
    by_position, by_popularity : of the MRR
    items, sessions, targets : how many
    """

    k: int
    reports: dict[str, Report]
    intervals: dict[str, dict[str, tuple[float, float]]]
    comparisons: dict[str, Comparison]
    by_position: Curve
    by_popularity: Curve
    items: int
    sessions: int
    targets: int


class Example(NamedTuple):
    """A session, what came next, and what was recommended.

    viewed, recommended : raw ids, the latest viewed one last, the best recommended one first
    came : raw id
    rank : of what came
    earlier : viewed events that are left out
    """

    viewed: list[Any]
    recommended: list[Any]
    came: Any
    rank: float
    earlier: int


def measure(
    models: Mapping[str, Any], train: SessionInteractions, test: SessionInteractions, k: int, categories: Any
) -> Findings:
    """Rank the test with every model, of which ``OURS`` is one, and compare them."""
    reports = {name: evaluate(model, test, k, lists=True, categories=categories) for name, model in models.items()}
    values = {
        name: {metric: METRICS[metric](report.ranks, k) for metric in METRICS} for name, report in reports.items()
    }
    ours = reports[OURS]
    intervals = {
        name: {metric: interval(bootstrap(drawn, ours.sessions)) for metric, drawn in of.items()}
        for name, of in values.items()
    }
    compared = {name: compare(ours, report, f"mrr@{k}") for name, report in reports.items() if name != OURS}
    corrected = holm({name: one.p for name, one in compared.items()})
    position, views = _position(ours.sessions), np.bincount(train.items, minlength=train.num_items)[_targets(test)]
    mrr = {name: of["mrr"] for name, of in values.items()}
    return Findings(
        k,
        reports,
        intervals,
        {name: one._replace(p=corrected[name]) for name, one in compared.items()},
        _by_position(position, mrr),
        _by_popularity(views, mrr),
        train.num_items - 1,
        len(test),
        len(ours.ranks),
    )


def examples(model: ASARSSequenceModel, test: SessionInteractions, report: Report) -> list[Example]:
    """The last targets of sessions from all over the test."""
    assert report.lists is not None
    assert model.item_vocabulary is not None
    decode = model.item_vocabulary.decode
    last = np.flatnonzero(np.diff(report.sessions, append=-1))  # of the targets of each session
    chosen = np.unique(np.linspace(0, len(last) - 1, min(SHOWN, len(last))).round().astype(int))
    shown = []
    for place in last[chosen]:
        row = report.sessions[place]
        *viewed, came = decode(test.items[test.offsets[row] : test.offsets[row + 1]]).tolist()
        recommended = report.lists[place][:RECOMMENDED]
        listed = decode(recommended[recommended > 0]).tolist()
        shown.append(Example(viewed[-VIEWED:], listed, came, float(report.ranks[place]), max(0, len(viewed) - VIEWED)))
    return shown


def _targets(test: SessionInteractions) -> NDArray[np.int64]:
    """The item of each target, (targets,): all events but each session's first."""
    is_target = np.ones(len(test.items), dtype=bool)
    is_target[test.offsets[:-1][test.lengths > 0]] = False
    return test.items[is_target].astype(np.int64)


def _position(sessions: NDArray[np.int64]) -> NDArray[np.int64]:
    """The place of each target in its session, from 2, by the session of each, which rise."""
    first = np.flatnonzero(np.diff(sessions, prepend=-1))
    return np.arange(len(sessions)) - np.repeat(first, np.diff(first, append=len(sessions))) + 2


def _by_position(position: NDArray[np.int64], values: Mapping[str, NDArray[np.float64]]) -> Curve:
    group = np.minimum(position, LAST_POSITION)
    names = np.unique(group).tolist()
    labels = [f"{name}+" if name == LAST_POSITION else str(name) for name in names]
    return _curve(labels, [group == name for name in names], values)


def _by_popularity(views: NDArray[np.int64], values: Mapping[str, NDArray[np.float64]]) -> Curve:
    """Groups of about as many targets each, from the least viewed items to the most viewed ones."""
    ends = np.unique(np.quantile(views, np.linspace(0, 1, GROUPS + 1)[1:], method="inverted_cdf"))
    group = np.searchsorted(ends, views)
    labels, members = [], []
    for number in np.unique(group):
        inside = group == number
        low, high = int(views[inside].min()), int(views[inside].max())
        labels.append(str(low) if low == high else f"{low}-{high}")
        members.append(inside)
    return _curve(labels, members, values)


def _curve(labels: list[str], members: list[NDArray[np.bool_]], values: Mapping[str, NDArray[np.float64]]) -> Curve:
    means = {name: [float(of[inside].mean()) for inside in members] for name, of in values.items()}
    return Curve(labels, [int(inside.sum()) for inside in members], means)
