"""Csv, parquet and json files, written whole or not at all; paths are checked before any work starts."""

from __future__ import annotations

import gzip
import json
import os
import uuid
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from spotlight_asars import EventLog
from spotlight_asars._checks import require
from spotlight_asars.cli.answers import plain
from spotlight_asars.cli.arguments import DWELL, ITEM, KIND, SESSION, TIMESTAMP, USER
from spotlight_asars.events.frames import exact_column
from spotlight_asars.events.reading import Library, installed_library, reads_as_integers
from spotlight_asars.events.vocabulary import Vocabulary
from spotlight_asars.preparation.disk import explained

TABLES = (".csv", ".csv.gz", ".parquet")


def check_place(path: Path | None, argument: str, suffixes: Collection[str] = ()) -> None:
    """Raise if the file `path` could not be written later: wrong ending, no folder, or no library to write it."""
    if path is None:
        return
    rule = f"{argument} must end in one of {sorted(suffixes)}"
    require(not suffixes or path.name.endswith(tuple(suffixes)), rule, str(path))
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{argument} must stand in an existing folder; got {str(path)!r}")
    if path.is_dir():
        raise IsADirectoryError(f"{argument} must be a file, and there is a folder; got {str(path)!r}")
    if path.name.endswith(TABLES):
        _library(path)


def _library(path: Path) -> Library:
    return installed_library(f"writing {path.name}", parquet=path.suffix == ".parquet")


def write_table(columns: Mapping[str, NDArray[Any]], path: Path) -> None:
    """Write columns into a csv, parquet or json file (a list of records)."""
    beside = path.with_name(f".{uuid.uuid4().hex}.{path.name}")  # the ending says how to write
    with explained(path), _removed(beside):
        if path.suffix == ".json":
            rows = [dict(zip(columns, row, strict=True)) for row in zip(*map(plain, columns.values()), strict=True)]
            beside.write_text(json.dumps(rows, allow_nan=False, ensure_ascii=False) + "\n", encoding="utf-8")
            return os.replace(beside, path)
        library = _library(path)
        table = nw.from_dict({name: exact_column(name, values, library) for name, values in columns.items()})
        if path.suffix == ".parquet":
            table.write_parquet(str(beside))
        else:
            text = table.write_csv()
            assert text is not None
            beside.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
        os.replace(beside, path)


@contextmanager
def _removed(path: Path) -> Iterator[None]:
    """Remove a file at the end, where it is still there."""
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def write_log(log: EventLog, inactivity: float, path: Path) -> None:
    """Write the events of a log, with dwell times and sessions as recorded."""
    if path.suffix != ".parquet":
        for name, raw in (("user", log.user_vocabulary.raw), ("item", log.item_vocabulary.raw)):
            text, way_out = raw.dtype.kind == "O", "A name that ends in .parquet keeps them text"
            rule = f"a csv file must not have {name} ids of text that are all written as integers, or blank"
            lost = text and (reads_as_integers(raw.tolist()) or "" in raw)
            require(not lost, rule, raw[:1].tolist(), way_out)
    columns = {
        USER: log.user_vocabulary.decode(log.user_ids),
        ITEM: log.item_vocabulary.decode(log.item_ids),
        TIMESTAMP: np.asarray(log.timestamps),
        DWELL: log.dwell_times(inactivity),
        SESSION: log.session_ids(inactivity),
    }
    if log.categories is not None:
        columns["category"] = log.categories
    if log.kinds is not None and log.kind_vocabulary is not None:
        columns[KIND] = _named(log.kind_vocabulary, log.kinds)
    if log.context is not None:
        columns |= {
            name: _named(log.context_vocabularies[name], codes)
            for name, codes in zip(log.context_vocabularies, log.context.T, strict=True)
        }
    write_table(columns, path)


def _named(vocabulary: Vocabulary, codes: NDArray[np.int64]) -> NDArray[Any]:
    """What labels are called; None where they are unknown."""
    named: NDArray[Any] = np.array([None, *vocabulary.raw.tolist()], dtype=object)[codes]
    return named
