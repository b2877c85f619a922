"""Model files: all of a fitted model but its code, in one safetensors file.

- Nothing in a file is run: it holds numbers, ids and the options' text. What no text can hold (functions, nets and
  optimizers of one's own) is refused when saving.
- A file is written beside its place and moved there once it is safe on the disk, so there is never half of one.
- A checksum covers the header and every tensor: a file that was cut, damaged or edited is refused as a whole.

The optimizer's state is left out: ``update`` goes on where it was, ``fit`` goes on from the same weights with a fresh
optimizer.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.random import RandomState
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from torch import nn

from spotlight_asars._checks import require
from spotlight_asars.events.vocabulary import Vocabulary
from spotlight_asars.losses import LOSSES
from spotlight_asars.memory.item_transitions import ARRAYS, Transitions
from spotlight_asars.representations import REPRESENTATIONS
from spotlight_asars.runtime import tensor_files
from spotlight_asars.sampling import SAMPLERS
from spotlight_asars.training.loop import Epoch

FORMAT = 1  # to be raised when files change so that older versions could misread them
HEADER, CHECKSUM = "spotlight_asars", "sha256"  # keys of the metadata
TABLES: dict[str, tuple[str, Mapping[str, Any]]] = {
    "loss": ("LOSSES", LOSSES),
    "representation": ("REPRESENTATIONS", REPRESENTATIONS),
    "negative_sampling": ("SAMPLERS", SAMPLERS),
}
VOCABULARIES = {"item_vocabulary": 1, "user_vocabulary": 0}  # attribute, and the first contiguous id

Arrays = dict[str, NDArray[Any]]
Model = TypeVar("Model", bound="ModelFiles")


class ModelFiles:
    """``save`` and ``load`` of a model."""

    def _check_fitted(self, asked: str = "save") -> None:
        """Raise ``RuntimeError`` before ``fit``."""

    def save(self, path: str | Path) -> None:
        """Write the fitted model to one safetensors file: weights, memory, users' drift, raw ids and options.

        The file is there as a whole or not at all, and holds no code. The optimizer's state is left out.

        Parameters
        ----------
        path : str or Path
            Replaced if it exists.

        Raises
        ------
        RuntimeError
            Before ``fit``.
        ValueError
            If an option is a function or a net, which no file of numbers can hold.
        """
        self._check_fitted("save")
        _write_model(self, Path(path))

    @classmethod
    def load(cls: type[Model], path: str | Path, use_cuda: bool = False) -> Model:
        """The model that ``save`` wrote: it scores as before, ``update`` goes on, and nothing in the file is run.

        ``fit`` goes on from the same weights and random state, with a fresh optimizer.

        Parameters
        ----------
        path : str or Path
        use_cuda : bool
            Run on the GPU, wherever the model was trained.

        Raises
        ------
        ValueError
            If the file is no model file, of a newer format, not whole, or changed in any byte.
        """
        model: Model = _read_model(cls, Path(path), use_cuda)
        return model


def _write_model(model: Any, path: Path) -> None:
    generator = model._random_state.get_state(legacy=False)
    known = generator["bit_generator"]
    require(known == "MT19937", "random_state must draw by MT19937, numpy's own, for a model file", known)
    arrays: Arrays = {f"net.{name}": tensor.detach().cpu().numpy() for name, tensor in _tensors(model._net)}
    arrays |= {f"users.{name}": array for name, array in model._users.arrays().items()}
    if model._followers is not None:
        arrays |= {f"transitions.{name}": array for name, array in model._followers.arrays().items()}
    for name in VOCABULARIES:
        arrays |= _vocabulary_arrays(name, getattr(model, name))
    arrays |= {"dwell_scale": model._dwell_scale, "random_state": generator["state"]["key"]}
    header = {
        "format": FORMAT,
        "options": _options(model),
        "num_items": int(model._num_items),
        "num_users": int(model._num_users),
        "epochs": [list(epoch) for epoch in model.epochs],
        "random_state": [int(generator["state"]["pos"]), int(generator["has_gauss"]), float(generator["gauss"])],
    }
    text = json.dumps(header)
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    _write(path, arrays, {HEADER: text, CHECKSUM: _checksum(text, arrays)})


def _read_model(kind: type[Any], path: Path, use_cuda: bool) -> Any:
    header, arrays = _read(path)
    options = {**header["options"], "use_cuda": use_cuda}
    with torch.random.fork_rng([]):  # the fresh weights are overwritten; the caller's generator stays as it was
        try:
            model = kind(**options)
        except (TypeError, ValueError) as error:
            raise ValueError(f"path must hold options that this version knows; got {str(path)!r}: {error}") from None
        model._build(header["num_items"], header["num_users"], _take(arrays, "dwell_scale", path))
    with torch.no_grad():
        for name, tensor in _tensors(model._net):
            given = torch.from_numpy(_take(arrays, f"net.{name}", path))
            rule = f"path must hold {name} of {tensor.dtype} and shape {tuple(tensor.shape)}, as its options say"
            fits = given.shape == tensor.shape and given.dtype == tensor.dtype
            require(fits, rule, f"{given.dtype} and {tuple(given.shape)}")
            tensor.copy_(given)
    model._users.restore({name: _take(arrays, f"users.{name}", path) for name in model._users.arrays()})
    if model._transitions:
        parts = {name: _take(arrays, f"transitions.{name}", path) for name in ARRAYS}
        model._followers = Transitions.from_arrays(parts)
    for name, first in VOCABULARIES.items():
        setattr(model, name, _vocabulary(name, arrays, first))
    position, has_gauss, gauss = header["random_state"]
    model._random_state = RandomState()
    model._random_state.set_state(("MT19937", _take(arrays, "random_state", path), position, has_gauss, gauss))
    model.epochs = [Epoch(*epoch) for epoch in header["epochs"]]
    require(not arrays, "path must hold no tensors but those of its options", sorted(arrays))
    return model


def _options(model: Any) -> dict[str, Any]:
    """The constructor's arguments as JSON can hold them, but for the device."""
    options = model.get_params()
    del options["use_cuda"]
    if not isinstance(options["random_state"], (int, np.integer)):
        options["random_state"] = None  # where the generator stands is kept all the same
    for name, (table, entries) in TABLES.items():
        value = options[name]
        options[name] = next((known for known, entry in entries.items() if entry is value), value)
        require(
            isinstance(options[name], str),
            f"{name} must be one of {sorted(entries)} for a model file, which holds no code",
            value,
            f"Put it into {table} under a name of its own, before saving and before loading",
        )
    require(
        options["optimizer_func"] is None,
        "optimizer_func must be None for a model file, which holds no code",
        options["optimizer_func"],
        "torch.save(model, path) can hold a function of a module, in a file that runs code when it is loaded",
    )
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in options.items()}


