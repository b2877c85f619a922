"""Delimited text as checked columns: read block by block, by pyarrow, polars or pandas, whichever is installed.

It must satisfy:

- every library gives the same numbers, and the same sentence about a bad line: a library only reads, and when a block
  does not pass, its lines are gone through one by one to find out which it was and what it breaks;
- nothing is guessed: columns have the type that was asked for, in the first block and in the last;
- a block at a time is text; what stays is one array per column of the events that were asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from spotlight_asars._checks import require
from spotlight_asars.datasets.files import BLOCK, TextFile
from spotlight_asars.datasets.readers import MISSING, Reader, installed_reader

Kind = str | tuple[str, ...]  # a name in ``KINDS``, or the values that a column may have


def _instant(text: str) -> np.datetime64:
    """One date and time in UTC, as in 2014-04-07T10:51:09.277Z."""
    require(len(text) == len("2014-04-07T10:51:09.277Z") and text.endswith("Z"), "an instant must be in UTC", text)
    return np.datetime64(text[:-1], "ms")


# What a column may hold: how messages call it, and what reads one field of it or refuses to.
KINDS: dict[str, tuple[str, Callable[[str], object]]] = {
    "integer": ("an integer", int),
    "optional": (f"an integer or one of {list(MISSING)}", lambda text: None if text in MISSING else int(text)),
    "text": ("text", str),
    "instant": ("a date and time such as 2014-04-07T10:51:09.277Z", _instant),
    "day": ("a date such as 2016-05-09", lambda text: np.datetime64(text, "D")),
}


@dataclass(frozen=True)
class Layout:
    """How a file is written.

    Attributes
    ----------
    kinds : dict
        The columns to read, each with its entry in ``KINDS`` or the values it may have.
    separator : str
        What stands between two fields; fields are never quoted.
    columns : tuple of str, optional
        All columns in their order, for a file without a header.
    """

    kinds: Mapping[str, Kind]
    separator: str = ","
    columns: tuple[str, ...] | None = None


def read_table(
    files: Collection[TextFile],
    layout: Layout,
    only: Mapping[str, Collection[str]] | None = None,
    block: int = BLOCK,
) -> tuple[dict[str, NDArray[Any]], int]:
    """The columns of `files`, one below the other, and how many lines with data they have.

    Parameters
    ----------
    files : list of TextFile
    layout : Layout
    only : dict, optional
        Values to keep, by column; lines with others are checked and counted, and left out.
    block : int
        Bytes to read at once.

    Returns
    -------
    columns : dict of arrays (events,)
        int64 for "integer", float64 with NaN for "optional", objects for "text", datetime64 for "instant" and "day".
        Columns of given values are only there to choose by, and do not come out.
    lines : int
        Before `only` chooses.

    Raises
    ------
    ValueError
        For a missing column, a line with too many or too few fields, a field of another kind, and an empty file; the
        message has the file, the line and the rule.
    ImportError
        If no library is installed to read with.
    """
    read = installed_reader()
    parts: dict[str, list[NDArray[Any]]] = {name: [] for name, kind in layout.kinds.items() if isinstance(kind, str)}
    known: dict[str, str] = {}  # equal texts of all blocks share one string
    count = 0
    for file in files:
        line, names = 1, layout.columns
        for text in file.blocks(block):
            if names is None:
                head, _, text = text.partition(b"\n")
                names, line = _header(head, file, layout), 2
            if not text:
                continue
            lines = text.count(b"\n")
            try:
                frame = _checked(text, lines, names, layout, read)
                for name, allowed in (only or {}).items():
                    frame = frame.filter(nw.col(name).is_in(list(allowed)))
                arrays = {name: _array(frame[name], str(layout.kinds[name]), known) for name in parts}
            except Exception as error:  # each library has errors of its own
                raise _explanation(text, line, names, file, layout, error) from None
            line, count = line + lines, count + lines
            for name, array in arrays.items():
                parts[name].append(array)
        require(count > 0, f"{file.label} must have lines below its header", "none")
    return {name: np.concatenate(parts.pop(name)) for name in list(parts)}, count


def _header(head: bytes, file: TextFile, layout: Layout) -> tuple[str, ...]:
    names = tuple(head.decode(errors="replace").split(layout.separator))
    missing = sorted(set(layout.kinds) - set(names))
    rule = f"the first line of {file.label} must name {missing} between {layout.separator!r}"
    require(not missing, rule, head.decode(errors="replace")[:200])
    return names


def _checked(text: bytes, lines: int, names: tuple[str, ...], layout: Layout, read: Reader) -> nw.DataFrame[Any]:
    """The block as a frame with as many rows as it has lines, and nothing missing; fails in any way if it has not."""
    separator = layout.separator.encode()
    require(text.count(separator) == lines * (len(names) - 1), "lines must have one field per name", lines)
    single = separator[:1]  # a separator of two equal characters is read as one
    text = text.replace(separator, single) if separator != single else text
    plain = {name: kind if isinstance(kind, str) else "text" for name, kind in layout.kinds.items()}
    frame = nw.from_native(read(text, names, plain, single.decode()))
    require(len(frame) == lines, "each line must be a row", len(frame))
    for name, kind in layout.kinds.items():
        if isinstance(kind, tuple):
            require(bool(frame[name].is_in(kind).all()), f"{name} must be one of {kind}", name)
        require(kind != "integer" or not frame[name].is_null().any(), f"{name} must not be missing", name)
    return frame


def _array(column: nw.Series[Any], kind: str, known: dict[str, str]) -> NDArray[Any]:
    if kind == "integer":
        return column.to_numpy().astype(np.int64, copy=False)
    if kind == "optional":
        return column.cast(nw.Float64).to_numpy().astype(np.float64, copy=False)
    values = column.fill_null("").to_list()  # polars takes an empty text for a missing one
    if kind == "text":
        texts = np.empty(len(values), dtype=object)
        texts[:] = [known.setdefault(value, value) for value in values]
        return texts
    if kind == "day":
        return np.array(values, dtype="datetime64[D]")
    stamps = np.array(values, dtype=f"S{len('2014-04-07T10:51:09.277Z') + 1}")
    require(bool((np.char.str_len(stamps) == 24).all() and np.char.endswith(stamps, b"Z").all()), "UTC", kind)
    return np.char.rstrip(stamps, b"Z").astype("datetime64[ms]")


def _explanation(
    text: bytes, line: int, names: tuple[str, ...], file: TextFile, layout: Layout, error: Exception
) -> ValueError:
    """What the first bad line of a block breaks."""
    for number, raw in enumerate(text.split(b"\n")[:-1], start=line):
        written = raw.decode(errors="replace")
        where, fields = f"line {number} of {file.label} must have", written.split(layout.separator)
        if len(fields) != len(names):
            return ValueError(f"{where} {len(names)} fields between {layout.separator!r}; got {written[:200]!r}")
        for name, kind in layout.kinds.items():
            field = fields[names.index(name)]
            rule, convert = KINDS[kind] if isinstance(kind, str) else (f"one of {list(kind)}", kind.index)
            try:
                convert(field)
            except ValueError:
                return ValueError(f"{where} {rule} as its {name}; got {field[:200]!r}")
    return ValueError(f"lines {line} and on of {file.label} must be readable; got {str(error).splitlines()[:1]}")
