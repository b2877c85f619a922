r"""A causal transformer over a session, which may know the time between two events.

Each layer adds to its input first what attention finds, then what a feed-forward net makes of that, both of normalised
inputs (pre-norm). Attention has a learned bias for how far apart two events are, and, if it knows times, one for the
seconds between them:

.. math:: \alpha_{ij} = \mathrm{softmax}_{j \le i} \Big( \tfrac{1}{\sqrt{d}} \, q_i \cdot k_j
              + P_{bucket(i - j)} + G_{bucket(t_{ij})} \Big), \qquad t_{ij} = \sum_{j \le k < i} \delta_k

Distances count from the latest event of each prefix, so one pass serves all prefixes, and any length is valid: near
events have a bucket each, far ones share buckets of growing width, and so do seconds. The design satisfies:

- event i sees no later event; padding stands after the events, so no event sees it;
- :math:`t_{ij}` is the sum of the dwell times between two events, over before event i came. That of event i itself is
  no part of it, unless ``last_dwell="observed"``. Where one of them is unknown, so is the sum, which has a bias of its
  own;
- time and memory are quadratic in the length.

References
----------
W.-C. Kang, J. McAuley: Self-attentive sequential recommendation. ICDM 2018.
J. Li, Y. Wang, J. McAuley: Time interval aware self-attention for sequential recommendation. WSDM 2020.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LAYERS = 2
HEADS = 4  # or the largest divisor of it that the size of the states has
WIDER = 4  # entries inside the feed-forward net for each of the state
NEAR = 16  # events whose distance has a bucket of its own
FAR_BUCKETS = 16  # of distances, four for each doubling
GAP_BUCKETS = 40  # of seconds, two for each doubling: the last one begins after twelve days
BIAS_SCALE = 0.02  # standard deviation of new biases
STATE_SCALE = 0.1  # of new states: the first scores are nearly the same for all items
UNKNOWN = 0  # row of an unknown gap


class Transformer(nn.Module):
    """States of a session, each after one event.

    Parameters
    ----------
    input_dim, hidden_dim : int
        Sizes of an event's vector and of a state.
    dropout : float
        Probability of dropping an entry of what attention or the feed-forward net adds.
    gaps : bool
        Know the time between events.
    last_dwell : {"unknown", "observed"}
        Whether state i may use the dwell of event i.
    """

    def __init__(self, input_dim: int, hidden_dim: int, dropout: float, gaps: bool, last_dwell: str) -> None:
        super().__init__()
        heads = math.gcd(hidden_dim, HEADS)
        self.input = nn.Linear(input_dim, hidden_dim)
        self.layers = nn.ModuleList(Layer(hidden_dim, heads, dropout) for _ in range(LAYERS))
        self.norm = nn.LayerNorm(hidden_dim)
        nn.init.constant_(self.norm.weight, STATE_SCALE)
        self.positions = Buckets(distance_edges(), LAYERS, heads)
        self.gaps = Buckets(gap_edges(), LAYERS, heads) if gaps else None
        self.last_dwell = last_dwell

    def forward(self, inputs: Tensor, dwell_times: Tensor) -> Tensor:
        """States, (batch, time, hidden_dim), of the events' vectors, (batch, time, input_dim), events first.

        `dwell_times`, (batch, time) [s], are NaN where unknown.
        """
        hidden = self.input(inputs)
        for layer, bias in zip(self.layers, self._biases(dwell_times), strict=True):
            hidden = layer(hidden, bias.to(hidden.dtype))
        states: Tensor = self.norm(hidden)
        return states

    def _biases(self, dwell_times: Tensor) -> Tensor:
        """Of all layers, (layers, 1 or batch, heads, time, time), minus infinity for what comes later."""
        step = torch.arange(dwell_times.shape[1], device=dwell_times.device)
        distance = step.unsqueeze(1) - step  # (time, time)
        biases = self.positions(distance.double().unsqueeze(0))
        if self.gaps is not None:
            biases = biases + self.gaps(time_between(dwell_times, self.last_dwell == "observed"))
        return biases.masked_fill(distance < 0, -torch.inf)


class Layer(nn.Module):
    """Attention of several heads, and a feed-forward net."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm, self.norm = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.query_key_value, self.join_heads = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.feed_forward = nn.Sequential(nn.Linear(dim, WIDER * dim), nn.GELU(), nn.Linear(WIDER * dim, dim))
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: Tensor, bias: Tensor) -> Tensor:
        """float (batch, time, dim), (1 or batch, heads, time, time) -> (batch, time, dim)."""
        parts = self.query_key_value(self.attention_norm(hidden)).unflatten(2, (3, self.heads, -1))
        query, key, value = parts.movedim(1, -2).unbind(dim=1)  # (batch, heads, time, dim / heads)
        scores = query @ key.transpose(2, 3) / math.sqrt(query.shape[3]) + bias
        found = scores.softmax(dim=3) @ value  # fused kernels add up a bias's gradient in no fixed order on a GPU
        hidden = hidden + self.dropout(self.join_heads(found.transpose(1, 2).flatten(2)))
        added: Tensor = self.dropout(self.feed_forward(self.norm(hidden)))
        return hidden + added


