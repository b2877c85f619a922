r"""Whether one model is better than another, or was lucky: a paired bootstrap over sessions.

Sessions are drawn with replacement, as many as there are; a draw has the mean of a metric over the targets of the drawn
sessions. Sessions are drawn and not targets, for the targets of a session are much alike; and the same ones for both
models, whose differences vary less than either does.

References
----------
B. Efron, R. J. Tibshirani: An introduction to the bootstrap. Chapman and Hall 1993.
T. Sakai: Evaluating evaluation metrics based on the bootstrap. SIGIR 2006.
S. Holm: A simple sequentially rejective multiple test procedure. Scandinavian Journal of Statistics 6 (1979).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.random import RandomState
from numpy.typing import ArrayLike, NDArray

from spotlight_asars._checks import reject, require, whole
from spotlight_asars.evaluation.metrics import METRICS, Report, parse_metric

DRAWS, LEVEL = 2000, 0.95
NUMBERS_AT_ONCE = 2**24  # of draws times sessions, 128 MB

Floats = NDArray[np.float64]


class Comparison(NamedTuple):
    """How much better one report is than another.

    Parameters
    ----------
    difference : float
        Of the means of the metric.
    interval : (float, float)
        In which the middle 95 % of the draws' differences lie.
    p : float
        Two-sided: how likely so clear a sign is by chance.
    """

    difference: float
    interval: tuple[float, float]
    p: float


def compare(report: Report, other: Report, metric: str = "mrr@20", draws: int = DRAWS, seed: int = 0) -> Comparison:
    """Compare two models on the same test sessions, by a paired bootstrap.

    Parameters
    ----------
    report, other : Report
        From ``evaluate`` of two models on the same sessions and positions.
    metric : str
        Of ranks, like "mrr@20".
    draws : int
        Of all sessions.
    seed : int

    Returns
    -------
    Comparison
        Of `report` minus `other`. For many comparisons at once see ``holm``.

    Raises
    ------
    ValueError
        For reports of other targets, and metrics that ranks do not have.

    Examples
    --------
    >>> sessions = np.arange(30)
    >>> better, worse = (Report(np.full(30, rank), sessions, [20]) for rank in (2.0, 4.0))
    >>> compare(better, worse, "mrr@20", draws=99)
    Comparison(difference=0.25, interval=(0.25, 0.25), p=0.02)
    """
    name, k = parse_metric(metric)
    same = np.array_equal(report.sessions, other.sessions)
    require(same, "other must be a report of the same sessions and positions", other.sessions.shape)
    values = METRICS[name](report.ranks, k) - METRICS[name](other.ranks, k)
    drawn = bootstrap(values, report.sessions, draws, seed)
    return Comparison(float(values.mean()), interval(drawn), p_value(drawn))


def bootstrap(values: ArrayLike, sessions: NDArray[np.int64], draws: int = DRAWS, seed: int = 0) -> Floats:
    """The mean of some values in each draw of the sessions.

    Parameters
    ----------
    values : float (targets,)
    sessions : int64 (targets,)
        The session of each.
    draws : int
    seed : int
        The same seed draws the same sessions, whatever the values are.

    Returns
    -------
    float64 (draws,)
    """
    whole(draws, "draws", least=1)
    session = np.unique(sessions, return_inverse=True)[1]
    count, random_state = int(session.max()) + 1, RandomState(seed)
    sums, sizes = np.bincount(session, np.asarray(values, dtype=np.float64)), np.bincount(session)
    means: list[Floats] = []
    at_once = max(1, NUMBERS_AT_ONCE // count)
    for start in range(0, draws, at_once):
        number = min(at_once, draws - start)
        drawn = random_state.multinomial(count, np.full(count, 1 / count), size=number).astype(np.float64)
        means.append((drawn @ sums) / (drawn @ sizes))
    return np.concatenate(means)


def interval(drawn: ArrayLike, level: float = LEVEL) -> tuple[float, float]:
    """The ends of the middle share `level` of the draws."""
    require(0 < level < 1, "level must lie between 0 and 1", level)
    low, high = np.quantile(np.asarray(drawn), [(1 - level) / 2, (1 + level) / 2]).tolist()
    return low, high


def p_value(differences: ArrayLike) -> float:
    """Two-sided: how seldom the difference has the other sign; never 0, for there are but so many draws.

    >>> p_value([0.2, 0.1, -0.1, 0.3, 0.2, 0.1, 0.2])
    0.5
    """
    drawn = np.asarray(differences)
    seldom = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    return min(1.0, 2 * (1 + seldom) / (1 + len(drawn)))


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    r"""P values of several tests, corrected so that one below 0.05 is by chance in 1 of 20 such families at most.

    .. math:: \tilde p_{(i)} = \max_{j \le i} \min\big(1, (m - j + 1) \, p_{(j)}\big)

    for the m values in rising order.

    Parameters
    ----------
    p_values : dict of float
        By the name of the test.

    Returns
    -------
    dict of float
        In the same order.

    Raises
    ------
    ValueError
        For what is no probability.

    Examples
    --------
    >>> holm({"a": 0.01, "b": 0.04, "c": 0.03})
    {'a': 0.03, 'b': 0.06, 'c': 0.06}
    """
    values = np.array(list(p_values.values()), dtype=np.float64)
    reject(~((values >= 0) & (values <= 1)), values, "p_values must lie in 0..1")
    order = np.argsort(values, kind="stable")
    corrected = np.empty(len(values))
    corrected[order] = np.maximum.accumulate(np.minimum(1.0, values[order] * np.arange(len(values), 0, -1)))
    return dict(zip(p_values, corrected.tolist(), strict=True))
