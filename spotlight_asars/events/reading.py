"""Csv and parquet files as frames of pandas, pyarrow or polars: the first of them that is installed.

Event logs, published data sets and the command line all read through this module.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import narwhals as nw

from spotlight_asars._checks import require

Library = Literal["pandas", "pyarrow", "polars"]

LIBRARIES: tuple[Library, ...] = ("pandas", "pyarrow", "polars")  # in the order of preference
ENDINGS = (".csv", ".csv.gz", ".parquet")


def read_frame(path: str | Path, text: Collection[str] = ()) -> nw.DataFrame[Any]:
    """The csv, csv.gz or parquet file at `path` as a frame; the `text` columns of a csv file are not parsed.

    Raises
    ------
    ValueError
        For another ending.
    FileNotFoundError
        If there is no such file.
    ImportError
        If no library is installed to read it with.
    """
    path = check_path(path)
    library = installed_library(f"reading {path.name}", parquet=path.suffix == ".parquet")
    if path.suffix == ".parquet":
        return nw.read_parquet(str(path), backend=library)
    return read_csv(str(path), library, text)


def scan_frame(path: str | Path, text: Collection[str] = ()) -> Any:
    """As ``read_frame``, but lazily where polars is installed, for files larger than memory."""
    path = check_path(path)
    if not find_spec("polars"):
        return read_frame(path, text)
    import polars as pl

    if path.suffix == ".parquet":
        return pl.scan_parquet(path)
    return pl.scan_csv(path, infer_schema_length=None, schema_overrides=dict.fromkeys(text, pl.String))


def read_csv(
    source: str | BytesIO,
    library: Library,
    text: Collection[str] = (),
    names: Sequence[str] | None = None,
    separator: str = ",",
) -> nw.DataFrame[Any]:
    """Delimited text as a frame; the types of columns are inferred from all their values.

    Parameters
    ----------
    source : str or BytesIO
        A path, plain or gzipped, or the bytes themselves.
    library : {"pandas", "pyarrow", "polars"}
    text : names
        Columns that stay text: "007" is not 7.
    names : sequence of str, optional
        The names of all columns, for text without a header.
    separator : str
        One character.
    """
    if library == "pandas":
        import pandas as pd

        head: dict[str, Any] = {} if names is None else {"header": None, "names": list(names)}
        table = pd.read_csv(source, sep=separator, dtype=dict.fromkeys(text, str), low_memory=False, **head)
        return nw.from_native(table)
    if library == "polars":
        import polars as pl

        head = {} if names is None else {"has_header": False, "new_columns": list(names)}
        head |= {"schema_overrides": dict.fromkeys(text, pl.String), "infer_schema_length": None}
        return nw.from_native(pl.read_csv(source, separator=separator, **head))
    import pyarrow as pa
    from pyarrow import csv

    table = csv.read_csv(
        source,
        csv.ReadOptions(column_names=names),
        csv.ParseOptions(delimiter=separator),
        csv.ConvertOptions(column_types=dict.fromkeys(text, pa.string())),
    )
    return nw.from_native(table)


def check_path(path: str | Path) -> Path:
    """`path`, if it names an existing csv, csv.gz or parquet file."""
    path = Path(path)
    require(path.name.endswith(ENDINGS), "path must end in .csv, .csv.gz or .parquet", str(path))
    if not path.is_file():
        raise FileNotFoundError(f"path must name an existing file; got {str(path)!r}")
    return path


def installed_library(what: str, parquet: bool = False) -> Library:
    """The first of ``LIBRARIES`` that is installed and able to do `what`, with parquet files or with text."""
    for name in LIBRARIES:
        if find_spec(name) and (not parquet or name != "pandas" or find_spec("pyarrow")):
            return name
    able, extra = (LIBRARIES[1:], "parquet") if parquet else (LIBRARIES, "frames")
    raise ImportError(f"{what} needs one of {', '.join(able)}; pip install 'spotlight-asars[{extra}]' brings one")
