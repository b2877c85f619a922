"""OTTO: clicks, carts and orders of an online shop, one session a line of JSON."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spotlight_asars._checks import one_of
from spotlight_asars.datasets.reading.events import choose, to_log
from spotlight_asars.datasets.reading.tables import check_count
from spotlight_asars.events import EventLog
from spotlight_asars.events.files import TextFile, find_one

TYPES = ("clicks", "carts", "orders")
EVENTS = {"train": 216_716_096, "test": 13_851_293}
BLOCK = 2**23  # bytes of JSON read at once; as Python objects they take many times as much


def load_otto(
    path: str | Path, part: str = "train", types: Collection[str] | None = None, *, partial: bool = False
) -> EventLog:
    """The events of OTTO's shop.

    The files ``otto-recsys-train.jsonl`` and ``otto-recsys-test.jsonl`` have a line such as {"session": 0, "events":
    [{"aid": 1, "ts": 2, "type": "clicks"}]} for each session, ts in ms.

    Parameters
    ----------
    path : str or Path
        The file of that part, plain, gzipped or zipped, or its folder or archive.
    part : {"train", "test"}
        Which of the two; nobody is in both.
    types : some of {"clicks", "carts", "orders"}, optional
        Events to keep; by default all.
    partial : bool
        Accept any number of events, as in the competition's own, shortened test.

    Returns
    -------
    EventLog
        What OTTO calls a session is all that one user did in weeks: here it is the user.

    References
    ----------
    P. Normann, S. Baumeister, T. Wilm: OTTO Recommender Systems Dataset: A real-world e-commerce dataset for
    session-based recommender systems research. Kaggle, 2023. https://doi.org/10.34740/KAGGLE/DSV/4991874
    """
    one_of(part, tuple(EVENTS), "part")
    kept = [TYPES.index(kind) for kind in choose(types, TYPES, "types")]
    files = find_one(path, f"*{part}.jsonl")
    count, blocks = 0, []
    for block in _blocks(files[0]):
        count += len(block)
        blocks.append(block[np.isin(block[:, 3], kept), :3])
    check_count(count, None if partial else EVENTS[part], files)
    session, item, milliseconds = np.concatenate(blocks).T
    return to_log(session, item, milliseconds / 1000, options="types")


def _blocks(file: TextFile) -> Iterator[NDArray[np.int64]]:
    """Session, item, time [ms] and type of each event, int64 (events, 4), for one block of lines after another."""
    number = 1
    for text in file.blocks(BLOCK):
        events: list[tuple[int, int, int, int]] = []
        for line in text.split(b"\n")[:-1]:
            try:
                events += _events(line)
            except (ValueError, KeyError, TypeError):
                raise ValueError(
                    f'line {number} of {file.label} must be {{"session": 0, "events": [{{"aid": 1, "ts": 2, "type": '
                    f'"clicks"}}]}}, types from {list(TYPES)}; got {line[:200].decode(errors="replace")!r}'
                ) from None
            number += 1
        try:
            block = np.array(events, dtype=np.int64).reshape(-1, 4)
        except OverflowError:
            raise ValueError(f"{file.label} must have integers of 64 bits; got more before line {number}") from None
        yield block


def _events(line: bytes) -> list[tuple[int, int, int, int]]:
    record = json.loads(line)
    session = record["session"]
    events = [(session, event["aid"], event["ts"], TYPES.index(event["type"])) for event in record["events"]]
    if any(type(number) is not int for event in events for number in event):
        raise TypeError("session, aid and ts must be integers")
    return events
