"""Csv and parquet files as frames of pyarrow, polars or pandas: the first of them that is installed.

A csv file has only text, and each library guesses in its own way what it means. So libraries here only divide lines
into fields; ``written`` says what the fields mean, by the use of their column, and is the same with all of them.
"""

from __future__ import annotations

import csv
import glob
import re
import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import narwhals as nw

from spotlight_asars._checks import require
from spotlight_asars.events.files import TextFile, find_text
from spotlight_asars.events.times import seconds_of

Library = Literal["pandas", "pyarrow", "polars"]
Columns = Mapping[str, str | None]  # the arguments of ``EventLog.from_frame`` and the columns they name

LIBRARIES: tuple[Library, ...] = ("pyarrow", "polars", "pandas")  # in the order of preference, the fastest first
TEXT, PACKED = (".csv", ".tsv"), ("", ".gz", ".bz2", ".zst", ".zip")
ENDINGS = (*(text + packed for text in TEXT for packed in PACKED), ".parquet")
SEPARATORS = ",\t;"
INTEGER = r"^(?:0|-?[1-9][0-9]*)$"  # as Python writes them, so that 007 is text
NATURAL = r"^[0-9]+$"
NUMBER = r"^[+-]?(?:[0-9]+[.]?[0-9]*|[.][0-9]+)(?:[eE][+-]?[0-9]+)?$"
DAY, CLOCK = r"[0-9]{4}-[0-9]{2}-[0-9]{2}", r"[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.][0-9]{1,9})?)?"
DATE = rf"^{DAY}(?:[T ]{CLOCK}(?: ?(?:Z|UTC|[+-][0-9]{{2}}(?::?[0-9]{{2}})?))?)?$"
MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None")  # what may stand in place of a number


def read_frame(path: str | Path, columns: Columns, text: Collection[str] = ()) -> nw.DataFrame[Any]:
    """The events in files as a frame.

    Parameters
    ----------
    path : str or Path
        A csv, tsv or parquet file, a folder of files of one of these kinds, or a pattern such as "logs/*.csv.gz".
    columns : dict
        Names of columns by the argument of ``EventLog.from_frame`` that they are meant for.
    text : collection of str
        Columns of a csv file whose ids stay text, also where all are written as integers.

    Raises
    ------
    ValueError
        For other endings, files that are damaged, and times that are neither numbers nor dates.
    FileNotFoundError
        If there is no such file.
    ImportError
        If no library is installed to read it with.
    """
    paths = find_files(path)
    parquet = paths[0].suffix.lower() == ".parquet"
    library = installed_library(f"reading {paths[0].name}", parquet=parquet)
    with _explained(path):
        parts = list(_read_parquet(paths, library) if parquet else _read_texts(paths, library))
    for part in parts[1:]:
        rule = f"path must hold files of the same columns and types, as {paths[0].name!r} has"
        require(part.schema == parts[0].schema, rule, dict(part.schema))
    frame = nw.concat(parts) if len(parts) > 1 else parts[0]
    return frame if parquet else written(frame, columns, text)


def scan_frame(path: str | Path, columns: Columns, text: Collection[str] = ()) -> Any:
    """As ``read_frame``, but lazily where polars is installed, for files larger than memory; not for all packings."""
    paths = find_files(path)
    lazy = all(each.suffix.lower() in (*TEXT, ".gz", ".parquet") for each in paths)
    if not (lazy and find_spec("polars")):
        return read_frame(path, columns, text)
    import polars as pl

    if paths[0].suffix.lower() == ".parquet":
        with _explained(path):
            (table := pl.scan_parquet(paths)).collect_schema()  # reads the end of a file, which one cut off has not
        return nw.from_native(table)
    separator = _header(TextFile(paths[0]))[1]
    with _explained(path):
        frame = nw.from_native(pl.scan_csv(paths, separator=separator, infer_schema=False))
        return written(frame, columns, text)


