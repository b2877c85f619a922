"""One file of arrays and a header: written as a whole or not at all, read as a whole or refused, and never run.

- Arrays are kept by safetensors, the header as JSON in its metadata; no pickle.
- A file is written beside its place and moved there once it is safe on the disk.
- A checksum covers header and arrays, so that a damaged file is told from a whole one.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import uuid
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from torch import Tensor

HEADER = "spotlight_asars"  # key of the metadata

Arrays = Mapping[str, NDArray[Any]]


def write(path: Path, header: Any, arrays: Arrays, earlier: Path | None = None) -> None:
    """Put `header`, of what JSON can hold, and `arrays` into the file `path`; what it was is moved to `earlier`.

    Raises
    ------
    OSError
        If the file can't be written; what was there before is intact.
    """
    text, whole = json.dumps(header), {name: np.asarray(array, order="C") for name, array in arrays.items()}
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        save_file(whole, beside, {HEADER: text, CHECKSUM: CHECKSUMS[CHECKSUM](text, whole)})
        _move(beside, path, earlier)
    except SafetensorError as error:
        number = re.search(r"os error (\d+)", str(error))
        raise (OSError(int(number[1]), os.strerror(int(number[1]))) if number else OSError(str(error))) from None
    finally:
        beside.unlink(missing_ok=True)


def _move(beside: Path, path: Path, earlier: Path | None) -> None:
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


def read(path: Path) -> tuple[Any, dict[str, NDArray[Any]]]:
    """Header and arrays of a file that ``write`` wrote.

    Raises
    ------
    ValueError
        Saying why, if the file is another's, or not whole.
    """
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            arrays = {name: np.array(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118  # no dict
    except (SafetensorError, KeyError, TypeError, AttributeError) as error:  # of types that numpy does not have, too
        raise ValueError(f"it is not whole, or no safetensors file ({error})") from None
    text = metadata.get(HEADER)
    kind = next((name for name in CHECKSUMS if name in metadata), None)
    if text is None or kind is None:
        raise ValueError("it is a file of something else")
    if metadata[kind] != CHECKSUMS[kind](text, arrays):
        raise ValueError("its checksum says that it was changed")
    return json.loads(text), arrays


def pack(value: Any) -> tuple[Any, dict[str, NDArray[Any]]]:
    """`value` as JSON can hold it, and the arrays that it names; a tensor that is there twice is kept once.

    Raises
    ------
    TypeError
        For anything but tensors, small arrays, numbers, strings, None, and dicts, lists and tuples of them.

    Examples
    --------
    >>> packed, arrays = pack({0: (1.5, torch.tensor([7]))})
    >>> packed, arrays
    ({'dict': [[0, {'tuple': [1.5, {'tensor': '0'}]}]]}, {'0': array([7])})
    >>> unpack(packed, arrays)
    {0: (1.5, tensor([7]))}
    """
    arrays: dict[str, NDArray[Any]] = {}
    names: dict[int, str] = {}

    def packed(value: Any) -> Any:
        if isinstance(value, Tensor):
            name = names.setdefault(id(value), str(len(names)))
            half = value.dtype == torch.bfloat16  # which numpy does not have
            on_host = value.detach().cpu().contiguous()
            arrays[name] = (on_host.view(torch.int16) if half else on_host).numpy()
            return {"bfloat16" if half else "tensor": name}
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

    return packed(value), arrays


def unpack(packed: Any, arrays: Arrays) -> Any:
    """What ``pack`` was given."""
    if isinstance(packed, list):
        return [unpack(entry, arrays) for entry in packed]
    if not isinstance(packed, dict):
        return packed
    ((kind, content),) = packed.items()
    if kind in ("tensor", "bfloat16"):
        tensor = torch.from_numpy(arrays[content])
        return tensor.view(torch.bfloat16) if kind == "bfloat16" else tensor
    if kind == "array":
        return np.array(content[1], dtype=content[0])
    if kind == "tuple":
        return tuple(unpack(entry, arrays) for entry in content)
    return {unpack(key, arrays): unpack(entry, arrays) for key, entry in content}


def _sha256(text: str, arrays: Arrays) -> str:
    """SHA-256 of the header, and of the names, types, shapes and bytes of all arrays."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        digest.update(f"\n{name} {arrays[name].dtype.str} {arrays[name].shape}\n".encode())
        digest.update(arrays[name].reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _crc32(text: str, arrays: Arrays) -> str:
    """CRC-32 of the same, as checkpoints of version 0.2 have it."""
    digest = zlib.crc32(text.encode())
    for name in sorted(arrays):
        digest = zlib.crc32(f"\n{name} torch.{arrays[name].dtype.name} {arrays[name].shape}\n".encode(), digest)
        digest = zlib.crc32(arrays[name].reshape(-1).view(np.uint8).data, digest)
    return f"{digest:08x}"


CHECKSUM = "sha256"  # what is written; any of these is read
CHECKSUMS: dict[str, Callable[[str, Arrays], str]] = {"sha256": _sha256, "crc32": _crc32}
