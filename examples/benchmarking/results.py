"""The page of results: means, and intervals and tests by a bootstrap over the test sessions, as tables."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from benchmarks.harness import circumstances

from benchmarking.runs import CUTOFFS
from spotlight_asars.analysis.tables import markdown_table
from spotlight_asars.evaluation import METRICS, bootstrap, interval, p_value
from spotlight_asars.evaluation.comparison import DRAWS, LEVEL

COMPARED = ("every mrr@20", "every recall@20", "last mrr@20", "last recall@20")
SIGNIFICANT = 0.05
TITLES = {"mrr": "MRR", "recall": "Recall"}
COLUMNS = {  # by head: the value, its form, and 1 where more is better
    **{f"{title}@{k}": (f"{{at}} {metric}@{k}", "{:.4f}", 1) for metric, title in TITLES.items() for k in CUTOFFS},
    **{f"rolled {title}@20": (f"rolled {metric}@20", "{:.4f}", 1) for metric, title in TITLES.items()},
    "fit [s]": ("fit [s]", "{:.1f}", -1),
    "targets/s": ("targets learned/s", "{:,.0f}", 1),
    "peak [MiB]": ("peak [MiB]", "{:,.0f}", -1),
}
NOTES = f"""\
Mean over the seeds ± their standard deviation, where there are several. In brackets: the middle {LEVEL:.0%} of {DRAWS}
bootstrap draws of the test sessions. Against the reference: the difference in MRR@20 in the same draws, and how
likely so clear a sign is by chance (two-sided, each model for itself); * below {SIGNIFICANT}. Rolled: each user's later
test sessions know the earlier ones. Targets/s: learned in training, of one thread, epochs counted. Bold: the best of
the column, models that see the dwell of the last item aside."""


class Summary(NamedTuple):
    """The models of one data set."""

    mean: pd.DataFrame  # (model, metric or cost), over the seeds
    std: pd.DataFrame  # likewise, NaN of one seed
    draws: dict[str, pd.DataFrame]  # by model: metrics in each draw of sessions (draw, compared metric)
    notes: list[str]  # what failed, and what tuning chose

    def versus(self, model: str, reference: str, at: str) -> tuple[float, float, float, float] | None:
        """The difference in MRR@20, its interval, and its p value; None for the reference and without it."""
        metric = f"{at} mrr@20"
        if model == reference or reference not in self.draws:
            return None
        drawn = self.draws[model][metric] - self.draws[reference][metric]
        return self.mean.loc[model, metric] - self.mean.loc[reference, metric], *interval(drawn), p_value(drawn)


def summarise(runs: pd.DataFrame) -> Summary:
    """Sum up the runs of one data set."""
    runs = runs.assign(error=runs.get("error"))
    done, first = runs[runs["error"].isna()], runs.drop_duplicates("model").set_index("model")
    if done.empty:
        raise RuntimeError(f"one model or more must succeed on a data set; got {first['error'].iloc[0]!r}")
    notes = [f"{m} failed: {error}" for m, error in first["error"].items() if m not in set(done["model"])]
    lines = [f"- {m}: {', '.join(f'{o} {v}' for o, v in best.items())}" for m, best in first["tuned"].items() if best]
    notes += ["Tuning chose:", "\n".join(lines)] if lines else []
    numbers = done.select_dtypes("number").groupby(done["model"], sort=False)
    by_model = done.groupby("model", sort=False)
    draws = {model: drawn_metrics(mine["ranks"], mine["sessions"].iloc[0]) for model, mine in by_model}
    return Summary(numbers.mean(), numbers.std(), draws, notes)


def drawn_metrics(ranks: Collection[np.ndarray], sessions: np.ndarray, draws: int = DRAWS) -> pd.DataFrame:
    """Compared metrics in each draw of sessions, mean over the seeds; the draws are the same for all models."""
    last, means = np.flatnonzero(np.diff(sessions, append=-1)), {}
    for metric in COMPARED:
        at, _, name = metric.partition(" ")
        kind, _, k = name.partition("@")
        place = last if at == "last" else np.arange(len(sessions))
        values = np.mean([METRICS[kind](one[place].astype(np.float64), int(k)) for one in ranks], axis=0)
        means[metric] = bootstrap(values, sessions[place], draws)
    return pd.DataFrame(means)


def table(summary: Summary, models: Sequence[str], at: str, reference: str, dishonest: Collection[str] = ()) -> str:
    """The table of one data set at "every" position or the "last"; no value of a dishonest model is the best."""
    cells = pd.DataFrame(index=models)
    for head, (name, form, better) in COLUMNS.items():
        name = name.format(at=at)
        if at == "last" and not name.startswith("last"):
            continue
        value, std = (frame.get(name, pd.Series(dtype=float)).reindex(models) for frame in (summary.mean, summary.std))
        text = value.map(form.format)
        if "@" in name:
            text += std.map(" ±{:.4f}".format).where(std.notna(), "")
        ranked = better * value.drop(dishonest, errors="ignore")
        cells[head] = text.mask((ranked == ranked.max()).reindex(models, fill_value=False), "**" + text + "**")
        cells[head] = cells[head].where(value.notna(), "-")
        if name in COMPARED:
            ends = (interval(summary.draws[model][name]) for model in models)
            cells[f"95 % of {head}"] = ["[{:.4f}, {:.4f}]".format(*pair) for pair in ends]
    against = {model: summary.versus(model, reference, at) for model in models}
    form = "{:+.4f} [{:+.4f}, {:+.4f}] p={:.3f}{}".format
    texts = [form(*v, "*" * (v[3] < SIGNIFICANT)) if v else "-" for v in against.values()]
    cells.insert(list(cells).index("95 % of Recall@20") + 1, f"MRR@20 against {reference}", texts)
    return markdown_table(["model", *cells], [[*row] for row in cells.itertuples()])


def overview(summaries: Mapping[str, Summary], reference: str, dishonest: Collection[str] = ()) -> str:
    """One table of all data sets: MRR@20 / Recall@20; a star says that the MRR@20 differs from the reference's."""
    cells = {}
    for data, summary in summaries.items():
        best, cells[data] = summary.mean["every mrr@20"].drop(dishonest, errors="ignore").idxmax(), {}
        for model, mrr, recall in summary.mean[["every mrr@20", "every recall@20"]].itertuples():
            versus = summary.versus(model, reference, "every")
            text = f"{mrr:.4f}{'*' * bool(versus and versus[3] < SIGNIFICANT)} / {recall:.3f}"
            cells[data][model] = f"**{text}**" if model == best else text
    return markdown_table(["MRR@20 / Recall@20", *cells], [[*r] for r in pd.DataFrame(cells).fillna("-").itertuples()])


