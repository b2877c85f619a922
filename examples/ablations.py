"""Ablations: what each part of ASARS is worth, by taking it away or putting another in its place, one at a time.

    python examples/ablations.py --data FOLDER --logs kuairand --seeds 3 --jobs 2

Data sets, resumption and what comes out are as in ``benchmark.py``, but for the figures. All rows are measured against
the default model, the first. Samplers and numbers of negatives are compared in a loss that draws negatives: its row
"loss sampled_softmax" is the one to set them beside.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from benchmarking import logs
from benchmarking.contestants import Contestant
from benchmarking.report import circumstances, written
from benchmarking.runs import FINAL, Book, plan, run_all
from benchmarking.summary import lines_of

from spotlight_asars import ASARSSequenceModel
from spotlight_asars.losses import LOSSES
from spotlight_asars.representations.time_bins import TIME_ENCODINGS
from spotlight_asars.sampling import SAMPLERS

BASE = "default"
SAMPLED = {"loss": "sampled_softmax"}  # the loss in which samplers are compared: the default one draws no negatives
DEFAULTS = ASARSSequenceModel().get_params()


def others(option: str, values: Any, **beside: Any) -> dict[str, Contestant]:
    """The default model with each of the values that an option does not have by default, and other options beside."""
    prefix = "".join(f"{value}, " for value in beside.values())
    different = [value for value in values if value != DEFAULTS[option]]
    return {f"{prefix}{option} {v}": Contestant(ASARSSequenceModel, {**beside, option: v}) for v in different}


ABLATIONS: dict[str, Contestant] = {
    BASE: Contestant(ASARSSequenceModel),
    **others("history", [False]),
    **others("transitions", [False]),
    "no memories": Contestant(ASARSSequenceModel, {"history": False, "transitions": False}),
    **{change: Contestant(ASARSSequenceModel, change=change) for change in ("dwell shuffled", "dwell constant")},
    "users shuffled": Contestant(ASARSSequenceModel, change="users shuffled"),
    "last_dwell observed": Contestant(ASARSSequenceModel, {"last_dwell": "observed"}, honest=False),
    **others("attention", ["causal"]),
    **others("residual", [False]),
    **others("time_encoding", TIME_ENCODINGS),
    **others("loss", LOSSES),
    **others("negative_sampling", SAMPLERS, **SAMPLED),
    **others("num_negative_samples", [32, 128, 512], **SAMPLED),
}


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="of folders with events.csv.gz, one a data set")
    parser.add_argument("--logs", nargs="+", metavar="NAME", help="data sets; by default all known ones in the folder")
    parser.add_argument("--only", nargs="+", default=list(ABLATIONS), choices=tuple(ABLATIONS), metavar="ROW")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--jobs", type=int, default=1, help="runs side by side")
    parser.add_argument("--out", type=Path, default=Path("ablation_results"), metavar="FOLDER")
    parser.add_argument("--retry", action="store_true", help="do runs again that have failed")
    args = parser.parse_args(argv)

    data, book = (
        [logs.load(name, args.data) for name in args.logs or logs.names_in(args.data)],
        Book(args.out, args.retry),
    )
    rows = {name: row for name, row in ABLATIONS.items() if name in {BASE, *args.only}}
    runs = {
        log.name: {
            name: [plan(log, FINAL, name, row, s, row.settled(s, args.epochs)) for s in range(args.seeds)]
            for name, row in rows.items()
        }
        for log in data
    }
    run_all([run for of_log in runs.values() for mine in of_log.values() for run in mine], book, args.jobs)
    lines = {name: lines_of(of_log, book, BASE) for name, of_log in runs.items()}
    about = {log.name: log.final.about for log in data}
    dishonest = [name for name, row in rows.items() if not row.honest]
    text = written(lines, about, BASE, dishonest, by_score=False)
    told = f"{circumstances('ablations', argv)}\n\n{args.seeds} seeds.\n\n{text}\n"
    (args.out / "results.md").write_text(told)
    print(told)


if __name__ == "__main__":
    main()
