"""The page of results: means, intervals and tests by bootstrap over the test sessions, tables, and what tuning chose."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from benchmarking.runs import CUTOFFS, Contestant, Log
from benchmarks.harness import circumstances
from numpy.random import RandomState

from spotlight_asars.evaluation import METRICS
from spotlight_asars.runtime.tables import markdown_table

COMPARED = ("every mrr@20", "every recall@20", "last mrr@20", "last recall@20")
DRAWS, LEVEL, SIGNIFICANT = 2000, 0.95, 0.05
POSITIONS = {"every": "Every position after the first", "last": "The last position of each session"}
COSTS = (("fit [s]", "fit [s]", "{:.1f}", -1), ("targets learned/s", "targets/s", "{:,.0f}", 1))
COSTS = (*COSTS, ("peak [MiB]", "peak [MiB]", "{:,.0f}", -1))
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
    seeds: pd.Series
    draws: dict[str, pd.DataFrame]  # by model: metrics in each draw of sessions (draw, compared metric)
    failed: dict[str, str]  # why, of models of which all runs failed

    def interval(self, values: pd.Series) -> tuple[float, float]:
        """What lies in the middle ``LEVEL`` of the draws."""
        return tuple(values.quantile([(1 - LEVEL) / 2, (1 + LEVEL) / 2]))

    def versus(self, model: str, reference: str, metric: str) -> tuple[float, float, float, float] | None:
        """The difference to the reference, its interval, and its p value; None for the reference and without it."""
        if model == reference or reference not in self.draws:
            return None
        drawn = self.draws[model][metric] - self.draws[reference][metric]
        difference = self.mean.loc[model, metric] - self.mean.loc[reference, metric]
        return difference, *self.interval(drawn), p_value(drawn)


def p_value(differences: Sequence[float]) -> float:
    """Two-sided: how seldom the difference has the other sign; never 0, for there are but so many draws.

    >>> p_value([0.2, 0.1, -0.1, 0.3, 0.2, 0.1, 0.2])
    0.5
    """
    seldom = min(sum(np.less_equal(differences, 0)), sum(np.greater_equal(differences, 0)))
    return min(1.0, 2 * (1 + int(seldom)) / (1 + len(differences)))


def summarise(runs: pd.DataFrame) -> Summary:
    """Sum up the runs of one data set."""
    done = runs[runs["error"].isna()] if "error" in runs else runs
    failed = runs[~runs["model"].isin(done["model"])]
    by_model = done.groupby("model", sort=False)
    numbers = done.select_dtypes("number").groupby(done["model"], sort=False)
    draws = {model: drawn(mine["ranks"], mine["sessions"].iloc[0]) for model, mine in by_model}
    errors = failed.drop_duplicates("model").set_index("model")["error"].to_dict() if len(failed) else {}
    return Summary(numbers.mean(), numbers.std(), by_model.size(), draws, errors)


def drawn(ranks: Sequence[np.ndarray], sessions: np.ndarray, draws: int = DRAWS) -> pd.DataFrame:
    """Compared metrics in each draw of sessions, mean over the seeds; the draws are the same for all models.

    Sessions are drawn and not targets, for the targets of a session are much alike.
    """
    session = np.unique(sessions, return_inverse=True)[1]
    count = session[-1] + 1
    drawn = RandomState(0).multinomial(count, np.full(count, 1 / count), size=draws).astype(np.float64)
    last, means = np.flatnonzero(np.diff(session, append=-1)), {}
    for metric in COMPARED:
        at, name = metric.split()
        kind, k = name.split("@")
        place = last if at == "last" else np.arange(len(session))
        values = np.mean([METRICS[kind](one[place].astype(np.float64), int(k)) for one in ranks], axis=0)
        means[metric] = drawn @ np.bincount(session[place], values) / (drawn @ np.bincount(session[place]))
    return pd.DataFrame(means)


def table(summary: Summary, models: Sequence[str], at: str, reference: str, dishonest: Sequence[str] = ()) -> str:
    """The table of one data set at "every" position or the "last"; no value of a dishonest model is the best."""
    mean, columns = summary.mean, {"model": list(models), "seeds": [summary.seeds[model] for model in models]}

    def numbers(head: str, name: str, form: str = "{:.4f}", better: int = 1, spread: bool = True) -> None:
        values = better * mean[name].drop([*dishonest], errors="ignore") if name in mean else pd.Series(dtype=float)
        texts = []
        for model in models:
            text = form.format(mean.loc[model, name]) if name in mean and mean[name].notna()[model] else "-"
            text += (
                f" ±{summary.std.loc[model, name]:.4f}" if spread and text != "-" and summary.seeds[model] > 1 else ""
            )
            texts.append(f"**{text}**" if values.get(model, np.nan) == values.max() else text)
        columns[head] = texts

    for metric, title in (("mrr", "MRR"), ("recall", "Recall")):
        for k in CUTOFFS:
            numbers(f"{title}@{k}", f"{at} {metric}@{k}")
        intervals = (summary.interval(summary.draws[model][f"{at} {metric}@20"]) for model in models)
        columns[f"95 %{' ' * (metric == 'recall')}"] = ["[{:.4f}, {:.4f}]".format(*ends) for ends in intervals]
    against = (summary.versus(model, reference, f"{at} mrr@20") for model in models)
    form = "{:+.4f} [{:+.4f}, {:+.4f}] p={:.3f}".format
    columns[f"MRR@20 against {reference}"] = [
        "-" if found is None else form(*found) + "*" * (found[3] < SIGNIFICANT) for found in against
    ]
    if at == "every":
        numbers("rolled MRR@20", "rolled mrr@20")
        numbers("rolled Recall@20", "rolled recall@20")
        for name, head, form, better in COSTS:
            numbers(head, name, form, better, spread=False)
    return markdown_table([head.strip() for head in columns], list(zip(*columns.values(), strict=True)))


def overview(summaries: Mapping[str, Summary], reference: str, dishonest: Sequence[str] = ()) -> str:
    """One table of all data sets: MRR@20 / Recall@20; a star says that the MRR@20 differs from the reference's."""
    rows = {model: [model] for summary in summaries.values() for model in summary.mean.index}
    for summary in summaries.values():
        mrr, recall = summary.mean["every mrr@20"], summary.mean["every recall@20"]
        for model, row in rows.items():
            if model not in mrr.index:
                row.append("-")
                continue
            versus = summary.versus(model, reference, "every mrr@20")
            star = "*" * (versus is not None and versus[3] < SIGNIFICANT)
            text = f"{mrr[model]:.4f}{star} / {recall[model]:.3f}"
            wins = model not in dishonest and mrr[model] == mrr.drop([*dishonest], errors="ignore").max()
            row.append(f"**{text}**" if wins else text)
    return markdown_table(["MRR@20 / Recall@20", *summaries], list(rows.values()))


