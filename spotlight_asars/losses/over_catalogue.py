"""The cross entropy against the whole catalogue, and its gradient in the same pass."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def cross_entropy_over_catalogue(scores: Tensor, targets: Tensor) -> Tensor:
    """``cross_entropy_loss`` against the whole catalogue, in one pass over its scores.

    Parameters
    ----------
    scores : float (targets, items)
        Of all items; padding, item 0, does not count.
    targets : int64 (targets,)

    >>> round(cross_entropy_over_catalogue(torch.tensor([[9.0, 1.0, 1.0, 1.0]]), torch.tensor([1])).item(), 4)
    1.0986
    """
    total: Tensor = _CrossEntropy.apply(scores, targets)  # type: ignore[no-untyped-call]
    return total / max(len(targets), 1)


def cross_entropy_and_gradient(
    scores: Tensor, targets: Tensor, out: Tensor | None = None, weights: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    r"""Sum of the cross entropies against the whole catalogue, and its gradient :math:`\mathrm{softmax}(r) - [k = i]`.

    Parameters
    ----------
    scores : float (targets, items)
        Of all items; padding, item 0, does not count.
    targets : int64 (targets,)
    out : float (targets, items), optional
        Memory for the gradient; `scores` itself is allowed, and is then lost.
    weights : float (targets,), optional
        By which the sum is weighted.

    Returns
    -------
    sum : float ()
    gradient : float (targets, items), which is `out` where it is given
    """
    if out is None:
        out = torch.empty_like(scores, dtype=torch.promote_types(scores.dtype, torch.float32))
    if out is not scores:
        out.copy_(scores)
    out[:, 0] = -torch.inf  # padding
    own, highest = out.gather(1, targets.unsqueeze(1)).squeeze(1), out.amax(dim=1)
    torch.softmax(out, dim=1, out=out)
    # the target's own probability may be rounded to 0, the highest is not
    each = highest - own - out.amax(dim=1).log()
    total = (each if weights is None else each * weights).sum()
    out[torch.arange(len(targets), device=targets.device), targets] -= 1
    out[:, 0] = 0  # padding, also where others are NaN
    if weights is not None:
        out *= weights.unsqueeze(1)
    return total, out


class _CrossEntropy(torch.autograd.Function):
    """The sum of ``cross_entropy_and_gradient``, whose backward has nothing left to do but to scale."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, targets: Tensor) -> Tensor:
        total, gradient = cross_entropy_and_gradient(scores, targets)
        if ctx.needs_input_grad[0]:
            ctx.save_for_backward(gradient.to(scores.dtype))
        return total.to(scores.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, scale: Tensor) -> tuple[Tensor, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * scale, None
