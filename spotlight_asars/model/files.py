"""Model files: all of a fitted model but its code, in one file of tensors.

Nothing in a file is run: it holds numbers, ids and the options' text. What no text can hold (functions, nets and
optimizers of one's own) is refused when saving. The optimizer's state is left out: ``update`` goes on where it was,
``fit`` goes on from the same weights with a fresh optimizer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.random import RandomState
from numpy.typing import NDArray
from torch import Tensor, nn

from spotlight_asars._checks import require
from spotlight_asars.events import Vocabulary
from spotlight_asars.events.item_features import FeatureSpace
from spotlight_asars.memory.item_transitions import ARRAYS, Transitions
from spotlight_asars.memory.neighbour_sessions import NeighbourSessions
from spotlight_asars.model.building import build_fitted
from spotlight_asars.model.options import OPTIONS, Options
from spotlight_asars.recommending.catalogue import Catalogue
from spotlight_asars.recommending.fitted_net import FittedNet
from spotlight_asars.runtime import tensor_files
from spotlight_asars.runtime.devices import preserved_generators
from spotlight_asars.training.progress import Epoch

FORMAT = 3  # to be raised when files change so that older versions could misread them
VOCABULARIES = {"item_vocabulary": 1, "user_vocabulary": 0, "kind_vocabulary": 1}  # name, and the first contiguous id

Arrays = dict[str, NDArray[Any]]


class Content(NamedTuple):
    """All that a model file holds."""

    options: Options
    fitted: FittedNet
    catalogue: Catalogue
    epochs: list[Epoch]
    random_state: RandomState


def write(content: Content, path: Path) -> None:
    """Write a fitted model to a file."""
    fitted, generator = content.fitted, content.random_state.get_state(legacy=False)
    known = generator["bit_generator"]
    require(known == "MT19937", "random_state must draw by MT19937, numpy's own, for a model file", known)
    arrays: Arrays = {f"net.{name}": tensor.detach().cpu().numpy() for name, tensor in _tensors(fitted.net)}
    arrays |= {f"users.{name}": array for name, array in fitted.users.arrays().items()}
    if fitted.neighbours is not None:
        arrays |= {f"neighbours.{name}": array for name, array in fitted.neighbours.arrays().items()}
    if fitted.transitions is not None:
        arrays |= {f"transitions.{name}": array for name, array in fitted.transitions.arrays().items()}
    for name in VOCABULARIES:
        arrays |= _vocabulary_arrays(name, getattr(content.catalogue, name))
    context = content.catalogue.context_vocabularies
    for place, vocabulary in enumerate(context.values()):
        arrays |= _vocabulary_arrays(f"context_vocabularies.{place}", vocabulary)
    arrays |= {"item_counts": content.catalogue.item_counts}
    arrays |= {"dwell_scale": fitted.dwell_scale, "random_state": generator["state"]["key"]}
    header = {
        "format": FORMAT,
        "options": _as_json(content.options),
        "embedding_dim": int(fitted.embedding_dim),
        "num_items": int(fitted.num_items),
        "num_users": int(fitted.num_users),
        "labels": fitted.labels,
        "context": list(context),
        "features": None if fitted.space is None else fitted.space.as_json(),
        "epochs": [list(epoch) for epoch in content.epochs],
        "random_state": [int(generator["state"]["pos"]), int(generator["has_gauss"]), float(generator["gauss"])],
    }
    try:
        tensor_files.write(path, header, arrays)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OSError(
            f"path must be in a folder that is there, with room to write to; got {str(path)!r}: {reason}. "
            "What was there before is as it was"
        ) from error


def read(path: Path, defaults: Mapping[str, Any], use_cuda: bool) -> Content:
    """The content of a file that ``write`` wrote; `defaults` are those of options that are newer than the file."""
    header, arrays = _read(path)
    weights = header["options"].get("kind_weights")
    try:
        kind_weights = None if weights is None else dict(weights)
        options = Options(**{**defaults, **header["options"], "use_cuda": use_cuda, "kind_weights": kind_weights})
    except (TypeError, ValueError) as error:
        raise ValueError(f"path must hold options that this version knows; got {str(path)!r}: {error}") from None
    sizes = header["num_items"], header["num_users"]
    with preserved_generators(use_cuda):  # the fresh weights are overwritten
        space = None if header["features"] is None else FeatureSpace(**header["features"])
        kinds, context_sizes = header["labels"]
        labels = kinds, tuple(context_sizes)
        built = replace(options, embedding_dim=header.get("embedding_dim", options.embedding_dim))
        fitted = build_fitted(built, *sizes, _take(arrays, "dwell_scale", path), space=space, labels=labels)
    with torch.no_grad():
        for name, tensor in _tensors(fitted.net):
            given = torch.from_numpy(_take(arrays, f"net.{name}", path))
            rule = f"path must hold {name} of {tensor.dtype} and shape {tuple(tensor.shape)}, as its options say"
            fits = given.shape == tensor.shape and given.dtype == tensor.dtype
            require(fits, rule, f"{given.dtype} and {tuple(given.shape)}")
            tensor.copy_(given)
    counts = _take(arrays, "item_counts", path)
    fitted.seen = counts > 0
    recalled = fitted.users.arrays()
    if "users.kind" not in arrays:  # as in older files
        recalled.pop("kind", None)
    fitted.users.restore({name: _take(arrays, f"users.{name}", path) for name in recalled})
    if fitted.neighbour_terms is not None and fitted.neighbour_terms.is_worth_something:
        kept = {name: _take(arrays, f"neighbours.{name}", path) for name in ("items", "offsets")}
        fitted.neighbours = NeighbourSessions.from_arrays(kept, fitted.num_items, fitted.device)
    if options.transitions:
        fitted.transitions = Transitions.from_arrays(
            {name: _take(arrays, f"transitions.{name}", path) for name in ARRAYS}, fitted.device
        )
    items, users, kinds = (_vocabulary(name, arrays, first) for name, first in VOCABULARIES.items())
    named = {name: _vocabulary(f"context_vocabularies.{n}", arrays, 1) for n, name in enumerate(header["context"])}
    context = {name: vocabulary for name, vocabulary in named.items() if vocabulary is not None}
    catalogue = Catalogue(*sizes, counts, items, users, kinds, context, labels)
    position, has_gauss, gauss = header["random_state"]
    random_state = RandomState()
    random_state.set_state(("MT19937", _take(arrays, "random_state", path), position, has_gauss, gauss))
    require(not arrays, "path must hold no tensors but those of its options", sorted(arrays))
    return Content(options, fitted, catalogue, [Epoch(*epoch) for epoch in header["epochs"]], random_state)


def _as_json(options: Options) -> dict[str, Any]:
    """The options as JSON can hold them, but for the device."""
    given = options.as_dict()
    del given["use_cuda"]
    if not isinstance(given["random_state"], (int, np.integer)):
        given["random_state"] = None  # where the generator stands is kept all the same
    if given["kind_weights"] is not None:  # the keys of a JSON object are strings
        given["kind_weights"] = [[_plain(kind), float(weight)] for kind, weight in given["kind_weights"].items()]
    for name, kind in OPTIONS.items():
        if kind.table is not None:
            given[name] = kind.name_of(given[name])
            require(
                isinstance(given[name], str),
                f"{name} must be one of {sorted(kind.table)} for a model file, which holds no code",
                getattr(options, name),
                f"Put it into {kind.table_name} under a name of its own, before saving and before loading",
            )
    require(
        given["optimizer_func"] is None,
        "optimizer_func must be None for a model file, which holds no code",
        given["optimizer_func"],
        "torch.save(model, path) can hold a function of a module, in a file that runs code when it is loaded",
    )
    return {name: _plain(value) for name, value in given.items()}


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _tensors(net: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Weights and buffers; one that has several names comes once."""
    yield from net.named_parameters()
    yield from net.named_buffers()


