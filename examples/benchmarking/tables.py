"""Lines as a Markdown table that also reads well as text: the best of each column in bold."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from benchmarking.measuring import CUTOFFS
from benchmarking.resampling import DRAWS, LEVEL
from benchmarking.summary import Line

METRICS_SHOWN = {"mrr": "MRR", "recall": "Recall"}
SIGNIFICANT = 0.05
NOTES = f"""\
Mean over the seeds ± their standard deviation, where there are several. In brackets: the middle {LEVEL:.0%} of {DRAWS}
bootstrap draws of the test sessions. Against the reference: the difference in MRR@20 in the same draws, and how
likely so clear a sign is by chance (two-sided, each model for itself); * below {SIGNIFICANT}. Rolled: each user's later
test sessions know the earlier ones. Targets/s: learned in training, of one thread, epochs counted. Bold: the best of
the column, models that see the dwell of the last item aside."""


class Column(NamedTuple):
    """How one column is headed, written, and ranked: 1 where more is better, -1 where less is, 0 where none is best."""

    head: str
    text: Callable[[Line], str]
    value: Callable[[Line], float] = lambda line: 0.0
    better: int = 0


def columns_at(at: str, reference: str) -> list[Column]:
    """The columns for "every" position or the "last"."""
    metrics = []
    for metric, head in METRICS_SHOWN.items():
        metrics += [_metric(f"{at} {metric}@{k}", f"{head}@{k}") for k in CUTOFFS]
        metrics.append(
            Column("95 %", lambda line, name=f"{at} {metric}@20": "[{:.4f}, {:.4f}]".format(*line.intervals[name]))
        )
    shown = [*metrics, Column(f"MRR@20 against {reference}", lambda line: _against(line, f"{at} mrr@20"))]
    if at == "every":
        shown += [_metric(f"rolled {metric}@20", f"rolled {head}@20") for metric, head in METRICS_SHOWN.items()]
        shown += [
            _cost("fit [s]", "fit [s]", "{:.1f}", -1),
            _cost("targets learned/s", "targets/s", "{:,.0f}", 1),
            _cost("peak [MiB]", "peak [MiB]", "{:,.0f}", -1),
        ]
    return shown


def table(lines: Sequence[Line], at: str, reference: str, dishonest: Collection[str] = ()) -> str:
    """The table of one data set, in the order of the lines.

    Parameters
    ----------
    lines : list of Line
    at : {"every", "last"}
        Positions that are looked at; costs stand beside the first.
    reference : str
        The model that all are measured against.
    dishonest : names
        Models that know what they could not know: no value of theirs is the best.
    """
    done = [line for line in lines if not line.failed]
    head, cells = ["model", "seeds"], {line.model: [line.model, str(line.seeds)] for line in done}
    for column in columns_at(at, reference):
        head.append(column.head)
        texts = {line.model: column.text(line) for line in done}
        rivals = [line for line in done if line.model not in dishonest and texts[line.model] != "-"]
        best = max((column.better * column.value(line) for line in rivals), default=0.0) if column.better else None
        for line in done:
            wins = best is not None and line in rivals and column.better * column.value(line) == best
            cells[line.model].append(f"**{texts[line.model]}**" if wins else texts[line.model])
    failures = [f"\n{line.model} failed: {line.failed}" for line in lines if line.failed]
    return "\n".join([markdown(head, list(cells.values())), *failures])


def overview(lines: Mapping[str, Sequence[Line]], dishonest: Collection[str] = ()) -> str:
    """One table of all data sets: MRR@20 / Recall@20 at every position, in the order of the first one's lines.

    A star says that the MRR@20 differs from that of the model all are measured against.
    """

    def cell(line: Line) -> str:
        versus = line.versus.get("every mrr@20")
        star = "*" if versus is not None and versus.p < SIGNIFICANT else ""
        return f"{line.means['every mrr@20']:.4f}{star} / {line.means['every recall@20']:.3f}"

    models = list(dict.fromkeys(line.model for mine in lines.values() for line in mine))
    cells = {model: [model] for model in models}
    for mine in lines.values():
        done = {line.model: line for line in mine if not line.failed}
        rivals = [line.means["every mrr@20"] for line in done.values() if line.model not in dishonest]
        for model in models:
            text = cell(done[model]) if model in done else "-"
            wins = model in done and model not in dishonest and done[model].means["every mrr@20"] == max(rivals)
            cells[model].append(f"**{text}**" if wins else text)
    return markdown(["MRR@20 / Recall@20", *lines], list(cells.values()))


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Cells under their heads, the first column to the left and the others to the right.

    >>> print(markdown(["model", "MRR"], [["a", "0.5"]]))
    | model | MRR |
    |:------|----:|
    | a     | 0.5 |
    """
    widths = [max(3, *(len(row[place]) for row in (head, *rows))) for place in range(len(head))]
    rule = "|".join(["", ":" + "-" * (widths[0] + 1), *("-" * (width + 1) + ":" for width in widths[1:]), ""])
    written = [" | ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in (head, *rows)]
    return "\n".join([f"| {written[0]} |", rule, *(f"| {row} |" for row in written[1:])])


def _metric(name: str, head: str) -> Column:
    def text(line: Line) -> str:
        if name not in line.means:
            return "-"
        spread = f" ±{line.spreads[name]:.4f}" if line.seeds > 1 else ""
        return f"{line.means[name]:.4f}{spread}"

    return Column(head, text, lambda line: line.means[name], 1)


def _cost(name: str, head: str, form: str, better: int) -> Column:
    return Column(head, lambda line: form.format(line.means[name]), lambda line: line.means[name], better)


def _against(line: Line, metric: str) -> str:
    if metric not in line.versus:
        return "-"
    found = line.versus[metric]
    star = "*" if found.p < SIGNIFICANT else ""
    return f"{found.difference:+.4f} [{found.low:+.4f}, {found.high:+.4f}] p={found.p:.3f}{star}"
