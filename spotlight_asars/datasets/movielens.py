"""MovieLens: films and what users gave them, over months and years.

A time between two ratings is not how long somebody looked: half of them are zero. The data sets show what users are
worth to a model, not what dwell time is.
"""

from __future__ import annotations

from pathlib import Path

from spotlight_asars.datasets.download import Source
from spotlight_asars.datasets.files import find_one
from spotlight_asars.datasets.loading import check_lines, to_log
from spotlight_asars.datasets.tables import Layout, read_table
from spotlight_asars.events import EventLog

SOURCE_100K = Source(
    page="https://grouplens.org/datasets/movielens/100k/",
    file="ml-100k.zip",
    url="https://files.grouplens.org/datasets/movielens/ml-100k.zip",
    checksum="md5:0e33842e24a9c977be4e0107933c0723",
)
SOURCE_1M = Source(
    page="https://grouplens.org/datasets/movielens/1m/",
    file="ml-1m.zip",
    url="https://files.grouplens.org/datasets/movielens/ml-1m.zip",
    checksum="md5:c4d9eecfca2ab87c1945afe126590906",
)
COLUMNS = ("user", "item", "rating", "timestamp")
RATINGS_100K, RATINGS_1M = 100_000, 1_000_209


def load_movielens_100k(path: str | Path, *, partial: bool = False) -> EventLog:
    """Each rating of MovieLens 100K as an event, whatever the rating.

    ========  ======================================================================================
    Size      100,000 ratings, 943 users, 1,682 films; September 1997 to April 1998; 5 MB zipped
    Source    https://grouplens.org/datasets/movielens/100k/
    Licence   terms of GroupLens: for research; no redistribution, no commercial use without permission
    Format    ``u.data``: user, item, rating, seconds; tabs between them, no header
    ========  ======================================================================================

    Parameters
    ----------
    path : str or Path
        ``ml-100k.zip``, the folder that is in it, or ``u.data``.
    partial : bool
        Accept any number of ratings.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        For a damaged file, a bad line, and a number of ratings other than the published one.

    References
    ----------
    F. M. Harper, J. A. Konstan: The MovieLens Datasets: History and Context. ACM Transactions on Interactive
    Intelligent Systems 5(4), 2015. https://doi.org/10.1145/2827872
    """
    return _load(path, "u.data", "\t", RATINGS_100K, partial)


def load_movielens_1m(path: str | Path, *, partial: bool = False) -> EventLog:
    """Each rating of MovieLens 1M as an event, whatever the rating: the first data set of the paper.

    ========  ======================================================================================
    Size      1,000,209 ratings, 6,040 users, 3,706 films; 2000 to 2003; 6 MB zipped
    Source    https://grouplens.org/datasets/movielens/1m/
    Licence   terms of GroupLens: for research; no redistribution, no commercial use without permission
    Format    ``ratings.dat``: user, item, rating, seconds; "::" between them, no header
    ========  ======================================================================================

    Parameters
    ----------
    path : str or Path
        ``ml-1m.zip``, the folder that is in it, or ``ratings.dat``.
    partial : bool
        Accept any number of ratings.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        For a damaged file, a bad line, and a number of ratings other than the published one.

    References
    ----------
    F. M. Harper, J. A. Konstan: The MovieLens Datasets: History and Context. ACM Transactions on Interactive
    Intelligent Systems 5(4), 2015. https://doi.org/10.1145/2827872
    """
    return _load(path, "ratings.dat", "::", RATINGS_1M, partial)


def _load(path: str | Path, name: str, separator: str, published: int, partial: bool) -> EventLog:
    files = find_one(path, name)
    layout = Layout(dict.fromkeys(COLUMNS, "integer"), separator, COLUMNS)
    columns, lines = read_table(files, layout)
    check_lines(lines, (published,), files, partial)
    return to_log(columns["user"], columns["item"], columns["timestamp"])