def _tensors(net: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Weights and buffers; one that has several names comes once."""
    yield from net.named_parameters()
    yield from net.named_buffers()


def _vocabulary_arrays(name: str, vocabulary: Vocabulary | None) -> Arrays:
    """Integers as they are, strings as their UTF-8 one after the other, and where each starts and the last ends."""
    if vocabulary is None:
        return {}
    if vocabulary.raw.dtype.kind in "iu":
        return {f"{name}.integers": vocabulary.raw}
    encoded = [text.encode("utf-8", "surrogatepass") for text in vocabulary.raw.tolist()]
    offsets = np.r_[0, np.cumsum([len(text) for text in encoded], dtype=np.int64)]
    return {f"{name}.utf8": np.frombuffer(b"".join(encoded), dtype=np.uint8), f"{name}.offsets": offsets}


def _vocabulary(name: str, arrays: Arrays, first: int) -> Vocabulary | None:
    """Takes what ``_vocabulary_arrays`` gave out of the arrays."""
    if f"{name}.integers" in arrays:
        return Vocabulary(arrays.pop(f"{name}.integers"), first)
    if f"{name}.utf8" not in arrays:
        return None
    text, offsets = arrays.pop(f"{name}.utf8").tobytes(), arrays.pop(f"{name}.offsets").tolist()
    pieces = pairwise(offsets)
    return Vocabulary(
        np.array([text[start:stop].decode("utf-8", "surrogatepass") for start, stop in pieces], "U"), first
    )


def _checksum(header: str, arrays: Arrays) -> str:
    """SHA-256 of the header, and of the names, types, shapes and bytes of all tensors."""
    digest = hashlib.sha256(header.encode())
    for name in sorted(arrays):
        digest.update(f"\n{name} {arrays[name].dtype.str} {arrays[name].shape}\n".encode())
        digest.update(arrays[name].reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _write(path: Path, arrays: Arrays, metadata: dict[str, str]) -> None:
    """The whole file or none: a reader sees the old one until the new one is safe on the disk."""
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        save_file(arrays, beside, metadata)
        tensor_files.move(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def _read(path: Path) -> tuple[dict[str, Any], Arrays]:
    """Header and tensors of a file that is whole and of a format we know."""
    if not path.is_file():
        raise FileNotFoundError(f"path must name an existing file; got {str(path)!r}")
    place = str(path)
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            _check_format(metadata, place)
            arrays = {name: np.array(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118  # no dict
    except (SafetensorError, KeyError, TypeError, AttributeError) as error:  # of types that numpy does not have, too
        raise ValueError(f"path must be a whole file of ASARSSequenceModel.save; got {place!r}: {error}") from None
    text = metadata[HEADER]
    whole = metadata.get(CHECKSUM) == _checksum(text, arrays)
    require(whole, "path must be a file as it was saved, and its checksum says that it was changed", place)
    return json.loads(text), arrays


def _check_format(metadata: Mapping[str, str], place: str) -> None:
    """Raise ``ValueError`` unless the file is ours, and no newer than we are."""
    try:
        found = json.loads(metadata.get(HEADER, "null"))
    except json.JSONDecodeError:
        found = None
    number = found.get("format") if isinstance(found, dict) else None
    require(isinstance(number, int), "path must be a file of ASARSSequenceModel.save", place)
    assert isinstance(number, int)
    require(
        number <= FORMAT,
        f"path must be a model file of format {FORMAT} or older",
        number,
        "A newer version of spotlight_asars reads it",
    )


def _take(arrays: Arrays, name: str, path: Path) -> NDArray[Any]:
    """Remove a tensor from the arrays, and give it."""
    require(name in arrays, f"path must hold a tensor {name!r}", str(path))
    return arrays.pop(name)
