"""The page of a report: one html file that needs nothing else, for wide and narrow windows.

All that comes from the data, as ids and names do, is escaped: it is text, never a tag.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from spotlight_asars.analysis.log_analysis import Analysis
from spotlight_asars.analysis.plots import plot_analysis
from spotlight_asars.cli.reporting.contents import OURS, Example, Findings
from spotlight_asars.cli.reporting.figures import draw_curves, picture

TITLES = {"mrr": "MRR", "recall": "Recall", "ndcg": "NDCG"}
LISTS = {"coverage": "Coverage", "novelty": "Novelty [bit]", "tail": "Tail", "diversity": "Diversity"}
SIGNIFICANT = 0.05
PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<main>
<h1>{title}</h1>
{body}
</main>
</body>
</html>
"""


def write_page(
    path: Path,
    title: str,
    analysis: Analysis,
    findings: Findings,
    weights: Mapping[str, float],
    shown: Sequence[Example],
    dropped: Any,
) -> None:
    """Write the page to a file."""
    body = "\n".join(
        [
            _lead(findings, dropped),
            _section("What is in the log", _log(analysis)),
            _section("How well the next item is found", _models(findings)),
            _section("Where it is found", _curves(findings)),
            _section("What memory learned", _weights(weights)),
            _section(f"{len(shown)} sessions", _sessions(shown)),
        ]
    )
    style = (files(__package__) / "style.css").read_text(encoding="utf-8")
    text = PAGE.format(title=escaped(title), style=style, body=body)
    path.write_bytes(text.encode("utf-8", "replace"))


def escaped(value: Any) -> str:
    """A value as text that no browser takes for anything else.

    >>> escaped("<b>&'")
    '&lt;b&gt;&amp;&#x27;'
    """
    return html.escape(str(value), quote=True)


def _section(head: str, content: str) -> str:
    return f"<section>\n<h2>{escaped(head)}</h2>\n{content}\n</section>"


def _lead(findings: Findings, dropped: Any) -> str:
    name = f"mrr@{findings.k}"
    best = max(findings.reports, key=lambda model: findings.reports[model][name])
    worse = [model for model, one in findings.comparisons.items() if one.p < SIGNIFICANT and one.difference > 0]
    better = [model for model, one in findings.comparisons.items() if one.p < SIGNIFICANT and one.difference < 0]
    said = [f"The highest MRR@{findings.k} is that of {best}: {findings.reports[best][name]:.3f}."]
    said += [f"{OURS} is ahead of {_and(worse)} beyond chance."] if worse else []
    said += [f"{OURS} is behind {_and(better)} beyond chance."] if better else []
    sizes = f"{findings.targets:,} next items of {findings.sessions:,} sessions, each among {findings.items:,} items"
    left_out = (
        f"; {dropped.events:,} events of items that training does not know are left out" if dropped.events else ""
    )
    return f'<p class="lead">{escaped(" ".join(said))}</p>\n<p>{escaped(sizes + left_out)}.</p>'


def _log(analysis: Analysis) -> str:
    summary = analysis.summary
    facts = {
        "events": f"{summary.events:,}",
        "users": f"{summary.users:,}",
        "items": f"{summary.items:,}",
        "sessions": f"{summary.sessions:,}",
        "events of a session": f"{summary.events_per_session:.1f}",
        "sessions of a user": f"{summary.sessions_per_user:.1f}",
        "sessions of one event": f"{summary.single_sessions:.0%}",
    }
    cells = "".join(f"<div><dt>{escaped(name)}</dt><dd>{escaped(value)}</dd></div>" for name, value in facts.items())
    text = "Repeats within a session and across sessions, and dwell times"
    return f'<dl class="facts">{cells}</dl>\n{picture(lambda narrow: plot_analysis(analysis, stacked=narrow), text)}'


