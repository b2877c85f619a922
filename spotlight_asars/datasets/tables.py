"""Delimited text as checked columns: read block by block, by pandas, pyarrow or polars, whichever is installed.

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


def _integer(text: str) -> int:
    require(-(2**63) <= (value := int(text)) < 2**63, "an integer must have 64 bits", text)
    return value


INSTANT, DAY = "2014-04-07T10:51:09.277Z", "2016-05-09"  # how instants in UTC and days are written


def _times(texts: list[str], example: str, unit: str) -> NDArray[Any]:
    """datetime64 of texts written like `example`, digit for digit; ``ValueError`` for any that is not."""
    width = len(example) + 1  # one more, so that a longer text is seen
    codes = np.array(texts, dtype=f"S{width}").view(np.uint8).reshape(-1, width)
    for place, letter in enumerate(example + "\0"):
        low, high = (ord("0"), ord("9")) if letter.isdigit() else (ord(letter), ord(letter))
        fits = (codes[:, place] >= low) & (codes[:, place] <= high)
        require(bool(fits.all()), f"times must be written as {example}", texts[int(np.argmin(fits))] if texts else "")
    plain = np.array(texts, dtype=f"U{len(example.rstrip('Z'))}")  # numpy before 2 crashes where bytes are no date
    return plain.astype(f"datetime64[{unit}]")


# What a column may hold: how messages call it, and what reads one field of it or refuses to.
KINDS: dict[str, tuple[str, Callable[[str], object]]] = {
    "integer": ("an integer of 64 bits", _integer),
    "optional": (f"an integer or one of {list(MISSING)}", lambda text: None if text in MISSING else _integer(text)),
    "text": ("text", str),
    "instant": (f"a date and time such as {INSTANT}", lambda text: _times([text], INSTANT, "ms")),
    "day": (f"a date such as {DAY}", lambda text: _times([text], DAY, "D")),
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
    single = separator[:1]  # a separator of two equal characters is read as one
    if separator != single:
        require(
            text.count(separator) * len(separator) == text.count(single), "separators must be whole", layout.separator
        )
        text = text.replace(separator, single)
    _check_fields(text, single, len(names))
    plain = {name: kind if isinstance(kind, str) else "text" for name, kind in layout.kinds.items()}
    frame = nw.from_native(read(text, names, plain, single.decode()))
    require(len(frame) == lines, "each line must be a row", len(frame))
    for name, kind in layout.kinds.items():
        if isinstance(kind, tuple):
            require(bool(frame[name].fill_null("").is_in(kind).all()), f"{name} must be one of {kind}", name)
        require(kind != "integer" or not frame[name].is_null().any(), f"{name} must not be missing", name)
    return frame


def _check_fields(text: bytes, separator: bytes, fields: int) -> None:
    """Raise ``ValueError`` unless every line has that many; libraries fill up short lines, and some cut long ones."""
    codes = np.frombuffer(text, dtype=np.uint8)
    ends, between = np.flatnonzero(codes == ord("\n")), np.flatnonzero(codes == ord(separator))
    require(len(between) == len(ends) * (fields - 1), "lines must have a field per name", len(between))
    if fields > 1:
        first, last = between[:: fields - 1], between[fields - 2 :: fields - 1]  # of each line, if all is well
        require(bool((last < ends).all()), "lines must not be short", fields)
        require(bool((first[1:] > ends[:-1]).all()), "lines must not be long", fields)


def _array(column: nw.Series[Any], kind: str, known: dict[str, str]) -> NDArray[Any]:
    if kind == "integer":
        return column.to_numpy().astype(np.int64, copy=False)
    if kind == "optional":
        numbers = column.cast(nw.Float64).to_numpy().astype(np.float64, copy=False)
        require(bool((np.isnan(numbers) | (numbers == np.floor(numbers))).all()), "numbers must be whole", column.name)
        return numbers
    values = column.fill_null("").to_list()  # polars takes an empty text for a missing one
    if kind == "text":
        texts = np.empty(len(values), dtype=object)
        texts[:] = [known.setdefault(value, value) for value in values]
        return texts
    return _times(values, DAY, "D") if kind == "day" else _times(values, INSTANT, "ms")


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
