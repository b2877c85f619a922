"""The options of ``ASARSSequenceModel``, checked at the door."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from spotlight_asars._checks import require, resolve
from spotlight_asars.evaluation import METRICS
from spotlight_asars.losses import LOSSES
from spotlight_asars.representations import REPRESENTATIONS
from spotlight_asars.representations.asars import CELLS
from spotlight_asars.representations.time_attention import LAST_DWELL, READINGS
from spotlight_asars.representations.time_bins import TIME_ENCODINGS
from spotlight_asars.sampling import SAMPLERS

CHOICES = {
    "cell": tuple(CELLS),
    "time_encoding": tuple(TIME_ENCODINGS),
    "attention": READINGS,
    "last_dwell": LAST_DWELL,
}
COUNTS = ("embedding_dim", "batch_size", "num_negative_samples", "hidden_dim", "user_dim", "time_dim", "history_size")
SHARES = ("dropout", "event_dropout", "user_dropout", "dwell_dropout")


def check_options(options: Mapping[str, Any]) -> None:
    """Raise ``ValueError``, naming option, rule and value, unless a model can be made of these arguments."""
    resolve(options["loss"], LOSSES, "loss")
    resolve(options["negative_sampling"], SAMPLERS, "negative_sampling")
    if not isinstance(options["representation"], nn.Module):
        resolve(options["representation"], REPRESENTATIONS, "representation")
    for name, choices in CHOICES.items():
        require(options[name] in choices, f"{name} must be one of {list(choices)}", options[name])
    for name in COUNTS:
        require(options[name] >= 1, f"{name} must be 1 or more", options[name])
    for name in SHARES:
        require(0 <= options[name] < 1, f"{name} must be a share from 0 up to but not 1", options[name])
    n_iter, patience, l2, rate = (options[name] for name in ("n_iter", "patience", "l2", "learning_rate"))
    require(n_iter >= 0, "n_iter must be 0 or more", n_iter)
    require(patience is None or patience >= 1, "patience must be None, or 1 or more", patience)
    require(l2 >= 0, "l2 must be 0 or more", l2)
    sparse_decay = options["sparse"] and l2
    require(not sparse_decay, "l2 must be 0 with sparse=True, for weight decay touches every row", l2)
    require(rate > 0, "learning_rate must be positive", rate)
    parse_monitor(options["monitor"])


def parse_monitor(monitor: str) -> tuple[str, int] | None:
    """Metric and cut-off of a name like ``"mrr@20"``; None for ``"loss"``."""
    name, _, cutoff = str(monitor).partition("@")
    valid = monitor == "loss" or (name in METRICS and cutoff.isdecimal() and cutoff == str(int(cutoff)) != "0")
    require(valid, f"monitor must be 'loss', or one of {sorted(METRICS)} with a cut-off, like 'mrr@20'", monitor)
    return None if monitor == "loss" else (name, int(cutoff))
