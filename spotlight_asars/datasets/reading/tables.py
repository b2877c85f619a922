"""Published text files as numpy columns, read in blocks and checked.

- Nothing is guessed: a column has the same type in the first block and in the last.
- The library only parses. If a block fails a check, its lines are searched one by one for the error message, which
  is therefore the same with every library.
- Only one block is held as text; what stays is an array for each column.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from spotlight_asars._checks import require
from spotlight_asars.datasets.reading.kinds import KINDS
from spotlight_asars.events.files import BLOCK, TextFile
from spotlight_asars.events.reading import Library, installed_library, read_csv


@dataclass(frozen=True)
class Layout:
    """How a file is written.

    Attributes
    ----------
    kinds : dict
        The columns to read, each with its kind in ``KINDS`` or a tuple of the values it may have.
    separator : str
        One character between two fields.
    columns : tuple of str, optional
        All columns in their order, for a file without a header.
    """

    kinds: Mapping[str, str | tuple[str, ...]]
    separator: str = ","
    columns: tuple[str, ...] | None = None


def read_table(
    files: Collection[TextFile],
    layout: Layout,
    published: int | None = None,
    only: Mapping[str, Collection[str]] | None = None,
    block: int = BLOCK,
) -> dict[str, NDArray[Any]]:
    """The columns of `files`, concatenated.

    Parameters
    ----------
    files : list of TextFile
    layout : Layout
    published : int, optional
        The number of events that the files must have; by default any.
    only : dict, optional
        Values to keep, by column; other lines are checked and counted, then left out.
    block : int
        Bytes to read at once.

    Returns
    -------
    dict of arrays (events,)
        int64 for "integer", float64 with NaN for "optional", objects for "text", datetime64 for "instant" and "day".
        Columns with a tuple of values are only there to be checked and to choose by.

    Raises
    ------
    ValueError
        For a missing column, a wrong number of fields, a field of another kind, an empty file, and another number of
        events than published. The message has the file, the line, the column and the value.
    ImportError
        If no library is installed to read with.
    """
    library = installed_library("reading a data set")
    blocks: list[dict[str, NDArray[Any]]] = []
    count = 0
    for file in files:
        line, names = 1, layout.columns
        for text in file.blocks(block):
            if names is None:
                header, _, text = text.partition(b"\n")
                line, names = 2, _names(header.decode(errors="replace"), file, layout)
            if not text:
                continue
            try:
                blocks.append(_columns(text, names, layout, only or {}, library))
            except Exception as error:  # each library has errors of its own
                raise _explained(text, line, names, file, layout, error) from None
            line += text.count(b"\n")
            count += text.count(b"\n")
        require(count > 0, f"{file.label} must have lines below its header", "none")
    check_count(count, published, files)
    return {name: np.concatenate([columns.pop(name) for columns in blocks]) for name in list(blocks[0])}


def check_count(count: int, published: int | None, files: Collection[TextFile]) -> None:
    """Raise ``ValueError`` unless the files have as many events as `published`, or that is None."""
    if published is not None:
        labels = " and ".join(file.label for file in files)
        way_out = "A file cut off has fewer; partial=True reads a part on purpose"
        require(count == published, f"{labels} must have the {published:,} events published", count, way_out)


def _names(header: str, file: TextFile, layout: Layout) -> tuple[str, ...]:
    names = tuple(header.split(layout.separator))
    missing = sorted(set(layout.kinds) - set(names))
    rule = f"the first line of {file.label} must name {missing} between {layout.separator!r}"
    require(not missing, rule, header[:200])
    return names


def _columns(
    text: bytes, names: tuple[str, ...], layout: Layout, only: Mapping[str, Collection[str]], library: Library
) -> dict[str, NDArray[Any]]:
    """The columns of a block; raises anything if a line is bad."""
    _check_fields(text, layout.separator, len(names))
    as_text = [name for name in names if layout.kinds.get(name) != "integer"]
    frame = read_csv(BytesIO(text), library, as_text, names, layout.separator)
    require(len(frame) == text.count(b"\n"), "each line must be a row", len(frame))
    for name, kind in layout.kinds.items():
        if kind == "integer":
            require(frame[name].dtype == nw.Int64 and not frame[name].is_null().any(), "must be integers", name)
        elif not isinstance(kind, str):
            require(bool(frame[name].fill_null("").is_in(kind).all()), "must be one of the values", name)
    for name, values in only.items():
        frame = frame.filter(nw.col(name).is_in(list(values))) if values else frame.head(0)  # pyarrow wants a type
    return {name: _array(frame[name], kind) for name, kind in layout.kinds.items() if isinstance(kind, str)}


def _array(column: nw.Series[Any], kind: str) -> NDArray[Any]:
    if kind == "integer":
        return column.to_numpy()
    _, convert = KINDS[kind]
    return convert(column.fill_null("").to_list())  # some libraries take "NA" and blank for missing, some do not


def _check_fields(text: bytes, separator: str, fields: int) -> None:
    """Raise ``ValueError`` unless each line has so many fields: some libraries fill short lines up or cut long ones."""
    codes = np.frombuffer(text, dtype=np.uint8)
    marks = codes[(codes == ord("\n")) | (codes == ord(separator))]  # separators and ends of lines, in their order
    expected = np.array([ord(separator)] * (fields - 1) + [ord("\n")], dtype=np.uint8)
    require(len(marks) % fields == 0, "lines must have a field for each name", fields)
    require(bool((marks.reshape(-1, fields) == expected).all()), "lines must have a field for each name", fields)


def _explained(
    text: bytes, first: int, names: tuple[str, ...], file: TextFile, layout: Layout, error: Exception
) -> ValueError:
    """The error of the first bad line in a block that begins with line `first`."""
    for number, written in enumerate(text.decode(errors="replace").split("\n")[:-1], start=first):
        where, fields = f"line {number} of {file.label} must have", written.split(layout.separator)
        if len(fields) != len(names):
            return ValueError(f"{where} {len(names)} fields between {layout.separator!r}; got {written[:200]!r}")
        for name, kind in layout.kinds.items():
            field = fields[names.index(name)]
            rule, convert = KINDS[kind] if isinstance(kind, str) else (f"one of {list(kind)}", None)
            try:
                good = field in kind if convert is None else len(convert([field])) == 1
            except (ValueError, OverflowError):
                good = False
            if not good:
                return ValueError(f"{where} {rule} as its {name}; got {field[:200]!r}")
    return ValueError(f"lines {first} and on of {file.label} must be readable; got {str(error).splitlines()[:1]}")
