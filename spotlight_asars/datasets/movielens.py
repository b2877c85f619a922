"""MovieLens: ratings of films by users, over months and years.

The time between two ratings does not say how long somebody looked: half of them are zero. So these logs show what users
are worth to a model, and not what dwell times are.
"""

from __future__ import annotations

from pathlib import Path

from spotlight_asars.datasets.reading.events import to_log
from spotlight_asars.datasets.reading.tables import Layout, read_table
from spotlight_asars.events import EventLog
from spotlight_asars.events.files import find_one

FIELDS = dict.fromkeys(("user", "item", "timestamp"), "integer")
LAYOUT_100K = Layout(FIELDS, "\t", ("user", "item", "rating", "timestamp"))
LAYOUT_1M = Layout(FIELDS, ":", ("user", "_1", "item", "_2", "rating", "_3", "timestamp"))  # "::" splits in two
RATINGS_100K, RATINGS_1M = 100_000, 1_000_209


def load_movielens_100k(path: str | Path, *, partial: bool = False) -> EventLog:
    """Each rating of MovieLens 100K as an event, whatever the rating.

    The file ``u.data`` has user, item, rating and time [s], with tabs between them and no header.

    Parameters
    ----------
    path : str or Path
        ``ml-100k.zip``, the folder inside it, or ``u.data``.
    partial : bool
        Accept any number of ratings.

    References
    ----------
    F. M. Harper, J. A. Konstan: The MovieLens Datasets: History and Context. ACM Transactions on Interactive
    Intelligent Systems 5(4), 2015. https://doi.org/10.1145/2827872
    """
    return _load(path, "u.data", LAYOUT_100K, None if partial else RATINGS_100K)


def load_movielens_1m(path: str | Path, *, partial: bool = False) -> EventLog:
    """Each rating of MovieLens 1M as an event, whatever the rating: the first data set of the paper.

    The file ``ratings.dat`` has user, item, rating and time [s], with "::" between them and no header.

    Parameters
    ----------
    path : str or Path
        ``ml-1m.zip``, the folder inside it, or ``ratings.dat``.
    partial : bool
        Accept any number of ratings.

    References
    ----------
    As of ``load_movielens_100k``.
    """
    return _load(path, "ratings.dat", LAYOUT_1M, None if partial else RATINGS_1M)


def _load(path: str | Path, name: str, layout: Layout, published: int | None) -> EventLog:
    columns = read_table(find_one(path, name), layout, published)
    return to_log(columns["user"], columns["item"], columns["timestamp"])