class _explained:
    """Where a library fails to read a file, raise ``ValueError`` with the path; our own errors pass."""

    def __init__(self, path: str | Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        ours = type(error) is ValueError and " must " in str(error)
        if isinstance(error, Exception) and not ours and not isinstance(error, (ImportError, FileNotFoundError)):
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise ValueError(f"path must be a whole csv or parquet file; got {str(self.path)!r}: {reason}") from error


def _read_parquet(paths: Sequence[Path], library: Library) -> Iterable[nw.DataFrame[Any]]:
    return (nw.read_parquet(str(path), backend=library) for path in paths)


def _read_texts(paths: Sequence[Path], library: Library) -> Iterable[nw.DataFrame[Any]]:
    for path in paths:
        zipped = path.suffix.lower() == ".zip"
        for file in find_text(path, "*.[ct]sv") if zipped else [TextFile(path)]:
            names, separator = _header(file)
            if zipped or path.suffix.lower() not in TEXT:
                with file.open() as unpacked:
                    yield read_csv(BytesIO(unpacked.read()), library, names, separator=separator)
            else:
                yield read_csv(str(path), library, names, separator=separator)


def _header(file: TextFile) -> tuple[list[str], str]:
    """The names in the first line of a file, and what separates them."""
    with file.open() as text:
        line = next(iter(text), b"").decode("utf-8-sig", errors="replace")
    separator = max(SEPARATORS, key=line.count)
    return next(csv.reader([line.rstrip("\r\n")], delimiter=separator), []), separator


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
        A path, or the bytes themselves.
    library : {"pandas", "pyarrow", "polars"}
    text : names
        Columns that stay text: "007" is not 7, and "NA" is not missing.
    names : sequence of str, optional
        The names of all columns, for text without a header.
    separator : str
        One character.
    """
    if library == "pandas":
        import pandas as pd

        head: dict[str, Any] = {} if names is None else {"header": None, "names": list(names)}
        head |= {"dtype": dict.fromkeys(text, str), "keep_default_na": False, "index_col": False}
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # a line with too many fields
            return nw.from_native(pd.read_csv(source, sep=separator, low_memory=False, **head))
    if library == "polars":
        import polars as pl

        head = {} if names is None else {"has_header": False, "new_columns": list(names)}
        head |= {"schema_overrides": dict.fromkeys(text, pl.String), "infer_schema_length": None}
        return nw.from_native(pl.read_csv(source, separator=separator, **head))
    import pyarrow as pa
    from pyarrow import csv as arrow

    table = arrow.read_csv(
        source,
        arrow.ReadOptions(column_names=names),
        arrow.ParseOptions(delimiter=separator, newlines_in_values=True),
        arrow.ConvertOptions(column_types=dict.fromkeys(text, pa.string())),
    )
    return nw.from_native(table)


def written(frame: Any, columns: Columns, text: Collection[str] = ()) -> Any:
    """`frame`, lazy or not, whose columns are text, with the values that are written there.

    Ids are integers where all of a column are written as integers of 64 bits are, else text: 007, NA and 1.50 are ids
    as they stand. Times are numbers or ISO dates, dwell times are numbers. A blank is a missing value.
    """
    names = frame.collect_schema().names()
    there = {name: argument for argument, name in columns.items() if name is not None and name in names}
    numeric = {name: argument in ("timestamp", "dwell") for name, argument in there.items()}
    blank = {name: nw.col(name).is_in(list(MISSING if numeric[name] else MISSING[:1])) for name in there}
    frame = frame.with_columns(**{name: nw.when(~blank[name]).then(nw.col(name)) for name in there})
    for name, argument in there.items():
        if numeric[name]:
            frame = _with_numbers(frame, name, argument)
        elif name not in text and _all(frame, name, INTEGER):
            kind = next((kind for kind in (nw.Int64, nw.UInt64) if _holds(frame, name, kind)), None)
            frame = frame if kind is None else frame.with_columns(nw.col(name).cast(kind))
    return frame


def reads_as_integers(texts: Collection[str]) -> bool:
    """Whether ``written`` makes integers of these ids."""
    return all(re.match(INTEGER, text) and "\n" not in text for text in texts) and _fit(list(map(int, texts)))


def _fit(numbers: Sequence[int]) -> bool:
    low, high = min(numbers, default=0), max(numbers, default=0)
    return low >= -(2**63) and high < 2 ** (64 if low >= 0 else 63)


def _with_numbers(frame: Any, name: str, argument: str) -> Any:
    if _all(frame, name, INTEGER) and _holds(frame, name, nw.Int64):
        return frame.with_columns(nw.col(name).cast(nw.Int64))
    if _all(frame, name, NUMBER):
        return frame.with_columns(nw.col(name).cast(nw.Float64))
    if argument == "timestamp" and _all(frame, name, DATE):
        return _with_dates(frame, name)
    dates = "" if argument == "dwell" else ", or dates such as 2024-05-31T23:59:00Z"
    fits = nw.col(name).is_null() | nw.col(name).str.contains(f"{NUMBER}|{DATE}" if dates else NUMBER)
    others = _collect(frame.filter(~fits).select(name).head(1))[name].to_list()
    raise ValueError(f"{argument} column {name!r} must be numbers{dates}; got {(others or ['both'])[0]!r}")


def _all(frame: Any, name: str, pattern: str) -> bool:
    fits = nw.col(name).is_null() | nw.col(name).str.contains(pattern)
    return bool(_collect(frame.select(fits.all())).item())


def _holds(frame: Any, name: str, kind: Any) -> bool:
    """Whether all texts of a column, which are written as integers, can be of a type; none is missing."""
    if kind == nw.UInt64 and not _all(frame, name, NATURAL):
        return False  # numpy 1 makes -1 the largest one
    try:
        return not _collect(frame.select(nw.col(name).cast(kind).is_null().any())).item()
    except Exception:  # each library has errors of its own
        return False


def _collect(frame: Any) -> nw.DataFrame[Any]:
    return frame.collect() if isinstance(frame, nw.LazyFrame) else frame


def _with_dates(frame: Any, name: str) -> Any:
    """`frame` with a column of ISO dates as seconds; a lazy one is of polars, where this can be an expression."""
    if isinstance(frame, nw.DataFrame):
        return frame.with_columns(nw.new_series(name, seconds_of(frame[name].to_list()), backend=frame.implementation))
    import polars as pl

    seconds = pl.col(name).map_batches(lambda dates: pl.Series(seconds_of(dates.to_list())), pl.Float64)
    return nw.from_native(frame.to_native().with_columns(seconds))


def find_files(path: str | Path) -> list[Path]:
    """The files at `path`: itself, all under a folder, or all that a pattern fits; of one kind, csv or parquet."""
    place = Path(path).expanduser()
    if place.is_dir():
        files = [each for each in sorted(place.rglob("*")) if each.is_file() and each.name[0] not in "._"]
        files = [each for each in files if each.name.lower().endswith(ENDINGS)]
    elif not place.exists() and glob.has_magic(str(place)):
        files = [Path(each) for each in sorted(glob.glob(str(place), recursive=True)) if Path(each).is_file()]
    else:
        files = [place]
    if not files or not (files[0].is_file() or files[0].suffix):
        raise FileNotFoundError(f"path must name an existing file; got {str(path)!r}")
    for each in files:
        rule = "path must end in .csv, .tsv, either with .gz, .bz2, .zst or .zip, or in .parquet"
        require(each.name.lower().endswith(ENDINGS), rule, str(each))
    if not files[0].is_file():
        raise FileNotFoundError(f"path must name an existing file; got {str(path)!r}")
    kinds = {each.suffix.lower() == ".parquet" for each in files}
    require(len(kinds) == 1, "path must hold files of one kind, csv or parquet", [each.name for each in files[:9]])
    return files


def installed_library(what: str, parquet: bool = False) -> Library:
    """The first of ``LIBRARIES`` that is installed and able to do `what`, with parquet files or with text."""
    for name in LIBRARIES:
        if find_spec(name) and (not parquet or name != "pandas" or find_spec("pyarrow")):
            return name
    able, extra = (LIBRARIES[:-1], "parquet") if parquet else (LIBRARIES, "frames")
    raise ImportError(f"{what} needs one of {', '.join(able)}; pip install 'spotlight-asars[{extra}]' brings one")