def page(
    abouts: Mapping[str, str],
    summaries: Mapping[str, Summary],
    reference: str,
    dishonest: Collection[str] = (),
    by_score: bool = True,
) -> str:
    """The notes, one table of all data sets, and the tables of each, in the order of MRR@20 where `by_score`."""
    sections = [NOTES]
    if len(summaries) > 1:
        star = f"## All data sets\n\nA star: the MRR@20 differs from that of {reference}."
        sections += [star, overview(summaries, reference, dishonest)]
    for data, summary in summaries.items():
        sections += [f"## {data}", abouts[data] + "."]
        for at, title in (("every", "Every position after the first"), ("last", "The last position of each session")):
            means = summary.mean[f"{at} mrr@20"]
            order = (means.sort_values(ascending=False, kind="stable") if by_score else means).index
            sections += [f"{title}:", table(summary, list(order), at, reference, dishonest)]
        sections += summary.notes
    return "\n\n".join(sections)


def publish(program: str, argv: Sequence[str] | None, text: str, runs: pd.DataFrame, args: argparse.Namespace) -> None:
    """Write ``results.md``, headed by the command and the machine, and ``runs.csv``; print the page."""
    words: list[Any] = [*(sys.argv[1:] if argv is None else argv)]
    words = [Path(word).name if os.path.isabs(word) else word for word in words]
    command, today = shlex.join(["python", f"examples/{program}.py", *words]), datetime.now(timezone.utc).date()
    budget = f"Seeds: {args.seeds}; trials of tuning for each model: {args.trials}"
    text = f"`{command}`, {today}; {circumstances()}; one thread for each run. {budget}.\n\n{text}"
    (args.out / "results.md").write_text(f"{text}\n")
    runs.drop(columns=["ranks", "sessions"], errors="ignore").to_csv(args.out / "runs.csv", index=False)
    print(text)
