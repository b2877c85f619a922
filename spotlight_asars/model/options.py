"""The options of ``ASARSSequenceModel``, checked at the door."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.random import RandomState
from torch import nn

from spotlight_asars._checks import number, one_of, positive, require, resolve, switch, whole
from spotlight_asars.evaluation import METRICS
from spotlight_asars.losses import LOSSES
from spotlight_asars.representations import REPRESENTATIONS
from spotlight_asars.representations.asars import CELLS
from spotlight_asars.representations.dwell_encoding import TIME_ENCODINGS
from spotlight_asars.representations.time_attention import LAST_DWELL, READINGS
from spotlight_asars.sampling import SAMPLERS

CHOICES = {
    "cell": tuple(CELLS),
    "time_encoding": tuple(TIME_ENCODINGS),
    "attention": READINGS,
    "last_dwell": LAST_DWELL,
}
COUNTS = ("embedding_dim", "batch_size", "num_negative_samples", "hidden_dim", "user_dim", "time_dim", "history_size")
SWITCHES = ("use_cuda", "sparse", "residual", "history", "transitions", "averaging", "autocast", "compile")
SHARES = ("dropout", "event_dropout", "user_dropout", "dwell_dropout")


def check_options(options: Mapping[str, Any]) -> None:
    """Raise ``ValueError`` or ``TypeError``, naming option, rule and value, unless a model can be made of these."""
    resolve(options["loss"], LOSSES, "loss")
    resolve(options["negative_sampling"], SAMPLERS, "negative_sampling")
    if not isinstance(options["representation"], nn.Module):
        resolve(options["representation"], REPRESENTATIONS, "representation")
    for name, choices in CHOICES.items():
        one_of(options[name], choices, name)
    for name in COUNTS:
        whole(options[name], name, least=1)
    for name in SHARES:
        number(options[name], name)
        require(0 <= options[name] < 1, f"{name} must be a share from 0 up to but not 1", options[name])
    for name in SWITCHES:
        switch(options[name], name)
    whole(options["n_iter"], "n_iter", least=0)
    if options["patience"] is not None:
        whole(options["patience"], "patience", least=1)
    l2, rate = number(options["l2"], "l2", least=0), positive(options["learning_rate"], "learning_rate")
    require(l2 < np.inf, "l2 must be finite", l2)
    sparse_decay = options["sparse"] and l2
    require(not sparse_decay, "l2 must be 0 with sparse=True, for weight decay touches every row", l2)
    require(rate < np.inf, "learning_rate must be finite", rate)
    factory = options["optimizer_func"]
    if factory is not None and not callable(factory):
        raise TypeError(f"optimizer_func must be None, or a function of the parameters; got {factory!r}")
    if options["random_state"] is not None and not isinstance(options["random_state"], RandomState):
        whole(options["random_state"], "random_state", least=0, most=2**32 - 1)
    parse_monitor(options["monitor"])


def parse_monitor(monitor: str) -> tuple[str, int] | None:
    """Metric and cut-off of a name like ``"mrr@20"``; None for ``"loss"``."""
    name, _, cutoff = str(monitor).partition("@")
    valid = monitor == "loss" or (name in METRICS and cutoff.isdecimal() and cutoff == str(int(cutoff)) != "0")
    require(valid, f"monitor must be 'loss', or one of {sorted(METRICS)} with a cut-off, like 'mrr@20'", monitor)
    return None if monitor == "loss" else (name, int(cutoff))
