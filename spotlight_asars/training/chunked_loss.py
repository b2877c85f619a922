"""A loss over the catalogue, a part of the states at a time, so that a large catalogue fits into memory.

- The gradient of each part is made right after its scores and added to that of the others, so that memory never holds
  more than the scores of one part and their gradient. Backward only scales the sums.
- It works for every ``Representation``: what a score is made of is left to ``score_items``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from spotlight_asars.losses import cross_entropy_and_gradient, cross_entropy_over_catalogue
from spotlight_asars.representations import Representation

LossOverCatalogue = Callable[[Tensor, Tensor], Tensor]

LEAST = 1e-12  # of a sum of weights, so that none of them is a divisor
LEAST_ROWS = 32  # of a part: to add up a gradient of all item vectors takes as long as the scores of some rows


def mean_in_chunks(
    loss: LossOverCatalogue,
    net: Representation,
    states: Any,
    targets: Tensor,
    at_once: int,
    weights: Tensor | None = None,
) -> Tensor:
    """Mean over targets of a loss that compares each with the whole catalogue.

    Parameters
    ----------
    loss : callable
        ``(scores, targets) -> scalar``, a mean over targets, of scores (targets, items).
    net : Representation
    states : float (targets, ...)
        A tensor; or something indexed like it. Of the latter, gradients are made here only if it has its tensor of
        states as ``values``, and ``with_values`` to replace it.
    targets : int64 (targets,)
    at_once : int
        States that are scored at a time.
    weights : float (targets,), optional
        What each target weighs in the mean. A loss that is not the cross entropy is asked for one target at a time.

    Returns
    -------
    float ()
        0 if there are no targets. Its gradient reaches the states and the net's parameters, and can be asked for once.
    """
    chunks = None
    if torch.is_grad_enabled() and (isinstance(states, Tensor) or hasattr(states, "with_values")):
        chunks = _Chunks(loss, net, states)
    total = torch.zeros((), device=targets.device)
    for start in range(0, len(targets), at_once):
        part = slice(start, start + at_once)
        of_part = None if weights is None else weights[part]
        if chunks is None:
            total = total + _sum(loss, net.score_items(states[part]), targets[part], of_part)
        else:
            total = total + chunks.add(states[part], targets[part], of_part, part)
    if chunks is not None:
        total = chunks.attach(total)
    return total / (max(len(targets), 1) if weights is None else weights.sum().clamp(min=LEAST))


def _sum(loss: LossOverCatalogue, scores: Tensor, targets: Tensor, weights: Tensor | None) -> Tensor:
    """The sum of the losses of some states, by their weights."""
    if weights is None:
        return loss(scores, targets) * len(targets)
    each = [loss(*one) for one in zip(scores.split(1), targets.split(1), strict=True)]
    return (torch.stack(each) * weights).sum()


class _Chunks:
    """The gradient of a sum of losses, with respect to states (targets, ...) and weights, added up part by part."""

    def __init__(self, loss: LossOverCatalogue, net: Representation, states: Any) -> None:
        self._loss, self._net = loss, net
        self._values: Tensor = states if isinstance(states, Tensor) else states.values
        self._weights = [weight for weight in net.parameters() if weight.requires_grad]
        self._of_values = torch.zeros_like(self._values) if self._values.requires_grad else None
        self._of_weights: list[Tensor | None] = [None] * len(self._weights)
        self._scratch: Tensor | None = None  # for the gradient of scores of all parts: large memory is slow when new

    def add(self, states: Any, targets: Tensor, weights: Tensor | None, part: slice) -> Tensor:
        """Add the gradient of a part of the states, which are detached; return the sum of its losses, float ()."""
        values = self._values[part].detach()
        sources: list[Tensor] = [*self._weights]
        if self._of_values is not None:
            sources.append(values.requires_grad_())
        detached = values if isinstance(states, Tensor) else states.with_values(values)
        total = self._sum(self._net.score_items(detached), targets, weights)
        if total.requires_grad:  # what the states recall may have been made once, for all parts: its graph is kept
            gradients = torch.autograd.grad(total, sources, retain_graph=True, allow_unused=True)
            self._keep(part, gradients)
        return total.detach()

    def attach(self, total: Tensor) -> Tensor:
        """The sum of the losses of all parts, with what has been added up as its gradient."""
        pairs = zip((*self._weights, self._values), (*self._of_weights, self._of_values), strict=True)
        return _with_gradients(total, *((source, gradient) for source, gradient in pairs if gradient is not None))

    def _sum(self, scores: Tensor, targets: Tensor, weights: Tensor | None) -> Tensor:
        """The sum of the losses of a part. Of the cross entropy, the scores are not needed after it."""
        if self._loss is not cross_entropy_over_catalogue:
            return _sum(self._loss, scores, targets, weights)
        if self._scratch is None:
            self._scratch = torch.empty_like(scores, dtype=torch.promote_types(scores.dtype, torch.float32))
        total, gradient = cross_entropy_and_gradient(scores.detach(), targets, self._scratch[: len(scores)], weights)
        return _with_gradients(total, (scores, gradient.to(scores.dtype)))

    def _keep(self, part: slice, gradients: tuple[Tensor | None, ...]) -> None:
        if self._of_values is not None and (of_values := gradients[-1]) is not None:
            self._of_values[part] = of_values
        for place, gradient in enumerate(gradients[: len(self._weights)]):
            if gradient is not None:
                so_far = self._of_weights[place]
                self._of_weights[place] = gradient.clone() if so_far is None else so_far.add_(gradient)


def _with_gradients(total: Tensor, *known: tuple[Tensor, Tensor]) -> Tensor:
    """The scalar `total`, whose gradient with respect to each of some tensors is known."""
    sources, gradients = [source for source, _ in known], [gradient for _, gradient in known]
    attached: Tensor = _KnownGradients.apply(total, gradients, *sources)  # type: ignore[no-untyped-call]
    return attached


class _KnownGradients(torch.autograd.Function):
    """A scalar whose gradients are known. Backward scales them in place, for that of all item vectors is large."""

    @staticmethod
    def forward(ctx: Any, total: Tensor, gradients: list[Tensor], *sources: Tensor) -> Tensor:
        ctx.gradients = gradients
        return total.clone()

    @staticmethod
    def backward(ctx: Any, scale: Tensor) -> tuple[Tensor | None, ...]:
        gradients, ctx.gradients = ctx.gradients, None
        if gradients is None:
            raise RuntimeError("the gradient of this loss must be asked for only once; it is made as the loss is")
        return None, None, *(gradient.mul_(scale) for gradient in gradients)
