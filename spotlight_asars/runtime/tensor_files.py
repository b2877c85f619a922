"""One file of tensors and a header: written as a whole or not at all, read as a whole or refused, and never run.

- Tensors are kept by safetensors, the rest as JSON in its metadata; no pickle.
- A file is written beside its place and moved there once it is safe on the disk.
- A checksum covers header and tensors, so that a damaged file is told from a whole one.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

HEADER, CHECKSUM = "spotlight_asars", "crc32"  # keys of the metadata
BESIDE = ".partial"  # ending of a file that is being written; one that was left there is written over


def write(path: Path, header: Any, tensors: Mapping[str, Tensor], earlier: Path | None = None) -> None:
    """Put `header`, of what JSON can hold, and `tensors` into the file `path`; what it was is moved to `earlier`.

    Raises
    ------
    OSError
        If the file can't be written; what was there before is intact.
    """
    text = json.dumps(header)
    on_host = _apart({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
    beside = path.with_name(path.name + BESIDE)
    try:
        save_file(on_host, beside, {HEADER: text, CHECKSUM: _checksum(text, on_host)})
        move(beside, path, earlier)
    except SafetensorError as error:
        beside.unlink(missing_ok=True)
        raise OSError(str(error)) from None
    except OSError:
        beside.unlink(missing_ok=True)
        raise


def move(beside: Path, path: Path, earlier: Path | None = None) -> None:
    """Put a file that was written `beside` its place there once it is safe on the disk; what was moves to `earlier`."""
    with open(beside, "rb+") as file:
        os.fsync(file.fileno())
    if earlier is not None and path.exists():
        os.replace(path, earlier)
    os.replace(beside, path)
    if os.name == "posix":  # the move itself is safe once the folder is
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def read(path: Path) -> tuple[Any, dict[str, Tensor]]:
    """Header and tensors of a file that ``write`` wrote.

    Raises
    ------
    ValueError
        Saying why, if the file is another's, or not whole.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no dict
    except SafetensorError as error:
        raise ValueError(f"it is not whole, or no safetensors file ({error})") from None
    text = metadata.get(HEADER)
    if text is None:
        raise ValueError("it is a file of something else")
    if metadata.get(CHECKSUM) != _checksum(text, tensors):
        raise ValueError("its checksum says that it was changed")
    return json.loads(text), tensors


def pack(value: Any) -> tuple[Any, dict[str, Tensor]]:
    """`value` as JSON can hold it, and the tensors that it names; a tensor that is there twice is kept once.

    Raises
    ------
    TypeError
        For anything but tensors, small arrays, numbers, strings, None, and dicts, lists and tuples of them.

    Examples
    --------
    >>> packed, tensors = pack({0: (1.5, torch.tensor([7]))})
    >>> packed, tensors
    ({'dict': [[0, {'tuple': [1.5, {'tensor': '0'}]}]]}, {'0': tensor([7])})
    >>> unpack(packed, tensors)
    {0: (1.5, tensor([7]))}
    """
    tensors: dict[str, Tensor] = {}
    names: dict[int, str] = {}

    def packed(value: Any) -> Any:
        if isinstance(value, Tensor):
            name = names.setdefault(id(value), str(len(names)))
            tensors[name] = value
            return {"tensor": name}
        if isinstance(value, Mapping):
            return {"dict": [[packed(key), packed(entry)] for key, entry in value.items()]}
        if isinstance(value, tuple):
            return {"tuple": [packed(entry) for entry in value]}
        if isinstance(value, list):
            return [packed(entry) for entry in value]
        if isinstance(value, np.ndarray):
            return {"array": [value.dtype.str, value.tolist()]}
        if isinstance(value, np.generic):
            return value.item()
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        raise TypeError(f"value must be of tensors, numbers and strings; got {value!r}")

    return packed(value), tensors


def unpack(packed: Any, tensors: Mapping[str, Tensor]) -> Any:
    """What ``pack`` was given."""
    if isinstance(packed, list):
        return [unpack(entry, tensors) for entry in packed]
    if not isinstance(packed, dict):
        return packed
    ((kind, content),) = packed.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "array":
        return np.array(content[1], dtype=content[0])
    if kind == "tuple":
        return tuple(unpack(entry, tensors) for entry in content)
    return {unpack(key, tensors): unpack(entry, tensors) for key, entry in content}


def _apart(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors without memory in common, which safetensors refuses."""
    met: set[int] = set()
    for name, tensor in tensors.items():
        place = tensor.untyped_storage().data_ptr()
        tensors[name] = tensor.clone() if place in met else tensor
        met.add(place)
    return tensors


def _checksum(text: str, tensors: Mapping[str, Tensor]) -> str:
    """CRC-32 of the header, and of the names, types, shapes and bytes of all tensors."""
    found = zlib.crc32(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        found = zlib.crc32(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode(), found)
        found = zlib.crc32(tensor.reshape(-1).view(torch.uint8).numpy().data, found)
    return f"{found:08x}"
