"""How long users look: the histogram of dwell times and its gamma fit (section 1.2, Figure 1 right)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from spotlight_asars._checks import reject, require
from spotlight_asars.events import HOUR, EventLog

Floats = NDArray[np.float64]

REACH = 0.9  # quantile of dwell up to which there are bars
BINS = 50  # bars up to there, at most
FINEST = 1e-6  # [s] narrowest bar
SAME = 1e-9  # of log mean - mean log: dwell times as near to each other as this have no gamma fit


@dataclass(frozen=True, eq=False)
class DwellHistogram:
    """Dwell times above zero in bars, beside their gamma distribution.

    A bar holds its right edge: on whole seconds (0, 5] and (5, 10] hold five values each.
    """

    edges: Floats  # (bins + 1,) [s]
    density: Floats  # (bins,) [1/s], observed
    fitted: Floats  # (bins,) [1/s], of the gamma distribution, mean over each bar
    positive: int  # number of dwell times above zero, on which all but `zeros` rests
    zeros: float  # share of zero in the known dwell times; a gamma distribution has no room for it
    outside: float  # share that no bar holds
    median: float  # [s]
    shape: float
    scale: float  # [s]
    distance: float  # Kolmogorov-Smirnov: largest distance, 0..1, of observed and fitted cumulative distribution


def dwell_histogram(log: EventLog, edges: ArrayLike | None = None, inactivity: float = HOUR) -> DwellHistogram:
    r"""Dwell times as a normalised histogram, with the gamma distribution nearest to them (Figure 1, right).

    .. math:: f(\delta) = \frac{\delta^{a-1} e^{-\delta / b}}{\Gamma(a)\, b^a}, \quad \delta > 0

    of shape a and scale b, by greatest likelihood over the positive dwell times. Gaps between sessions are no dwell;
    the fit takes no account of the cut that `inactivity` makes.

    Parameters
    ----------
    log : EventLog
        Its measured dwell where it has that, else the gaps inside sessions.
    edges : float (bins + 1,), optional
        Of the bars [s], ascending from 0 or more. By default round numbers, in at most 50 bars, up to the 90 %
        quantile; on dwell in whole seconds they are whole.
    inactivity : float
        A session ends where its user is idle this long [s].

    Returns
    -------
    DwellHistogram
        Densities are 0 without a positive dwell. Where all dwell is the same there is no fit: shape, scale, distance
        and ``fitted`` are NaN.

    Raises
    ------
    ValueError
        If `inactivity` is not positive, or `edges` do not ascend from 0 or more.

    Examples
    --------
    >>> found = dwell_histogram(EventLog([0] * 5, [1, 2, 3, 4, 5], [0, 10, 25, 25, 55]), edges=[0, 20, 40])
    >>> found.density.round(4), found.zeros
    (array([0.0333, 0.0167]), 0.25)
    """
    dwell = log.dwell_times(inactivity)
    dwell = dwell[~np.isnan(dwell)]
    positive = np.sort(dwell[dwell > 0])
    bars = _round_edges(positive) if edges is None else _check_edges(edges)
    held = np.diff(np.searchsorted(positive, bars, side="right"))
    shape, scale = _fit_gamma(positive)
    below = stats.gamma.cdf(positive, shape, scale=scale)
    steps = np.arange(len(positive) + 1) / max(len(positive), 1)
    distance = max(np.max(steps[1:] - below), np.max(below - steps[:-1])) if len(positive) else np.nan
    return DwellHistogram(
        edges=bars,
        density=held / np.diff(bars) / max(len(positive), 1),
        fitted=np.diff(stats.gamma.cdf(bars, shape, scale=scale)) / np.diff(bars),
        positive=len(positive),
        zeros=1 - len(positive) / len(dwell) if len(dwell) else np.nan,
        outside=1 - held.sum() / len(positive) if len(positive) else np.nan,
        median=float(np.median(positive)) if len(positive) else np.nan,
        shape=shape,
        scale=scale,
        distance=float(distance),
    )


def _fit_gamma(positive: Floats) -> tuple[float, float]:
    """Shape and scale [s] of greatest likelihood; NaN where the values do not differ."""
    if not len(positive) or np.log(positive.mean()) - np.log(positive).mean() < SAME:
        return np.nan, np.nan
    shape, _, scale = stats.gamma.fit(positive, floc=0)
    return float(shape), float(scale)


def _round_edges(positive: Floats) -> Floats:
    """Edges of bars that are 1, 2 or 5 times a power of ten wide, and whole where dwell is in whole seconds."""
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