def _models(findings: Findings) -> str:
    k, first = findings.k, findings.reports[OURS]
    metrics = {f"{title}@{k}": name for name, title in TITLES.items()}
    lists = {f"{title}": name for name, title in LISTS.items() if f"{name}@{k}" in first}
    heads = ["model", *metrics, f"{OURS} ahead by", *lists]
    best = {name: max(report[f"{name}@{k}"] for report in findings.reports.values()) for name in metrics.values()}
    rows = []
    for model, report in findings.reports.items():
        cells = [f"<b>{escaped(model)}</b>"]
        for name in metrics.values():
            value, (low, high) = report[f"{name}@{k}"], findings.intervals[model][name]
            number = f"<b>{value:.4f}</b>" if value == best[name] else f"{value:.4f}"
            cells.append(f"{number} <small>[{low:.4f}, {high:.4f}]</small>")
        one = findings.comparisons.get(model)
        if one is None:
            cells.append("")
        else:
            low, high = one.interval
            sign = "*" if one.p < SIGNIFICANT else ""
            cells.append(f"{one.difference:+.4f}{sign} <small>[{low:+.4f}, {high:+.4f}], p {one.p:.3f}</small>")
        cells += [f"{report[f'{name}@{k}']:.3f}" for name in lists.values()]
        rows.append(cells)
    notes = (
        f"In brackets the middle 95 % of 2,000 draws of the test sessions. {OURS} ahead by: the difference in "
        f"MRR@{k} in the same draws; * p below {SIGNIFICANT}, corrected by Holm. Coverage: share of all items that "
        "are recommended at all. Novelty: mean information of an item by its views. Tail: share of recommended items "
        "beyond the most popular ones, which have 80 % of the views."
    )
    return f'{_table(heads, rows)}\n<p class="note">{escaped(notes)}</p>'


def _curves(findings: Findings) -> str:
    sizes = (
        f"Targets by place: {_counts(findings.by_position.labels, findings.by_position.sizes)}. "
        f"By views: {_counts(findings.by_popularity.labels, findings.by_popularity.sizes)}."
    )
    figure = picture(lambda narrow: draw_curves(findings, narrow), "Curves by place in the session and by popularity")
    return f'{figure}\n<p class="note">{escaped(sizes)}</p>'


def _weights(weights: Mapping[str, float]) -> str:
    if not weights:
        return "<p>This model has no memory.</p>"
    most = max(map(abs, weights.values())) or 1.0
    rows = []
    for name, value in weights.items():
        width, sign = 100 * abs(value) / most, "minus" if value < 0 else "plus"
        rows.append([escaped(name), f"{value:+.3f}", f'<span class="bar {sign}" style="width:{width:.1f}%"></span>'])
    note = (
        "Each is what a term adds to a score for one unit of its feature. A decay is the power with which a term "
        "fades, and a scale what a count is multiplied by before its logarithm is taken."
    )
    return f'{_table(["term", "weight", ""], rows, "weights")}\n<p class="note">{escaped(note)}</p>'


def _sessions(shown: Iterable[Example]) -> str:
    cards = []
    for one in shown:
        earlier = f'<li class="more">{one.earlier} before</li>' if one.earlier else ""
        viewed = earlier + "".join(f"<li>{escaped(item)}</li>" for item in one.viewed)
        listed = "".join(
            f'<li class="came">{escaped(item)}</li>' if item == one.came else f"<li>{escaped(item)}</li>"
            for item in one.recommended
        )
        came = f"<p>came: <b>{escaped(one.came)}</b>, at rank {one.rank:,.4g}</p>"
        lists = f'<h3>viewed</h3><ol class="chips">{viewed}</ol><h3>recommended</h3><ol class="chips">{listed}</ol>'
        cards.append(f"<article>{lists}{came}</article>")
    return f'<p>The last item of sessions from all over the test.</p>\n<div class="cards">{"".join(cards)}</div>'


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], kind: str = "models") -> str:
    """A table of cells that are html already; in a narrow window a row is a block, where each cell says its head."""
    head = "".join(f"<th>{escaped(name)}</th>" for name in heads)
    body = ""
    for row in rows:
        pairs = zip(heads, row, strict=True)
        cells = (f'<td data-head="{escaped(name)}">{cell and f"<span>{cell}</span>"}</td>' for name, cell in pairs)
        body += f"<tr>{''.join(cells)}</tr>\n"
    return f'<table class="{kind}">\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>'


def _counts(labels: Sequence[str], sizes: Sequence[int]) -> str:
    return ", ".join(f"{label}: {size:,}" for label, size in zip(labels, sizes, strict=True))


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
