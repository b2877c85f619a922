"""A data set by its name, made into the sessions that every model is trained, tuned and tested on."""

from __future__ import annotations

import hashlib
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

import narwhals as nw
import numpy as np

from spotlight_asars import EventLog, SessionInteractions, to_sessions
from spotlight_asars.datasets.synthetic import generate_sessions
from spotlight_asars.events.reading import read_frame

SYNTHETIC = "synthetic"
PLANTED = {"num_sessions": 3000, "predictability": 0.3, "dwell_effect": 0.2, "user_effect": 0.2, "repeat_effect": 0.2}
TEST_SHARE, VALIDATION_SHARE = 0.15, 0.1  # of all sessions, and of those to train on: the latest


class Recipe(NamedTuple):
    """How the events of one data set are read."""

    dwell: str | None = None  # column of measured seconds; else the gap to the next event
    only: tuple[str, str] | None = None  # column and value of the events that count
    keep_repeats: bool = False  # runs of one item stay several events


RECIPES = {
    "yoochoose": Recipe(),
    "kuairand": Recipe(dwell="dwell_s"),
    "ml-100k": Recipe(keep_repeats=True),
    "deskdrop": Recipe(only=("behavior", "VIEW")),
}


class Sessions(NamedTuple):
    """Sessions to learn from and later ones to be judged by, both with the ids of the first."""

    train: SessionInteractions
    test: SessionInteractions
    about: str

    @property
    def digest(self) -> str:
        """Eight bytes that tell these sessions from any others."""
        digest = hashlib.blake2b(digest_size=8)
        for part in (self.train, self.test):
            digest.update(f"{part.num_items} {part.num_users}".encode())
            for array in (part.offsets, part.items, part.user_ids, part.flat_dwell_times, part.started):
                digest.update(b"-" if array is None else np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


class Log(NamedTuple):
    """A data set, split for the test; and its training part, split once more for the trials."""

    name: str
    final: Sessions
    trial: Sessions


def names_in(folder: Path | None) -> list[str]:
    """The data sets of ``RECIPES`` that a folder has; the synthetic one where there is no folder."""
    return [SYNTHETIC] if folder is None else [name for name in RECIPES if _file(folder, name).exists()]


def load(name: str, folder: Path | None) -> Log:
    """Sessions of the log in ``folder/name/events.csv.gz``, or of the synthetic one.

    Repeats are joined before rare items go, so that the dwell is that of the log as it was recorded. Test items and
    users that training does not know are dropped and counted.
    """
    if name == SYNTHETIC:
        log, recipe = generate_sessions(**PLANTED, random_state=0), Recipe()
    else:
        if folder is None:
            raise ValueError(f"logs must be 'synthetic' where no folder of data is given; got {name!r}")
        recipe = RECIPES.get(name, Recipe())
        log = read(_file(folder, name), recipe)
    log = (log if recipe.keep_repeats else log.collapse_repeats()).filter_support(item=5, session=2)
    train_log, test_log = log.split_by_time(TEST_SHARE)
    return Log(name, _sessions(train_log, test_log), _sessions(*train_log.split_by_time(VALIDATION_SHARE)))


def read(path: Path, recipe: Recipe) -> EventLog:
    """The events of a file that its recipe counts."""
    frame = read_frame(path)
    if recipe.only is not None:
        column, value = recipe.only
        frame = nw.from_native(frame).filter(nw.col(column) == value)
    return EventLog.from_frame(nw.to_native(frame, pass_through=True), dwell=recipe.dwell)


def _sessions(train_log: EventLog, test_log: EventLog) -> Sessions:
    train, test = to_sessions(train_log), to_sessions(test_log)
    users = 0 if train.user_ids is None else len(np.unique(train.user_ids))
    days = [_day(moment) for log in (train_log, test_log) for moment in (log.timestamps.min(), log.timestamps.max())]
    about = (
        f"{len(train):,} sessions of {users:,} users with {len(train.items):,} events on {train.num_items - 1:,} items "
        f"to train on, {days[0]} to {days[1]}; {len(test):,} later sessions with "
        f"{int((test.lengths - 1).sum()):,} targets, until {days[3]}; "
        f"{test_log.dropped.events:,} later events of unknown items or users dropped"
    )
    return Sessions(train, test, about)


def _day(moment: float) -> str:
    return datetime.fromtimestamp(float(moment), timezone.utc).strftime("%Y-%m-%d")


def _file(folder: Path, name: str) -> Path:
    return folder / name / "events.csv.gz"
