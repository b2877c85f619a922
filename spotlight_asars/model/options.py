"""The options of ``ASARSSequenceModel``: each declared once, with what it may be.

The constructor's signature has their defaults. Everything else that deals with options (the net that is built, model
files, the command line, search) reads ``Options`` and ``OPTIONS``, so a new option is a line in the signature, one in
its docstring, and one here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any, get_type_hints

import numpy as np
from numpy.random import RandomState
from torch import nn

from spotlight_asars._checks import number, one_of, positive, random_state_of, require, resolve, switch, whole
from spotlight_asars.evaluation import parse_metric
from spotlight_asars.losses import LOSSES, Loss, find_loss
from spotlight_asars.representations import REPRESENTATIONS
from spotlight_asars.representations.asars import CELLS
from spotlight_asars.representations.dwell_encoding import TIME_ENCODINGS
from spotlight_asars.representations.time_attention import LAST_DWELL, READINGS
from spotlight_asars.sampling import SAMPLERS
from spotlight_asars.sessions import SessionInteractions
from spotlight_asars.sessions.targets import weight_of_targets

AUTO = "auto"  # what suits the sizes of the catalogue and the log
EXACT_UP_TO = 8_000  # items, padding included, all of which a target is compared with
EMBEDDING_DIMS = {10_000: 8, 15_000: 16, 30_000: 32}  # up to so many targets; larger ones learn a small log by heart
LARGEST_DIM = 64


@dataclass(frozen=True)
class Kind:
    """What an option may be.

    Attributes
    ----------
    check : callable
        ``(value, name)``; raises ``ValueError`` or ``TypeError`` unless the option may have the value.
    read : callable, optional
        The value of a text, as on the command line; None where no text can say it.
    choices : collection of str
        Names that it may have, if it is chosen from a list.
    table : mapping, optional
        What the names stand for, where something of the caller's own may take their place.
    table_name : str
        What the table is called in the code.
    """

    check: Callable[[Any, str], Any]
    read: Callable[[str], Any] | None = str
    choices: Iterable[str] = ()
    table: Mapping[str, Any] | None = None
    table_name: str = ""

    def name_of(self, value: Any) -> Any:
        """The name in the table of a value that is an entry of it; any other value as it is."""
        for name, entry in (self.table or {}).items():
            if value is entry or value is getattr(entry, "function", entry):
                return name
        return value


def _share(value: Any, name: str) -> None:
    number(value, name)
    require(0 <= value < 1, f"{name} must be a share from 0 up to but not 1", value)


def _finite(check: Callable[[Any, str], float], value: Any, name: str) -> None:
    require(check(value, name) < np.inf, f"{name} must be finite", value)


def _net(value: Any, name: str) -> None:
    if not isinstance(value, nn.Module):
        resolve(value, REPRESENTATIONS, name)


def _optimizer(value: Any, name: str) -> None:
    if value is not None and not callable(value):
        raise TypeError(f"{name} must be None, or a function of the parameters; got {value!r}")


def _monitor(value: Any, name: str) -> None:
    if value != "loss":
        parse_metric(value, name, "'loss', or ")


def _loss(value: Any, name: str) -> None:
    if not isinstance(value, str) or value != AUTO:
        find_loss(value)


def _sampler(value: Any, name: str) -> None:
    if not isinstance(value, str) or value != AUTO:
        resolve(value, SAMPLERS, name)


def _weights(value: Any, name: str) -> None:
    if value is None:
        return
    if not isinstance(value, Mapping):
        raise TypeError(f"{name} must be None, or a dict of weights by the name of the kind; got {value!r}")
    for kind, weight in value.items():
        whole_or_text = isinstance(kind, (str, int, np.integer)) and not isinstance(kind, bool)
        require(whole_or_text, f"{name} must name kinds by strings or integers", kind)
        _finite(partial(number, least=0), weight, f"{name}[{kind!r}]")
    require(any(weight > 0 for weight in value.values()), f"{name} must leave a kind to be predicted", value)


def _boolean(text: str) -> bool:
    return {"true": True, "false": False}[text.lower()]


def _or_none(kind: Kind) -> Kind:
    """The same kind, or None."""
    read = kind.read
    assert read is not None
    return Kind(
        lambda value, name: None if value is None else kind.check(value, name),
        lambda text: None if text.lower() == "none" else read(text),
    )


def _or_auto(kind: Kind) -> Kind:
    """The same kind, or "auto"."""
    read = kind.read
    assert read is not None
    return Kind(
        lambda value, name: None if isinstance(value, str) and value == AUTO else kind.check(value, name),
        lambda text: AUTO if text == AUTO else read(text),
    )


def _one_of(names: Iterable[str]) -> Kind:
    choices = tuple(names)
    return Kind(lambda value, name: one_of(value, choices, name), choices=choices)


COUNT = Kind(partial(whole, least=1), int)
SWITCH = Kind(switch, _boolean)
SHARE = Kind(_share, float)
LOSS = Kind(_loss, choices=(AUTO, *LOSSES), table=LOSSES, table_name="LOSSES")
NET = Kind(_net, choices=REPRESENTATIONS, table=REPRESENTATIONS, table_name="REPRESENTATIONS")
SAMPLER = Kind(_sampler, choices=(AUTO, *SAMPLERS), table=SAMPLERS, table_name="SAMPLERS")
AUTO_OR_COUNT = _or_auto(COUNT)


@dataclass(frozen=True)
class Options:
    """The arguments of ``ASARSSequenceModel``; ``ValueError`` or ``TypeError`` names option, rule and value."""

    loss: Annotated[Any, LOSS]
    representation: Annotated[Any, NET]
    embedding_dim: Annotated[Any, AUTO_OR_COUNT]
    n_iter: Annotated[Any, _or_auto(Kind(partial(whole, least=0), int))]
    batch_size: Annotated[Any, AUTO_OR_COUNT]
    l2: Annotated[float, Kind(partial(_finite, partial(number, least=0)), float)]
    learning_rate: Annotated[float, Kind(partial(_finite, positive), float)]
    optimizer_func: Annotated[Any, Kind(_optimizer, read=None)]
    use_cuda: Annotated[bool, Kind(switch, read=None)]
    sparse: Annotated[bool, SWITCH]
    random_state: Annotated[Any, Kind(random_state_of, int)]
    num_negative_samples: Annotated[Any, AUTO_OR_COUNT]
    hidden_dim: Annotated[int, COUNT]
    user_dim: Annotated[int, COUNT]
    time_dim: Annotated[int, COUNT]
    cell: Annotated[str, _one_of(CELLS)]
    item_neighbours: Annotated[int, Kind(partial(whole, least=0), int)]
    time_encoding: Annotated[str, _one_of(TIME_ENCODINGS)]
    attention: Annotated[str, _one_of(READINGS)]
    residual: Annotated[bool, SWITCH]
    last_dwell: Annotated[str, _one_of(LAST_DWELL)]
    dropout: Annotated[float, SHARE]
    event_dropout: Annotated[float, SHARE]
    user_dropout: Annotated[float, SHARE]
    dwell_dropout: Annotated[float, SHARE]
    id_dropout: Annotated[float, SHARE]
    negative_sampling: Annotated[Any, SAMPLER]
    history: Annotated[bool, SWITCH]
    history_size: Annotated[int, COUNT]
    transitions: Annotated[bool, SWITCH]
    neighbours: Annotated[bool, SWITCH]
    averaging: Annotated[bool, SWITCH]
    kind_weights: Annotated[Any, Kind(_weights, read=None)]
    patience: Annotated[int | None, _or_none(COUNT)]
    monitor: Annotated[str, Kind(_monitor)]
    autocast: Annotated[bool, SWITCH]
    compile: Annotated[bool, SWITCH]

    def __post_init__(self) -> None:
        for name, kind in OPTIONS.items():
            kind.check(getattr(self, name), name)
        both = self.sparse and self.l2
        require(not both, "l2 must be 0 with sparse=True, for weight decay touches every row", self.l2)

    def settled(self, num_items: int) -> Options:
        """The same options, with all that is "auto" but sizes of the net chosen for a catalogue of this size, padding
        included."""
        exact = num_items <= EXACT_UP_TO
        loss = self.loss
        if isinstance(loss, str) and loss == AUTO:
            loss = "cross_entropy" if exact else "sampled_softmax"
        stands_for_all = find_loss(loss).corrects_log_q
        suits: dict[str, Any] = {
            "loss": loss,
            "n_iter": 10 if exact else 5,
            "batch_size": 32 if exact else 128,
            "num_negative_samples": 1024 if stands_for_all else 256,
            "negative_sampling": "popularity" if stands_for_all else "local",
        }
        given = {name: getattr(self, name) for name in suits}
        is_open = {name for name, value in given.items() if isinstance(value, str) and value == AUTO}
        return replace(self, **{name: suits[name] for name in is_open})

    def dim_for(self, sessions: SessionInteractions, features: bool) -> int:
        """The size of the embeddings of a net that is to learn from these sessions, and maybe from features."""
        if self.embedding_dim != AUTO:
            return int(self.embedding_dim)
        if features:  # items of few or no events are told apart
            return LARGEST_DIM
        num_targets = weight_of_targets(sessions, None)
        return next((dim for most, dim in EMBEDDING_DIMS.items() if num_targets <= most), LARGEST_DIM)

    def describe_training(self) -> str:
        """What a target is compared with, how many sessions share a step and the embeddings' size, in one line."""
        loss = find_loss(self.loss)
        compared = "all items"
        if loss.over_catalogue is None:
            compared = f"{self.num_negative_samples} negatives ({text_of(self.negative_sampling)})"
        shape = f"{self.batch_size} sessions a batch, embeddings of {self.embedding_dim}"
        return f"loss {text_of(self.loss)} against {compared}, {shape}"

    def as_dict(self) -> dict[str, Any]:
        """The options by name, in the order of the constructor."""
        return {name: getattr(self, name) for name in OPTIONS}

    def as_text(self) -> dict[str, str]:
        """The options as text that is the same in every run; see ``text_of``."""
        return {name: text_of(value) for name, value in self.as_dict().items()}


def text_of(value: Any) -> str:
    """A value as text that is the same in every run: of a function its name, of any other object its class."""
    if isinstance(value, np.generic):
        return str(value.item())
    if isinstance(value, partial):
        words = [text_of(part) for part in (value.func, *value.args)]
        words += [f"{name}={text_of(part)}" for name, part in value.keywords.items()]
        return f"partial({', '.join(words)})"
    if isinstance(value, Loss):
        return text_of(value.function)
    if callable(value) or isinstance(value, RandomState):
        named = value if hasattr(value, "__qualname__") else type(value)
        return f"{named.__module__}.{named.__qualname__}"
    return str(value)


OPTIONS: dict[str, Kind] = {
    name: annotated.__metadata__[0] for name, annotated in get_type_hints(Options, include_extras=True).items()
}