def page(
    logs: Sequence[Log], runs: pd.DataFrame, models: Mapping[str, Contestant], reference: str, by_score: bool = True
) -> str:
    """The notes, one table of all data sets, and the sections of each; in the order of MRR@20 where `by_score`."""
    summaries = {log.name: summarise(runs[runs["data"] == log.name]) for log in logs}
    dishonest, sections = [name for name, model in models.items() if not model.honest], [NOTES]
    if len(logs) > 1:
        star = f"## All data sets\n\nA star: the MRR@20 differs from that of {reference}."
        sections += [star, overview(summaries, reference, dishonest)]
    for log in logs:
        summary = summaries[log.name]
        sections += [f"## {log.name}", log.about + "."]
        for at, title in POSITIONS.items():
            means = summary.mean[f"{at} mrr@20"]
            order = list(means.sort_values(ascending=False, kind="stable").index if by_score else means.index)
            sections += [f"{title}:", table(summary, order, at, reference, dishonest)]
        sections += [f"{model} failed: {error}" for model, error in summary.failed.items()]
        chosen = runs[runs["data"] == log.name].drop_duplicates("model").set_index("model")["tuned"]
        items = [f"- {m}: {', '.join(f'{o} {v}' for o, v in best.items())}" for m, best in chosen.items() if best]
        sections += ["Tuning chose other settings than the defaults:", "\n".join(items)] if items else []
    return "\n\n".join(sections)


def publish(program: str, argv: Sequence[str] | None, text: str, runs: pd.DataFrame, args: argparse.Namespace) -> None:
    """Write ``results.md``, headed by the command and the machine, and ``runs.csv``; print the page."""
    words = [Path(word).name if os.path.isabs(word) else word for word in (sys.argv[1:] if argv is None else argv)]
    command = shlex.join(["python", f"examples/{program}.py", *words])
    today, budget = datetime.now(timezone.utc).date(), f"trials of tuning for each model: {args.trials}"
    head = f"`{command}`, {today}; {circumstances('pandas')}; one thread for each run. Seeds: {args.seeds}; {budget}."
    (args.out / "results.md").write_text(f"{head}\n\n{text}\n")
    runs.drop(columns=["ranks", "sessions"], errors="ignore").to_csv(args.out / "runs.csv", index=False)
    print(f"{head}\n\n{text}")
