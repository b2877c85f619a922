"""Dwell time as something a net can learn from: bins (eq. 8), their embedding, and a network over it (eq. 10)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

MOST_BINS = 1024  # a single outlier would otherwise ask for millions; longer dwell falls into the last bin


def scott_width(dwell_times: ArrayLike) -> float:
    r"""Bin width of Scott's rule, :math:`\sigma \, (24 \sqrt{\pi} / n)^{1/3}` (eq. 8).

    Parameters
    ----------
    dwell_times : float (events,)
        Training dwell [s]; NaN is left out.

    References
    ----------
    D. W. Scott: On optimal and data-based histograms. Biometrika 66 (1979).

    Examples
    --------
    >>> round(scott_width([0.0, 10.0, 20.0]), 3)
    19.763
    """
    dwell_times = np.asarray(dwell_times, dtype=np.float64)
    known = dwell_times[~np.isnan(dwell_times)]
    if not len(known):
        return 0.0
    return float(known.std() * (24 * np.sqrt(np.pi) / len(known)) ** (1 / 3))


def scott_edges(dwell_times: ArrayLike) -> NDArray[np.float64]:
    """Edges [s] between the bins, ascending, float64 (bins - 1,); as numpy's ``scott`` estimator sets them.

    Dwell below the first edge and above the last has a bin, too, so n edges make n + 1 bins. Where all dwell is the
    same or unknown there is one bin and no edge.
    """
    dwell_times = np.asarray(dwell_times, dtype=np.float64)
    known = dwell_times[~np.isnan(dwell_times)]
    width = scott_width(known)
    if width == 0:
        return np.empty(0)
    if np.ptp(known) / width > MOST_BINS:
        return known.min() + width * np.arange(1, MOST_BINS)
    return np.histogram_bin_edges(known, bins="scott")[1:-1]


class DwellEncoder(nn.Module):
    r"""State after each dwell time: :math:`h^{time}_j = GRU(E_{t_{bin}(j)}, h^{time}_{j-1})` (eq. 10).

    A GRU's output is its whole state. So the state at event j *before its dwell is known* is one more step of the same
    cell from event j - 1, taken for all prefixes at once; an LSTM keeps half its state to itself.

    Parameters
    ----------
    edges : float (bins - 1,)
        Between the dwell bins [s], ascending.
    time_dim : int
        Size of a bin's embedding and of the state.
    """

    UNKNOWN = 0  # row of the embedding

    def __init__(self, edges: ArrayLike, time_dim: int) -> None:
        super().__init__()
        self.register_buffer("edges", torch.as_tensor(np.asarray(edges, dtype=np.float64)))
        self.edges: Tensor
        self.bins = nn.Embedding(len(self.edges) + 2, time_dim)
        self.rnn = nn.GRU(time_dim, time_dim, batch_first=True)

    def bin_of(self, dwell_times: Tensor) -> Tensor:
        """Row of the embedding for each dwell [s]: 0 where it is NaN."""
        place = torch.bucketize(dwell_times.to(self.edges.dtype), self.edges, right=True) + 1
        return place.masked_fill(dwell_times.isnan(), self.UNKNOWN)

    def forward(self, dwell_times: Tensor) -> tuple[Tensor, Tensor]:
        """State after each dwell, and the state at each event with its own dwell still unknown.

        Parameters
        ----------
        dwell_times : float (batch, time)
            Seconds, NaN where unknown.

        Returns
        -------
        known, pending : float (batch, time, time_dim)
        """
        batch, time = dwell_times.shape
        known, _ = self.rnn(self.bins(self.bin_of(dwell_times)))  # (batch, time, time_dim)
        before = nn.functional.pad(known, (0, 0, 1, 0))[:, :-1]
        unknown = self.bins.weight[self.UNKNOWN].expand(batch * time, -1)
        pending = torch.gru_cell(
            unknown,
            before.reshape(batch * time, -1),
            *self.rnn.all_weights[0],
        )
        return known, pending.view(batch, time, -1)
