"""Logs to try things on: published ones from their files, and one with planted effects.

``DATASETS`` has the loaders by name, ``fetch`` brings the file of one:

>>> log = DATASETS["movielens-1m"](fetch("movielens-1m"))  # doctest: +SKIP

==================  =====================================================================================
``movielens`` etc.  one file per data set: its format, its source, its loader
``synthetic``       a log with planted effects
``paper``           the paper's preprocessing of each of its data sets
``statistics``      logs in numbers, side by side, as in Table 1 of the paper
``download``        a published file onto this disk
``files``           text out of whatever it is packed in
``tables``          text into checked columns; ``readers``: by whichever library is installed
``loading``         what all loaders share
==================  =====================================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from spotlight_asars._checks import one_of
from spotlight_asars.datasets import diginetica, kuairand, movielens, otto, recsys15, retailrocket, tianchi
from spotlight_asars.datasets.download import Source, fetch_file
from spotlight_asars.datasets.paper import PAPER_SUBSETS, paper_subset
from spotlight_asars.datasets.statistics import comparison_table, describe
from spotlight_asars.datasets.synthetic import generate_sessions
from spotlight_asars.events import EventLog

DATASETS: dict[str, Callable[..., EventLog]] = {
    "movielens-100k": movielens.load_movielens_100k,
    "movielens-1m": movielens.load_movielens_1m,
    "recsys15": recsys15.load_recsys15,
    "tianchi": tianchi.load_tianchi,
    "diginetica": diginetica.load_diginetica,
    "retailrocket": retailrocket.load_retailrocket,
    "otto": otto.load_otto,
    "kuairand": kuairand.load_kuairand,
}
SOURCES: dict[str, Source] = {
    "movielens-100k": movielens.SOURCE_100K,
    "movielens-1m": movielens.SOURCE_1M,
    "recsys15": recsys15.SOURCE,
    "tianchi": tianchi.SOURCE,
    "diginetica": diginetica.SOURCE,
    "retailrocket": retailrocket.SOURCE,
    "otto": otto.SOURCE,
    "kuairand": kuairand.SOURCE,
}


def fetch(name: str, folder: str | Path | None = None, progress: bool = True) -> Path:
    """Path of the published file of a data set, downloaded if need be and may be.

    MovieLens and KuaiRand come from their providers; ``download.fetch_file`` says how. The others ask for an account or
    for unpacking: for these the message says what to put where, and a file that is there is found.

    Parameters
    ----------
    name : str
        One of ``DATASETS``.
    folder : str or Path, optional
        Where files are kept: by default the environment variable ``SPOTLIGHT_ASARS_CACHE`` has the folder, else it is
        ``~/.cache/spotlight_asars``.
    progress : bool
        Show a progress bar.

    Raises
    ------
    ValueError
        For another name, and if what arrived is not the published file.
    FileNotFoundError
        If the file is not there and has no direct download.
    ConnectionError
        If the provider cannot be reached.
    """
    one_of(name, tuple(SOURCES), "name")
    return fetch_file(SOURCES[name], folder, progress)


__all__ = [
    "DATASETS",
    "PAPER_SUBSETS",
    "SOURCES",
    "comparison_table",
    "describe",
    "fetch",
    "generate_sessions",
    "paper_subset",
]
