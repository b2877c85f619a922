"""Ablations: what each part of ASARS is worth, by taking it away or putting another in its place, one at a time.

    python examples/ablations.py --data FOLDER --logs kuairand --seeds 3 --jobs 2

Data sets, resumption and what it writes are as in ``benchmark.py``, but for the figures. All rows are compared with the
first, the net with every channel: time attention, user concatenation and both memories. Samplers and numbers of
negatives are compared in a loss that draws negatives: its row "loss sampled_softmax" is the one to set them beside.
Each loss has its own best learning rate, which ``--trials 5`` searches for in every row.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from benchmarking.results import page, publish, summarise
from benchmarking.runs import Contestant, add_arguments, compete

from spotlight_asars import ASARSSequenceModel
from spotlight_asars.losses import LOSSES
from spotlight_asars.representations.dwell_encoding import TIME_ENCODINGS
from spotlight_asars.sampling import SAMPLERS

BASE = "time_user+memories"
EVERY_CHANNEL = {"representation": "time_user"}
SAMPLED = {"loss": "sampled_softmax"}  # the loss in which samplers are compared: the default one draws no negatives
DEFAULTS = {**ASARSSequenceModel().get_params(), **EVERY_CHANNEL}


def row(options: Mapping[str, Any] = {}, **more: Any) -> Contestant:
    """The first row's model with some options changed; `more` are the other fields of the contestant."""
    return Contestant(ASARSSequenceModel, {**EVERY_CHANNEL, **options}, spaces=("ablations",), **more)


def others(option: str, values: Any, **beside: Any) -> dict[str, Contestant]:
    """The first row's model with each of the values that an option does not have there, and other options beside."""
    prefix = "".join(f"{value}, " for value in beside.values())
    different = [value for value in values if value != DEFAULTS[option]]
    return {f"{prefix}{option} {v}": row({**beside, option: v}) for v in different}


ABLATIONS: dict[str, Contestant] = {
    BASE: row(),
    **others("representation", ["gru4rec", "time_att", "user_cat"]),
    **others("history", [False]),
    **others("transitions", [False]),
    "no memories": row({"history": False, "transitions": False}),
    **{change: row(change=change) for change in ("dwell shuffled", "dwell constant")},
    "users shuffled": row(change="users shuffled"),
    "last_dwell observed": row({"last_dwell": "observed"}, honest=False),
    **others("event_dropout", [0.25]),
    **others("averaging", [False]),
    **others("attention", ["causal"]),
    **others("residual", [False]),
    **others("time_encoding", TIME_ENCODINGS),
    **others("loss", LOSSES),
    **others("negative_sampling", SAMPLERS, **SAMPLED),
    **others("num_negative_samples", [32, 128, 512], **SAMPLED),
}


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser, out="ablation_results")
    parser.add_argument("--only", nargs="+", default=list(ABLATIONS), choices=tuple(ABLATIONS), metavar="ROW")
    args = parser.parse_args(argv)
    rows = {name: one for name, one in ABLATIONS.items() if name in {BASE, *args.only}}
    abouts, runs = compete(rows, args)
    summaries = {data: summarise(mine) for data, mine in runs.groupby("data", sort=False)}
    publish("ablations", argv, page(abouts, summaries, rows, BASE, by_score=False), runs, args)


if __name__ == "__main__":
    main()
