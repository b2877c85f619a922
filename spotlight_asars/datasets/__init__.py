"""Published logs, a log with planted effects, and tables that compare logs.

>>> log = DATASETS["movielens-1m"](fetch("movielens-1m"))  # doctest: +SKIP

===================  ====================================================================
``published``        ``DATASETS``: each with its loader, source and licence
``movielens`` etc.   one file per data set: its format and its loader
``reading``          what the loaders share: unpacking, parsing, checks
``download``         published files into a cache folder
``synthetic``        a log with planted effects
``paper``            the paper's preprocessing of each of its data sets
``statistics``       logs in numbers, side by side, as in Table 1 of the paper
===================  ====================================================================
"""

from __future__ import annotations

from typing import Any

from spotlight_asars._checks import warn_renamed
from spotlight_asars.datasets.download import fetch
from spotlight_asars.datasets.paper import PAPER_SUBSETS, paper_subset
from spotlight_asars.datasets.published import DATASETS
from spotlight_asars.datasets.statistics import comparison_table, describe
from spotlight_asars.datasets.synthetic import generate_sessions

__all__ = [
    "DATASETS",
    "PAPER_SUBSETS",
    "comparison_table",
    "describe",
    "fetch",
    "generate_sessions",
    "paper_subset",
]


def __getattr__(name: str) -> Any:
    if name == "SOURCES":
        warn_renamed("datasets.SOURCES", "datasets.DATASETS, whose records have page, file, url and checksum")
        return DATASETS
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
