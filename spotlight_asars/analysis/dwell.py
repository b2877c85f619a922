"""The histogram of dwell times and its gamma fit (section 1.2 and Figure 1, right, of the paper)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammainc

from spotlight_asars._checks import reject, require
from spotlight_asars.events import HOUR, EventLog

Floats = NDArray[np.float64]

REACH = 0.9  # quantile of the dwell times where the bars end
BINS = 50  # at most
FINEST = 1e-6  # [s] narrowest bar
SAME = 1e-9  # of log mean - mean log: below this, dwell times count as equal and have no gamma fit


@dataclass(frozen=True, eq=False)
class DwellHistogram:
    """The histogram of the dwell times above zero, and their gamma distribution.

    A bar includes its right edge: with whole seconds, (0, 5] and (5, 10] hold five values each.
    """

    edges: Floats  # (bins + 1,) [s]
    density: Floats  # (bins,) [1/s], observed
    fitted: Floats  # (bins,) [1/s], of the gamma distribution, mean over each bar
    positive: int  # number of dwell times above zero; all but `zeros` is of these alone
    zeros: float  # share of zeros in the known dwell times; a gamma distribution has none
    outside: float  # share outside the bars
    median: float  # [s]
    shape: float
    scale: float  # [s]
    distance: float  # Kolmogorov-Smirnov: largest difference of observed and fitted cumulative distribution, 0..1


def dwell_histogram(log: EventLog, edges: ArrayLike | None = None, inactivity: float = HOUR) -> DwellHistogram:
    r"""The normalised histogram of dwell times and their gamma distribution (Figure 1, right).

    .. math:: f(\delta) = \frac{\delta^{a-1} e^{-\delta / b}}{\Gamma(a)\, b^a}, \quad \delta > 0

    of shape a and scale b, with the greatest likelihood of the positive dwell times. Gaps between sessions do not
    count; that `inactivity` cuts the distribution off is not modelled.

    Parameters
    ----------
    log : EventLog
        Measured dwell times count where it has them, else the gaps inside sessions.
    edges : float (bins + 1,), optional
        Of the bars [s], ascending from 0 or more. By default round numbers (whole if all dwell times are), at most 50
        bars up to the 90 % quantile.
    inactivity : float
        A session ends where its user is idle this long [s].

    Returns
    -------
    DwellHistogram
        Densities are 0 without positive dwell times. Equal dwell times have no fit: shape, scale, distance and
        ``fitted`` are NaN.

    Raises
    ------
    ValueError
        If `inactivity` is not positive, or `edges` do not ascend from 0 or more.

    Examples
    --------
    >>> histogram = dwell_histogram(EventLog([0] * 5, [1, 2, 3, 4, 5], [0, 10, 25, 25, 55]), edges=[0, 20, 40])
    >>> histogram.density.round(4), histogram.zeros
    (array([0.0333, 0.0167]), 0.25)
    """
    dwell = log.dwell_times(inactivity)
    dwell = dwell[~np.isnan(dwell)]
    positive = np.sort(dwell[dwell > 0])
    bars = _round_edges(positive) if edges is None else _check_edges(edges)
    held = np.diff(np.searchsorted(positive, bars, side="right"))
    shape, scale = _fit_gamma(positive)
    below = gammainc(shape, positive / scale)
    steps = np.arange(len(positive) + 1) / max(len(positive), 1)
    distance = max(np.max(steps[1:] - below), np.max(below - steps[:-1])) if len(positive) else np.nan
    return DwellHistogram(
        edges=bars,
        density=held / np.diff(bars) / max(len(positive), 1),
        fitted=np.diff(gammainc(shape, bars / scale)) / np.diff(bars),
        positive=len(positive),
        zeros=1 - len(positive) / len(dwell) if len(dwell) else np.nan,
        outside=1 - held.sum() / len(positive) if len(positive) else np.nan,
        median=float(np.median(positive)) if len(positive) else np.nan,
        shape=shape,
        scale=scale,
        distance=float(distance),
    )


def _fit_gamma(positive: Floats) -> tuple[float, float]:
    """Shape and scale [s] of the greatest likelihood; NaN where all values are equal."""
    if not len(positive) or np.log(positive.mean()) - np.log(positive).mean() < SAME:
        return np.nan, np.nan
    from scipy import stats  # takes half as long to import as torch

    shape, _, scale = stats.gamma.fit(positive, floc=0)
    return float(shape), float(scale)


def _round_edges(positive: Floats) -> Floats:
    """Edges of bars that are 1, 2 or 5 times a power of ten wide, and whole if all dwell times are."""
    if not len(positive):
        return np.array([0.0, 1.0])
    reach = np.quantile(positive, REACH)
    finest = 1.0 if (positive == np.floor(positive)).all() else FINEST
    width = max(reach / BINS, finest)
    power = 10.0 ** np.floor(np.log10(width))
    width = power * next(step for step in (1, 2, 5, 10) if step * power >= width * (1 - SAME))
    return width * np.arange(np.ceil(reach / width) + 1)


def _check_edges(edges: ArrayLike) -> Floats:
    bars = np.asarray(edges, dtype=np.float64)
    require(bars.ndim == 1 and len(bars) >= 2, "edges must have one axis, and two edges or more", bars.shape)
    reject(~np.isfinite(bars) | (bars < 0), bars, "edges must be finite and 0 or more [s]")
    reject(np.diff(bars, prepend=-1.0) <= 0, bars, "edges must ascend")
    return bars
