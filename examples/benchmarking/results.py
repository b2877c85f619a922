"""The page of results: means, and intervals and tests by a bootstrap over the test sessions, as tables."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from benchmarks.harness import circumstances
from numpy.random import RandomState

from benchmarking.runs import CUTOFFS, Contestant
from spotlight_asars.evaluation import METRICS
from spotlight_asars.runtime.tables import markdown_table

COMPARED = ("every mrr@20", "every recall@20", "last mrr@20", "last recall@20")
DRAWS, LEVEL, SIGNIFICANT = 2000, 0.95, 0.05
POSITIONS = {"every": "Every position after the first", "last": "The last position of each session"}
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

    def versus(self, model: str, reference: str, metric: str) -> tuple[float, float, float, float] | None:
        """The difference from the reference, its interval, and its p value; None for the reference and without it."""
        if model == reference or reference not in self.draws:
            return None
        drawn = self.draws[model][metric] - self.draws[reference][metric]
        difference = self.mean.loc[model, metric] - self.mean.loc[reference, metric]
        return difference, *interval(drawn), p_value(drawn)


def interval(values: pd.Series) -> tuple[float, float]:
    """What lies in the middle ``LEVEL`` of the draws."""
    return tuple(np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]))


def p_value(differences: Sequence[float]) -> float:
    """Two-sided: how seldom the difference has the other sign; never 0, for there are but so many draws.

    >>> p_value([0.2, 0.1, -0.1, 0.3, 0.2, 0.1, 0.2])
    0.5
    """
    seldom = min(np.less_equal(differences, 0).sum(), np.greater_equal(differences, 0).sum())
    return min(1.0, 2 * (1 + int(seldom)) / (1 + len(differences)))


def summarise(runs: pd.DataFrame) -> Summary:
    """Sum up the runs of one data set."""
    runs = runs.assign(error=runs.get("error"))
    done, tuned = runs[runs["error"].isna()], runs.drop_duplicates("model")[["model", "tuned"]]
    failed = runs[~runs["model"].isin(done["model"])].drop_duplicates("model")
    notes = [f"{model} failed: {error}" for model, error in zip(failed["model"], failed["error"], strict=True)]
    lines = [f"- {m}: {', '.join(f'{o} {v}' for o, v in best.items())}" for _, m, best in tuned.itertuples() if best]
    notes += ["Tuning chose:", "\n".join(lines)] if lines else []
    numbers = done.select_dtypes("number").groupby(done["model"], sort=False)
    by_model = done.groupby("model", sort=False)
    draws = {model: drawn_metrics(mine["ranks"], mine["sessions"].iloc[0]) for model, mine in by_model}
    return Summary(numbers.mean(), numbers.std(), draws, notes)


def drawn_metrics(ranks: Collection[np.ndarray], sessions: np.ndarray, draws: int = DRAWS) -> pd.DataFrame:
    """Compared metrics in each draw of sessions, mean over the seeds; the draws are the same for all models.

    Sessions are drawn and not targets, for the targets of a session are much alike.
    """
    session = np.unique(sessions, return_inverse=True)[1]
    count, last = session[-1] + 1, np.flatnonzero(np.diff(session, append=-1))
    drawn = RandomState(0).multinomial(count, np.full(count, 1 / count), size=draws).astype(np.float64)
    means = {}
    for metric in COMPARED:
        at, _, name = metric.partition(" ")
        kind, _, k = name.partition("@")
        place = last if at == "last" else np.arange(len(session))
        values = np.mean([METRICS[kind](one[place].astype(np.float64), int(k)) for one in ranks], axis=0)
        means[metric] = drawn @ np.bincount(session[place], values) / (drawn @ np.bincount(session[place]))
    return pd.DataFrame(means)


def table(summary: Summary, models: Sequence[str], at: str, reference: str, dishonest: Collection[str] = ()) -> str:
    """The table of one data set at "every" position or the "last"; no value of a dishonest model is the best."""
    mean, std = summary.mean, summary.std
    columns: list[tuple[str, list[str]]] = [("model", [*models])]

    def numbers(head: str, name: str, form: str = "{:.4f}", better: int = 1, spread: bool = True) -> None:
        values = (better * mean[name] if name in mean else pd.Series(np.nan, mean.index))[models]
        best = values.drop(dishonest, errors="ignore").max()
        texts = []
        for model, value in values.items():
            text = "-" if np.isnan(value) else form.format(better * value)
            text += f" ±{std.loc[model, name]:.4f}" if spread and text != "-" and std.loc[model, name] >= 0 else ""
            texts.append(f"**{text}**" if value == best and model not in dishonest else text)
        columns.append((head, texts))

    def texts(head: str, text: Callable[[str], str]) -> None:
        columns.append((head, [text(model) for model in models]))

    def against(model: str) -> str:
        versus = summary.versus(model, reference, f"{at} mrr@20")
        form = "{:+.4f} [{:+.4f}, {:+.4f}] p={:.3f}".format
        return "-" if versus is None else form(*versus) + "*" * (versus[3] < SIGNIFICANT)

    for metric, title in (("mrr", "MRR"), ("recall", "Recall")):
        for k in CUTOFFS:
            numbers(f"{title}@{k}", f"{at} {metric}@{k}")
        drawn = {model: summary.draws[model][f"{at} {metric}@20"] for model in models}
        texts("95 %", lambda model, drawn=drawn: "[{:.4f}, {:.4f}]".format(*interval(drawn[model])))
    texts(f"MRR@20 against {reference}", against)
    if at == "every":
        numbers("rolled MRR@20", "rolled mrr@20")
        numbers("rolled Recall@20", "rolled recall@20")
        numbers("fit [s]", "fit [s]", "{:.1f}", -1, spread=False)
        numbers("targets/s", "targets learned/s", "{:,.0f}", spread=False)
        numbers("peak [MiB]", "peak [MiB]", "{:,.0f}", -1, spread=False)
    return markdown_table([head for head, _ in columns], list(zip(*(cells for _, cells in columns), strict=True)))


def overview(summaries: Mapping[str, Summary], reference: str, dishonest: Collection[str] = ()) -> str:
    """One table of all data sets: MRR@20 / Recall@20; a star says that the MRR@20 differs from the reference's."""
    rows = {model: [model] for summary in summaries.values() for model in summary.mean.index}
    for summary in summaries.values():
        mrr, recall = summary.mean["every mrr@20"], summary.mean["every recall@20"]
        best = mrr.drop(dishonest, errors="ignore").max()
        for model, row in rows.items():
            if model not in mrr.index:
                row.append("-")
                continue
            versus = summary.versus(model, reference, "every mrr@20")
            star = "*" * (versus is not None and versus[3] < SIGNIFICANT)
            text = f"{mrr[model]:.4f}{star} / {recall[model]:.3f}"
            row.append(f"**{text}**" if mrr[model] == best and model not in dishonest else text)
    return markdown_table(["MRR@20 / Recall@20", *summaries], list(rows.values()))


def page(
    abouts: Mapping[str, str],
    summaries: Mapping[str, Summary],
    models: Mapping[str, Contestant],
    reference: str,
    by_score: bool = True,
) -> str:
    """The notes, one table of all data sets, and the tables of each, in the order of MRR@20 where `by_score`."""
    dishonest, sections = [name for name, model in models.items() if not model.honest], [NOTES]
    if len(summaries) > 1:
        star = f"## All data sets\n\nA star: the MRR@20 differs from that of {reference}."
        sections += [star, overview(summaries, reference, dishonest)]
    for data, summary in summaries.items():
        sections += [f"## {data}", abouts[data] + "."]
        for at, title in POSITIONS.items():
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
