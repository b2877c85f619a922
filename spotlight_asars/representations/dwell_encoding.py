"""Dwell times as vectors, by bins (eq. 8) or a curve, and a recurrent net over them (eq. 10).

A time encoding is a function that fits an array to the training dwell, and a module that is built from the array and
turns dwell times into vectors. To add one, write both and their line in ``TIME_ENCODINGS``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

MOST_BINS = 1024  # a single outlier would need millions; longer dwell falls into the last bin
QUANTILE_BINS = 32


def scott_width(dwell_times: ArrayLike) -> float:
    r"""Bin width of Scott's rule, :math:`\sigma \, (24 \sqrt{\pi} / n)^{1/3}` (eq. 8).

    Parameters
    ----------
    dwell_times : float (events,)
        Training dwell [s]; NaN is ignored.

    References
    ----------
    D. W. Scott: On optimal and data-based histograms. Biometrika 66 (1979).

    Examples
    --------
    >>> round(scott_width([0.0, 10.0, 20.0]), 3)
    19.763
    """
    known = _known(dwell_times)
    if not len(known):
        return 0.0
    return float(known.std() * (24 * np.sqrt(np.pi) / len(known)) ** (1 / 3))


def scott_edges(dwell_times: ArrayLike) -> NDArray[np.float64]:
    """Edges [s] between the bins by numpy's ``scott`` estimator, ascending, float64 (bins - 1,).

    The first and the last bin are open, so n edges make n + 1 bins. Where all dwell is the same or unknown there is one
    bin and no edge.
    """
    known = _known(dwell_times)
    width = scott_width(known)
    if width == 0:
        return np.empty(0)
    if np.ptp(known) / width > MOST_BINS:
        return known.min() + width * np.arange(1, MOST_BINS)
    return np.histogram_bin_edges(known, bins="scott")[1:-1]


def log_scott_edges(dwell_times: ArrayLike) -> NDArray[np.float64]:
    """Edges [s] by Scott's rule on log(1 + dwell): narrow bins for short dwell, wide ones in the long tail."""
    return np.expm1(scott_edges(np.log1p(_known(dwell_times))))


def quantile_edges(dwell_times: ArrayLike) -> NDArray[np.float64]:
    """Edges [s] between bins with equally many events each; fewer than ``QUANTILE_BINS`` where values repeat."""
    known = _known(dwell_times)
    if not len(known):
        return np.empty(0)
    edges = np.unique(np.quantile(known, np.linspace(0, 1, QUANTILE_BINS + 1)[1:-1]))
    return edges[edges > known.min()]


def log_moments(dwell_times: ArrayLike) -> NDArray[np.float64]:
    """Mean and standard deviation of log(1 + dwell), float64 (2,); 0 and 1 where nothing varies."""
    logs = np.log1p(_known(dwell_times))
    return np.array([logs.mean() if len(logs) else 0.0, (logs.std() if len(logs) else 0.0) or 1.0])


def _known(dwell_times: ArrayLike) -> NDArray[np.float64]:
    dwell_times = np.asarray(dwell_times, dtype=np.float64)
    return dwell_times[~np.isnan(dwell_times)]


class DwellBins(nn.Module):
    """An embedding for each dwell bin, and one for unknown dwell.

    Parameters
    ----------
    edges : float (bins - 1,)
        Edges between the bins [s], ascending; a bin includes its lower edge.
    time_dim : int
        Size of the embedding.
    """

    UNKNOWN = 0  # row of the embedding

    def __init__(self, edges: ArrayLike, time_dim: int) -> None:
        super().__init__()
        self.register_buffer("edges", torch.as_tensor(np.asarray(edges, dtype=np.float64)))
        self.edges: Tensor
        self.embedding = nn.Embedding(len(self.edges) + 2, time_dim)

    def bin_of(self, dwell_times: Tensor) -> Tensor:
        """Row of the embedding for each dwell [s]: 0 where it is NaN."""
        place = torch.bucketize(dwell_times.to(self.edges.dtype).contiguous(), self.edges, right=True) + 1
        return place.masked_fill(dwell_times.isnan(), self.UNKNOWN)

    def forward(self, dwell_times: Tensor) -> Tensor:
        """float (batch, time) [s], NaN where unknown -> float (batch, time, time_dim)."""
        return self.embedding(self.bin_of(dwell_times))


