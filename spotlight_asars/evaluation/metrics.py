"""What is made of ranks: every metric is a function of them, and a report has the means.

References
----------
K. Järvelin, J. Kekäläinen: Cumulated gain-based evaluation of IR techniques. ACM Transactions on Information Systems
20 (2002).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spotlight_asars._checks import require

Ranks = NDArray[np.float64]


def reciprocal_rank(ranks: Ranks, k: int) -> Ranks:
    """1 / rank down to place k, 0 beyond; its mean is MRR@k.

    >>> reciprocal_rank(np.array([1.0, 4.0, 21.0]), k=20).tolist()
    [1.0, 0.25, 0.0]
    """
    return np.where(ranks <= k, 1.0 / ranks, 0.0)


def hit(ranks: Ranks, k: int) -> Ranks:
    """1 down to place k, 0 beyond; its mean is Recall@k, for there is one target each.

    >>> hit(np.array([1.0, 4.0, 21.0]), k=20).tolist()
    [1.0, 1.0, 0.0]
    """
    return (ranks <= k).astype(np.float64)


def discounted_gain(ranks: Ranks, k: int) -> Ranks:
    """1 / log2(1 + rank) down to place k, 0 beyond; its mean is NDCG@k, for the ideal gain of one target is 1.

    >>> discounted_gain(np.array([1.0, 3.0, 21.0]), k=20).tolist()
    [1.0, 0.5, 0.0]
    """
    return np.where(ranks <= k, 1.0 / np.log2(1.0 + ranks), 0.0)


METRICS: dict[str, Callable[[Ranks, int], Ranks]] = {"mrr": reciprocal_rank, "recall": hit, "ndcg": discounted_gain}


def parse_metric(metric: Any, argument: str = "metric", or_else: str = "") -> tuple[str, int]:
    """Metric and cut-off of a name like "mrr@20".

    Parameters
    ----------
    metric : str
    argument, or_else : str
        What an error calls it, and what else it might have been.

    Raises
    ------
    ValueError
        For what is no metric with a cut-off.

    Examples
    --------
    >>> parse_metric("recall@10")
    ('recall', 10)
    """
    name, _, cutoff = str(metric).partition("@")
    valid = name in METRICS and cutoff.isdecimal() and cutoff == str(int(cutoff)) != "0"
    require(valid, f"{argument} must be {or_else}one of {sorted(METRICS)} with a cut-off, like 'mrr@20'", metric)
    return name, int(cutoff)


class Report(dict[str, float]):
    """Metrics by name, as ``report["mrr@20"]``.

    Parameters
    ----------
    ranks, sessions, lists
        As under Attributes.
    k : ints
        Cut-offs of the metrics.
    of_lists : dict, optional
        Metrics of the lists by name.

    Attributes
    ----------
    ranks : float64 (targets,)
        Rank of each target, 1 is best; in the order of the sessions and of the events in each.
    sessions : int64 (targets,)
        The session of each target.
    lists : int64 (targets, k) or None
        What is recommended in the place of each target, best first, padded with 0; where it was asked for.
    by : dict of Report
        The metrics of ranks for a part of the targets: "seen" for items that occur in the training, "new" for all
        others, of a model that knows which; without parts that have no target.
    """

    def __init__(
        self,
        ranks: Ranks,
        sessions: NDArray[np.int64],
        k: Sequence[int],
        lists: NDArray[np.int64] | None = None,
        of_lists: Mapping[str, float] | None = None,
    ) -> None:
        names = ((f"{name}@{place}", metric, place) for name, metric in METRICS.items() for place in k)
        super().__init__({name: float(metric(ranks, place).mean()) for name, metric, place in names})
        self.update(of_lists or {})
        self.ranks, self.sessions, self.lists = ranks, sessions, lists
        self.by: dict[str, Report] = {}

    def split(self, parts: Mapping[str, NDArray[np.bool_]], k: Sequence[int]) -> None:
        """Have one report in ``by`` for each of some parts of the targets, bool (targets,), that has any."""
        for name, part in parts.items():
            if part.any():
                self.by[name] = Report(self.ranks[part], self.sessions[part], k)
