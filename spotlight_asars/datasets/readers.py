"""Text in memory as a frame: by pandas, pyarrow or polars, whichever is installed; ``tables`` checks what they say."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from io import BytesIO
from typing import Any

MISSING = ("NA", "")  # what stands for no number in an "optional" column

# Each takes the text, the names of all its columns, the kind of those to keep, and the separator.
Reader = Callable[[bytes, tuple[str, ...], dict[str, str], str], Any]


def _pandas(text: bytes, names: tuple[str, ...], kinds: dict[str, str], separator: str) -> Any:
    pandas = import_module("pandas")
    types = {"integer": "int64", "optional": "float64"}
    return pandas.read_csv(
        BytesIO(text),
        header=None,
        names=list(names),
        usecols=list(kinds),
        dtype={name: types.get(kind, str) for name, kind in kinds.items()},
        sep=separator,
        quoting=3,  # fields are never quoted
        index_col=False,
        skip_blank_lines=False,
        keep_default_na=False,
        na_values={name: list(MISSING) for name, kind in kinds.items() if kind == "optional"},
    )


def _pyarrow(text: bytes, names: tuple[str, ...], kinds: dict[str, str], separator: str) -> Any:
    arrow, csv = import_module("pyarrow"), import_module("pyarrow.csv")
    types = {name: arrow.int64() if kind in ("integer", "optional") else arrow.string() for name, kind in kinds.items()}
    return csv.read_csv(
        BytesIO(text),
        read_options=csv.ReadOptions(column_names=list(names), block_size=len(text) + 1),
        parse_options=csv.ParseOptions(delimiter=separator, quote_char=False, ignore_empty_lines=False),
        convert_options=csv.ConvertOptions(
            include_columns=list(kinds), column_types=types, null_values=list(MISSING), strings_can_be_null=False
        ),
    )


def _polars(text: bytes, names: tuple[str, ...], kinds: dict[str, str], separator: str) -> Any:
    polars = import_module("polars")
    types = {"integer": polars.Int64, "optional": polars.Int64}
    frame = polars.read_csv(
        text,
        has_header=False,
        separator=separator,
        quote_char=None,
        schema={name: types.get(kinds.get(name, "text"), polars.String) for name in names},
        null_values=list(MISSING) if "optional" in kinds.values() else None,
    )
    return frame.select(list(kinds))


READERS: dict[str, Reader] = {"pandas": _pandas, "pyarrow": _pyarrow, "polars": _polars}  # in the order of preference


def installed_reader() -> Reader:
    """The first of ``READERS`` that there is."""
    for library, read in READERS.items():
        if find_spec(library):
            return read
    raise ImportError(
        f"reading a data set needs one of {', '.join(READERS)}; pip install 'spotlight-asars[frames]' brings one"
    )