class DwellCurve(nn.Module):
    r"""A smooth function of the dwell time, :math:`W_2 \tanh(w_1 x + b_1)` of the standardised log(1 + dwell).

    Parameters
    ----------
    moments : float (2,)
        Mean and standard deviation of log(1 + dwell); see ``log_moments``.
    time_dim : int
        Size of the vector; that of unknown dwell is learned separately.
    """

    def __init__(self, moments: ArrayLike, time_dim: int) -> None:
        super().__init__()
        self.register_buffer("moments", torch.as_tensor(np.asarray(moments, dtype=np.float64)))
        self.moments: Tensor
        self.curve = nn.Sequential(nn.Linear(1, time_dim), nn.Tanh(), nn.Linear(time_dim, time_dim))
        self.unknown = nn.Parameter(torch.randn(time_dim))

    def forward(self, dwell_times: Tensor) -> Tensor:
        """float (batch, time) [s], NaN where unknown -> float (batch, time, time_dim)."""
        missing = dwell_times.isnan()
        logs = dwell_times.masked_fill(missing, 0.0).to(self.moments.dtype).log1p()
        standard = ((logs - self.moments[0]) / self.moments[1]).to(self.unknown.dtype)
        return torch.where(missing.unsqueeze(-1), self.unknown, self.curve(standard.unsqueeze(-1)))


class TimeEncoding(NamedTuple):
    """Functions that make a net over dwell times: ``module(fit(training_dwell), time_dim)``."""

    fit: Callable[[ArrayLike], NDArray[np.float64]]
    module: Callable[[ArrayLike, int], nn.Module]


TIME_ENCODINGS: dict[str, TimeEncoding] = {
    "scott": TimeEncoding(scott_edges, DwellBins),
    "log_scott": TimeEncoding(log_scott_edges, DwellBins),
    "quantile": TimeEncoding(quantile_edges, DwellBins),
    "continuous": TimeEncoding(log_moments, DwellCurve),
}


class DwellEncoder(nn.Module):
    r"""State after each dwell time: :math:`h^{time}_j = GRU(E(\delta_j), h^{time}_{j-1})` (eq. 10).

    The paper has an LSTM here. A GRU's output is its whole state, so the state at event j *before its dwell is known*
    is one more step of the same cell from event j - 1, for all prefixes at once; an LSTM's output is only half its
    state.

    Parameters
    ----------
    encoding : nn.Module
        Maps dwell times to vectors of `time_dim`, like ``DwellBins``.
    time_dim : int
        Size of the state.
    """

    def __init__(self, encoding: nn.Module, time_dim: int) -> None:
        super().__init__()
        self.encoding = encoding
        self.rnn = nn.GRU(time_dim, time_dim, batch_first=True)

    def forward(self, dwell_times: Tensor) -> tuple[Tensor, Tensor]:
        """State after each dwell time, and the state at each event if its own dwell is unknown.

        Parameters
        ----------
        dwell_times : float (batch, time)
            Seconds, NaN where unknown.

        Returns
        -------
        known, pending : float (batch, time, time_dim)
        """
        batch, time = dwell_times.shape
        known, _ = self.rnn(self.encoding(dwell_times))  # (batch, time, time_dim)
        before = nn.functional.pad(known, (0, 0, 1, 0))[:, :-1].reshape(batch * time, -1)
        unknown = self.encoding(dwell_times.new_full((1, 1), torch.nan))[0].expand(batch * time, -1)
        pending = torch.gru_cell(unknown, before, *self.rnn.all_weights[0])
        return known, pending.reshape(batch, time, -1)
