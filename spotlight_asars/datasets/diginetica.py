"""Diginetica, the data of the CIKM Cup 2016: item views of an online shop in half a year.

The file has the day of a session and the time since its start, but no time of day. So sessions start at midnight, and
several of one user on one day follow each other in the order of their numbers.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spotlight_asars._checks import one_of
from spotlight_asars.datasets.reading.events import to_log
from spotlight_asars.datasets.reading.tables import Layout, read_table
from spotlight_asars.events import HOUR, EventLog
from spotlight_asars.events.files import find_one

LAYOUT = Layout(
    {"sessionId": "integer", "userId": "optional", "itemId": "integer", "timeframe": "integer", "eventdate": "day"},
    separator=";",
)
VIEWS = 1_235_380
APART = 2 * HOUR  # between two sessions of one user on one day: more than the inactivity that ends one


def load_diginetica(path: str | Path, user: str = "session", *, partial: bool = False) -> EventLog:
    """The item views of Diginetica.

    The file ``train-item-views.csv`` has a header and the columns sessionId, userId, itemId, timeframe [ms] and
    eventdate, with semicolons between them.

    Parameters
    ----------
    path : str or Path
        ``train-item-views.csv``, plain, gzipped or zipped, or its folder or archive.
    user : {"session", "user"}
        Who browses: the session, or the user, without the sessions of unknown users. A session belongs to the user of
        any of its views, as some log in on the way.
    partial : bool
        Accept any number of views.

    Returns
    -------
    EventLog
        A view's timestamp is the midnight (UTC) of its session's first day plus ``timeframe``. With ``user="user"`` a
        session begins no earlier than two hours after the end of the user's session before it.

    References
    ----------
    CIKM Cup 2016, Track 2: Personalized E-Commerce Search Challenge, by DIGINETICA.
    https://competitions.codalab.org/competitions/11161
    """
    one_of(user, ("session", "user"), "user")
    columns = read_table(find_one(path, "train-item-views.csv"), LAYOUT, None if partial else VIEWS)
    sessions, session = np.unique(columns["sessionId"], return_inverse=True)
    offset = columns["timeframe"] / 1000
    day = np.full(len(sessions), np.datetime64("9999-12-31"))
    np.minimum.at(day, session, columns["eventdate"])
    start = day.astype("datetime64[s]").astype(np.int64).astype(np.float64)
    if user == "session":
        return to_log(columns["sessionId"], columns["itemId"], start[session] + offset)

    owner = np.full(len(sessions), -np.inf)  # of each session; the largest where there are several
    np.fmax.at(owner, session, columns["userId"])
    last = np.zeros(len(sessions))
    np.maximum.at(last, session, offset)
    start = _spread(owner, start, last)
    known = np.isfinite(owner)[session]
    return to_log(
        owner[session][known].astype(np.int64),
        columns["itemId"][known],
        (start[session] + offset)[known],
        options="user='user'",
    )


def _spread(owner: NDArray[np.float64], start: NDArray[np.float64], length: NDArray[np.float64]) -> NDArray[np.float64]:
    """Starts [s] of sessions, delayed where the owner's session before has not ended ``APART`` earlier."""
    order = np.lexsort((start, owner))
    owners, lengths, later = owner[order].tolist(), length[order].tolist(), start[order].tolist()
    for before, this in itertools.pairwise(range(len(order))):
        if owners[before] == owners[this]:
            later[this] = max(later[this], later[before] + lengths[before] + APART)
    delayed = np.empty_like(start)
    delayed[order] = later
    return delayed