def _vocabulary_arrays(name: str, vocabulary: Vocabulary | None) -> Arrays:
    """Integers as they are; strings as their UTF-8 one after the other, and where each starts and the last ends."""
    if vocabulary is None:
        return {}
    if vocabulary.raw.dtype.kind in "iu":
        return {f"{name}.integers": vocabulary.raw}
    encoded = [text.encode("utf-8", "surrogatepass") for text in vocabulary.raw.tolist()]
    offsets = np.r_[0, np.cumsum([len(text) for text in encoded], dtype=np.int64)]
    return {f"{name}.utf8": np.frombuffer(b"".join(encoded), dtype=np.uint8), f"{name}.offsets": offsets}


def _vocabulary(name: str, arrays: Arrays, first: int) -> Vocabulary | None:
    """Take out of the arrays what ``_vocabulary_arrays`` gave."""
    if f"{name}.integers" in arrays:
        return Vocabulary(arrays.pop(f"{name}.integers"), first)
    if f"{name}.utf8" not in arrays:
        return None
    text, offsets = arrays.pop(f"{name}.utf8").tobytes(), arrays.pop(f"{name}.offsets").tolist()
    texts = [text[start:stop].decode("utf-8", "surrogatepass") for start, stop in pairwise(offsets)]
    return Vocabulary(np.array(texts, object), first)


def _read(path: Path) -> tuple[dict[str, Any], Arrays]:
    """Header and arrays of a model file that is whole and of a format that is known."""
    if not path.is_file():
        raise FileNotFoundError(f"path must name an existing file; got {str(path)!r}")
    try:
        header, arrays = tensor_files.read(path)
    except ValueError as error:
        raise ValueError(f"path must be a whole file of ASARSSequenceModel.save; got {str(path)!r}: {error}") from None
    number = header.get("format") if isinstance(header, dict) else None
    require(isinstance(number, int), "path must be a file of ASARSSequenceModel.save", str(path))
    assert isinstance(number, int)
    rule = f"path must be a model file of format {FORMAT}"
    by = (
        "spotlight_asars 0.2, whose memories were others,"
        if number == 1
        else "An earlier version of spotlight_asars 0.3"
    )
    by = "A newer version of spotlight_asars" if number > FORMAT else by
    require(number == FORMAT, rule, number, f"{by} wrote it, and reads it")
    return header, arrays


def _take(arrays: Arrays, name: str, path: Path) -> NDArray[Any]:
    """Remove an array from the others, and return it."""
    require(name in arrays, f"path must hold a tensor {name!r}", str(path))
    return arrays.pop(name)
