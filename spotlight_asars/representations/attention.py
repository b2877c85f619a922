r"""Triangle attention: a softmax over every prefix of a session at once (eqs. 16-18).

The score of event j is the same in every row of the paper's triangle, so row i is a *prefix softmax*,

.. math:: q_i = \frac{\sum_{j \le i} \exp(s_j) \, h_j}{\sum_{j \le i} \exp(s_j)}

and needs no n x n matrix. A ``Prefix`` is summarised by its *average* :math:`q_i` and its *mass*
:math:`\log \sum_{j \le i} \exp(s_j)`. Two neighbouring chunks of events join by weighing their averages by their
masses, which is exact at any score: no exponential ever sees a positive number. Inside a chunk a small triangle is
computed; the totals of chunks are joined by the same function again, so time and memory are linear in the length.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK = 32  # events; a shorter one needs more levels, a longer one a larger triangle


class Prefix(NamedTuple):
    """Softmax-weighted averages over the prefixes of a session.

    average : (batch, time, dim), zeros where a prefix has no real event
    mass : (batch, time), log of the sum of exp(score); the lowest number where a prefix has no real event
    """

    average: Tensor
    mass: Tensor


def triangle_attention(score: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    r"""Row i is the average of ``value[:i + 1]``, weighted by a softmax over ``score[:i + 1]`` (eqs. 16-18).

    Parameters
    ----------
    score : float (batch, time)
        :math:`s_j` of each event; any size is safe.
    value : float (batch, time, dim)
        What is averaged.
    mask : bool (batch, time)
        True at events; padding has no weight.

    Returns
    -------
    float (batch, time, dim)
        Zeros in rows before the first event.

    Examples
    --------
    >>> score, value = torch.tensor([[0.0, 0.0, 9999.0]]), torch.tensor([[[2.0], [4.0], [7.0]]])
    >>> triangle_attention(score, value, torch.tensor([[True, True, True]])).flatten().tolist()
    [2.0, 3.0, 7.0]
    """
    return attend_prefixes(score, value, mask).average


def attend_prefixes(score: Tensor, value: Tensor, mask: Tensor) -> Prefix:
    """``triangle_attention`` together with the mass of each prefix."""
    batch, time, dim = value.shape
    if time <= CHUNK:
        return _attend_chunk(score, value, mask)

    missing = -time % CHUNK
    chunks = (batch * ((time + missing) // CHUNK), CHUNK)
    inside = _attend_chunk(
        F.pad(score, (0, missing)).reshape(chunks),
        F.pad(value, (0, 0, 0, missing)).reshape(*chunks, dim),
        F.pad(mask, (0, missing)).reshape(chunks),
    )
    total, mass = inside.average[:, -1].reshape(batch, -1, dim), inside.mass[:, -1].reshape(batch, -1)
    before = shift(attend_prefixes(mass, total, mass > _lowest(score)))
    joined = join(Prefix(before.average.reshape(-1, 1, dim), before.mass.reshape(-1, 1)), inside)
    return Prefix(joined.average.reshape(batch, -1, dim)[:, :time], joined.mass.reshape(batch, -1)[:, :time])


def attend_with_own_term(score: Tensor, own_score: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    r"""Triangle attention where the latest event of each prefix has a score of its own.

    .. math:: q_i = \frac{\sum_{j < i} \exp(s_j) \, h_j + \exp(s'_i) \, h_i}{\sum_{j < i} \exp(s_j) + \exp(s'_i)}

    The dwell time of event i is not known before the click that is to be predicted; :math:`s'_i` does not use it.
    Shapes as in ``triangle_attention``; `own_score` is (batch, time).
    """
    own = Prefix(value * mask.unsqueeze(-1), own_score.masked_fill(~mask, _lowest(own_score)))
    return join(shift(attend_prefixes(score, value, mask)), own).average


def causal_attention(query: Tensor, key: Tensor, value: Tensor, own_key: Tensor | None = None) -> Tensor:
    r"""The other reading of eq. 16, whose scores depend on the row: :math:`s_{ij} = p_j \cdot h_i` for j <= i.

    Quadratic in the length. Padding must stand after the events.

    Parameters
    ----------
    query, key, value : float (batch, time, dim)
        :math:`h_i`, :math:`p_j`, and what is averaged.
    own_key : float (batch, time, dim), optional
        :math:`p'_i`, which replaces :math:`p_i` in row i alone.

    Returns
    -------
    float (batch, time, dim)
    """
    if own_key is None:
        return F.scaled_dot_product_attention(query, key, value, is_causal=True, scale=1.0)
    time = query.shape[1]
    everything = torch.ones(time, time, dtype=torch.bool, device=query.device)
    own = torch.eye(time, dtype=torch.bool, device=query.device)
    seen = torch.cat([everything.tril(-1), own], dim=1)  # (time, 2 * time)
    keys, values = torch.cat([key, own_key], dim=1), torch.cat([value, value], dim=1)
    return F.scaled_dot_product_attention(query, keys, values, attn_mask=seen, scale=1.0)


def shift(prefix: Prefix) -> Prefix:
    """Prefixes that end one event earlier: the first is empty."""
    return Prefix(
        F.pad(prefix.average, (0, 0, 1, 0))[:, :-1],
        F.pad(prefix.mass, (1, 0), value=_lowest(prefix.mass))[:, :-1],
    )


def empty_prefix(value: Tensor) -> Prefix:
    """The prefix of no event, for values (batch, dim)."""
    return Prefix(torch.zeros_like(value), torch.full_like(value[:, 0], _lowest(value)))


def join(left: Prefix, right: Prefix) -> Prefix:
    """The average and mass of two chunks together."""
    share = torch.sigmoid(right.mass - left.mass).unsqueeze(-1)  # (batch, time, 1)
    return Prefix(left.average + share * (right.average - left.average), torch.logaddexp(left.mass, right.mass))


def _attend_chunk(score: Tensor, value: Tensor, mask: Tensor) -> Prefix:
    """The triangle itself, for at most ``CHUNK`` events."""
    time, lowest = score.shape[1], _lowest(score)
    seen = torch.ones(time, time, dtype=torch.bool, device=score.device).tril() & mask.unsqueeze(1)
    triangle = torch.where(seen, score.unsqueeze(1), lowest)  # (batch, time, time)
    weight = torch.where(seen, triangle.softmax(dim=2), 0.0)
    mass = score.masked_fill(~mask, lowest).logcumsumexp(dim=1).clamp(min=lowest)
    return Prefix(torch.bmm(weight, value), mass)


def _lowest(like: Tensor) -> float:
    """In place of minus infinity, whose differences would be NaN; half the range, so that they stay finite."""
    return torch.finfo(like.dtype).min / 2
