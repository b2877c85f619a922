"""Tables -> csv, parquet and json files, whole or not at all; the place is looked at before any work starts."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from spotlight_asars._checks import require
from spotlight_asars.cli.answers import plain
from spotlight_asars.cli.arguments import DWELL, ITEM, SESSION, TIMESTAMP, USER
from spotlight_asars.events import EventLog
from spotlight_asars.events.reading import ENDINGS, Library, installed_library

TABLES = ENDINGS


def check_place(path: Path | None, argument: str, suffixes: Collection[str] = ()) -> None:
    """Raise before work starts where nothing could be written to `path` at its end."""
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


def write_table(columns: Mapping[str, Any], path: Path) -> None:
    """Columns into a csv, parquet or json file (a list of records)."""
    beside = path.with_name(f".{uuid.uuid4().hex}.{path.name}")  # the same ending, for it says how to write
    try:
        if path.suffix == ".json":
            rows = [dict(zip(columns, row, strict=True)) for row in zip(*map(plain, columns.values()), strict=True)]
            beside.write_text(json.dumps(rows, allow_nan=False, ensure_ascii=False) + "\n", encoding="utf-8")
        elif path.suffix == ".parquet":
            nw.from_dict(columns, backend=_library(path)).write_parquet(str(beside))
        else:
            text = nw.from_dict(columns, backend=_library(path)).write_csv()
            assert text is not None
            _write_text(text, beside)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def write_log(log: EventLog, inactivity: float, path: Path) -> None:
    """The events of a log with their dwell and sessions as they were recorded."""
    users, items = log.user_vocabulary.decode(log.user_ids), log.item_vocabulary.decode(log.item_ids)
    if path.suffix != ".parquet":
        for name, raw in (("user", log.user_vocabulary.raw), ("item", log.item_vocabulary.raw)):
            rule = f"a csv file must not have {name} ids of text that reads as numbers"
            require(not _reads_as_numbers(raw), rule, raw[:1].tolist(), "A name that ends in .parquet keeps them text")
    columns = {
        USER: users,
        ITEM: items,
        TIMESTAMP: np.asarray(log.timestamps),
        DWELL: log.dwell_times(inactivity),
        SESSION: log.session_ids(inactivity),
    }
    if log.categories is not None:
        columns["category"] = log.categories
    listed = {name: column.tolist() if column.dtype.kind in "OU" else column for name, column in columns.items()}
    write_table(listed, path)


def _reads_as_numbers(raw: NDArray[Any]) -> bool:
    """Whether a csv reader would take all of these strings for numbers."""
    if raw.dtype.kind in "iu":
        return False
    try:
        return all(isinstance(float(text), float) for text in raw.tolist())
    except ValueError:
        return False


def _write_text(text: str, path: Path) -> None:
    if path.suffix == ".gz":
        import gzip

        with gzip.open(path, "wt", encoding="utf-8", newline="") as file:
            file.write(text)
    else:
        path.write_text(text, encoding="utf-8", newline="")