class Buckets(nn.Module):
    """A learned bias for each layer, head and bucket of a number.

    Parameters
    ----------
    edges : float64 (buckets - 1,)
        Between the buckets, ascending; a bucket includes its lower edge.
    layers, heads : int
    """

    edges: Tensor

    def __init__(self, edges: Tensor, layers: int, heads: int) -> None:
        super().__init__()
        self.register_buffer("edges", edges, persistent=False)
        self.biases = nn.Parameter(torch.empty(len(edges) + 2, layers * heads))
        nn.init.normal_(self.biases, std=BIAS_SCALE)
        self.layers = layers

    def forward(self, values: Tensor) -> Tensor:
        """float64 (batch, time, time), NaN where unknown -> float (layers, batch, heads, time, time)."""
        bucket = torch.bucketize(values, self.edges.to(values.dtype), right=True) + 1
        found = F.embedding(bucket.masked_fill(values.isnan(), UNKNOWN), self.biases)
        return found.unflatten(3, (self.layers, -1)).permute(3, 0, 4, 1, 2)


def time_between(dwell_times: Tensor, observed: bool = False) -> Tensor:
    """Seconds from each event to each later one, or to its end where its dwell is observed.

    Parameters
    ----------
    dwell_times : float (batch, time) [s]
        NaN where unknown.
    observed : bool

    Returns
    -------
    float64 (batch, time, time)
        Row i, column j is the sum of the dwell times of j to i - 1, or to i if observed; NaN where one of them is
        unknown. Where j is later than i it means nothing.

    Examples
    --------
    >>> time_between(torch.tensor([[5.0, 30.0, torch.nan]]))[0].tril().tolist()
    [[0.0, 0.0, 0.0], [5.0, 0.0, 0.0], [35.0, 30.0, 0.0]]
    """
    unknown = dwell_times.isnan()
    until = dwell_times.masked_fill(unknown, 0.0).double().cumsum(1), unknown.long().cumsum(1)
    start = [F.pad(one, (1, 0))[:, :-1] for one in until]
    end = until if observed else start
    seconds, missing = (last.unsqueeze(2) - first.unsqueeze(1) for last, first in zip(end, start, strict=True))
    return seconds.masked_fill(missing != 0, torch.nan)


def distance_edges() -> Tensor:
    """Between buckets of distances: 1 to ``NEAR`` by ones, then growing by a fourth of a doubling, float64."""
    far = NEAR * 2 ** (torch.arange(1, FAR_BUCKETS, dtype=torch.float64) / 4)
    return torch.cat([torch.arange(1, NEAR + 1, dtype=torch.float64), far])


def gap_edges() -> Tensor:
    r"""Between buckets of seconds, :math:`2^{n / 2} - 1`, float64."""
    return 2 ** (torch.arange(1, GAP_BUCKETS + 1, dtype=torch.float64) / 2) - 1
