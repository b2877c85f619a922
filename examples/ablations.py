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
from copy import copy
from functools import partial
from typing import Any

import numpy as np
from benchmarking.results import page, publish, summarise
from benchmarking.runs import Contestant, add_arguments, compete
from numpy.random import RandomState

from spotlight_asars import ASARSSequenceModel, SessionInteractions
from spotlight_asars.losses import LOSSES
from spotlight_asars.representations.dwell_encoding import TIME_ENCODINGS
from spotlight_asars.sampling import SAMPLERS

BASE = "time_user+memories"
EVERY_CHANNEL = {"representation": "time_user"}
SAMPLED = {"loss": "sampled_softmax"}  # the loss in which samplers are compared: the default one draws no negatives
DEFAULTS = {**ASARSSequenceModel().get_params(), **EVERY_CHANNEL}


def changed(
    channel: str, constant: bool, parts: list[SessionInteractions], random_state: RandomState
) -> list[SessionInteractions]:
    """Sessions in which the known values of a channel change places, or are all the median of the first part."""
    first, parts = getattr(parts[0], channel), [copy(part) for part in parts]
    for part in parts:
        if (values := getattr(part, channel)) is not None:
            known, values = ~np.isnan(values), values.copy()
            values[known] = np.nanmedian(first) if constant else random_state.permutation(values[known])
            setattr(part, channel, values)
    return parts


CHANGES = {
    "dwell shuffled": partial(changed, "flat_dwell_times", False),
    "dwell constant": partial(changed, "flat_dwell_times", True),
    "users shuffled": partial(changed, "user_ids", False),
}


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
    **others("neighbours", [False]),
    **others("item_neighbours", [0]),
    "no memories": row({"history": False, "transitions": False, "neighbours": False}),
    **{name: row(change=change) for name, change in CHANGES.items()},
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
    dishonest = [name for name, one in rows.items() if not one.honest]
    publish("ablations", argv, page(abouts, summaries, BASE, dishonest, by_score=False), runs, args)


if __name__ == "__main__":
    main()
