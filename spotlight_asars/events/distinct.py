"""Distinct values and their codes, without sorting a whole log: only the distinct values are sorted, which are few.

Integers in a narrow range are looked up in a table as long as the range; others, and strings, go through the hash
table of pyarrow where it is installed. Without it numpy and Python do the same, more slowly.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

TABLE_PER_VALUE = 4  # largest length of the table of integers, per value

Coded = tuple[NDArray[Any], NDArray[np.int64]]


def distinct(values: NDArray[Any]) -> Coded:
    """The sorted distinct `values`, and the place of each value among them, int64 (events,).

    Examples
    --------
    >>> distinct(np.array([30, -5, 30]))
    (array([-5, 30]), array([1, 0, 1]))
    """
    if values.dtype.kind == "O":
        listed = values.tolist()
        code = {value: place for place, value in enumerate(sorted(set(listed), key=_none_last))}
        return np.fromiter(code, object, len(code)), np.fromiter(map(code.__getitem__, listed), np.int64, len(listed))
    if values.dtype.kind in "iu" and len(values):
        low, high = int(values.min()), int(values.max())
        if high - low < TABLE_PER_VALUE * len(values):
            return _by_table(values, low, high)
        if find_spec("pyarrow"):
            import pyarrow as pa

            return _by_hash(pa.chunked_array([values]))
    raw, codes = np.unique(values, return_inverse=True)
    return raw, codes.astype(np.int64)


def distinct_texts(column: nw.Series[Any]) -> Coded | None:
    """``distinct`` of a column of strings.

    None without pyarrow, for other columns, and for columns with missing values.
    """
    if not find_spec("pyarrow") or column.dtype not in (nw.String, nw.Categorical, nw.Enum, nw.Object):
        return None
    import pyarrow as pa

    try:
        values = column.to_arrow()
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeEncodeError):  # several types, or no text
        return None
    chunks = values if isinstance(values, pa.ChunkedArray) else pa.chunked_array([values])
    if pa.types.is_dictionary(chunks.type):  # which may hold values that do not occur
        chunks = chunks.cast(chunks.type.value_type)
    if str(chunks.type) == "string_view":  # pyarrow before 16 has no is_string_view
        chunks = chunks.cast(pa.large_string())
    text = pa.types.is_string(chunks.type) or pa.types.is_large_string(chunks.type)
    return _by_hash(chunks) if text and not chunks.null_count and len(chunks) else None


def _none_last(value: Any) -> tuple[bool, Any]:
    return value is None, value


def _by_table(values: NDArray[Any], low: int, high: int) -> Coded:
    wide = np.uint64 if values.dtype == np.uint64 else np.int64  # the range of int8 values exceeds int8
    place = np.subtract(values, low, dtype=wide).astype(np.int64)
    present = np.zeros(high - low + 1, dtype=bool)
    present[place] = True
    raw = np.flatnonzero(present).astype(wide) + wide(low)
    return raw.astype(values.dtype), (np.cumsum(present) - 1)[place]


def _by_hash(chunks: Any) -> Coded:
    import pyarrow.compute as pc

    coded = chunks.dictionary_encode().unify_dictionaries()
    values = coded.chunk(0).dictionary
    order = pc.array_sort_indices(values)  # of text by UTF-8, which is the order of Python's strings
    rank = np.empty(len(order), dtype=np.int64)
    rank[order.to_numpy()] = np.arange(len(order))
    codes = np.concatenate([chunk.indices.to_numpy() for chunk in coded.chunks])
    return np.array(values.take(order).to_numpy(zero_copy_only=False)), rank[codes]
