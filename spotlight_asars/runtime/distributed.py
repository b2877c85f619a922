"""Training on several processes: each rank takes its share of every mini-batch, and what they learn is added up.

It must satisfy: the sum of the ranks' gradients is the gradient of the whole mini-batch, as a single process has it; so
the weights of all ranks are the same at any time, to the bit, though they never travel but at the start. Everything
here does nothing where ``torch.distributed`` has no process group.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from numpy.random import RandomState
from torch import Tensor, nn

NONE, SPARSE, DENSE = 0, 1, 2  # kinds of gradients, in the order in which one gives way to another


class Processes(NamedTuple):
    """Which process this is, and of how many."""

    rank: int = 0
    size: int = 1


ALONE = Processes()
LET_GO = 0.1  # [s] in which gloo's threads let go of tensors: torch 2.2 waits for them with Python's lock, and for ever


@contextmanager
def process_group(backend: str | None = None, **options: Any) -> Iterator[Processes]:
    """The default process group for as long as the block lasts, and which rank this is in it.

    Parameters
    ----------
    backend : str, optional
        "gloo" or "nccl"; torch chooses by itself where none is given.
    **options
        Others of ``torch.distributed.init_process_group``. Without them, torchrun says who meets where.
    """
    # An optimizer loads this at its first step, and what it then keeps of a group would outlive the group: threads that
    # now and then abort a process at its very end (torch 2.13).
    import_module("torch._dynamo")
    dist.init_process_group(backend, **options)
    try:
        yield processes()
    finally:
        time.sleep(LET_GO)
        dist.destroy_process_group()


def processes() -> Processes:
    """Of the default process group; a process without one is alone."""
    if not (dist.is_available() and dist.is_initialized()):
        return ALONE
    return Processes(dist.get_rank(), dist.get_world_size())


def summed(value: Tensor) -> Tensor:
    """The sum over all ranks, of the same shape."""
    if processes().size > 1:
        total = value.to(_device(), copy=True)
        dist.all_reduce(total)
        value = total.to(value.device)
    return value


def gathered(value: Tensor) -> Tensor:
    """The values of all ranks, with a leading axis, (ranks, ...)."""
    if processes().size == 1:
        return value.unsqueeze(0)
    mine = value.to(_device()).contiguous()
    values = [torch.empty_like(mine) for _ in range(processes().size)]
    dist.all_gather(values, mine)
    return torch.stack(values).to(value.device)


def wait_for_all() -> None:
    """Until every rank has come here."""
    if processes().size > 1:
        dist.barrier()


def share_random_state(random_state: RandomState) -> None:
    """Let all ranks draw as rank 0 does."""
    if processes().size > 1:
        box = [random_state.get_state(legacy=False)]
        dist.broadcast_object_list(box, src=0, device=_device())
        random_state.set_state(box[0])


def share_weights(net: nn.Module) -> None:
    """Let all ranks start from the weights and buffers of rank 0, and drop out by random numbers of their own."""
    rank, size = processes()
    if size > 1:
        with torch.no_grad():
            for tensor in (*net.parameters(), *net.buffers()):
                dist.broadcast(tensor, src=0)
    if rank > 0:
        torch.manual_seed(torch.initial_seed() + rank)


def add_up(net: nn.Module, loss: Tensor) -> Tensor:
    """Give all ranks the sum of their gradients; what comes back is the sum of their losses, float ()."""
    if processes().size == 1:
        return loss
    weights = [weight for weight in net.parameters() if weight.requires_grad]
    kinds = torch.tensor([_kind(weight.grad) for weight in weights], device=_device())
    dist.all_reduce(kinds, dist.ReduceOp.MAX)  # a rank without a session in the batch has none itself
    kind_of = kinds.tolist()
    dense = [weight for weight, kind in zip(weights, kind_of, strict=True) if kind == DENSE]
    flat = torch.cat([*(_dense(weight).reshape(-1) for weight in dense), loss.reshape(1)])
    dist.all_reduce(flat)
    *sums, total = flat.split([*(weight.numel() for weight in dense), 1])
    for weight, together in zip(dense, sums, strict=True):
        weight.grad = together.view_as(weight).to(weight.dtype)
    for weight, kind in zip(weights, kind_of, strict=True):
        if kind == SPARSE:
            weight.grad = _sparse_sum(weight)
    return total[0]


def _kind(gradient: Tensor | None) -> int:
    if gradient is None:
        return NONE
    return SPARSE if gradient.is_sparse else DENSE


def _dense(weight: Tensor) -> Tensor:
    if weight.grad is None:
        return torch.zeros_like(weight)
    return weight.grad.to_dense()


def _sparse_sum(weight: Tensor) -> Tensor:
    """The sum of the ranks' sparse gradients, whose rows travel and no others."""
    if weight.grad is None:
        rows, values = torch.empty(0, dtype=torch.int64, device=weight.device), weight.detach()[:0]
    else:
        own = weight.grad.coalesce()
        rows, values = own.indices()[0], own.values()
    counts = gathered(torch.tensor(len(rows), device=weight.device)).tolist()
    missing = max(counts) - len(rows)
    all_rows = gathered(torch.cat([rows, rows.new_zeros(missing)]))
    all_values = gathered(torch.cat([values, values.new_zeros(missing, *values.shape[1:])]))
    together = torch.cat([part[:count] for part, count in zip(all_rows, counts, strict=True)])
    added = torch.cat([part[:count] for part, count in zip(all_values, counts, strict=True)])
    summed_up = torch.sparse_coo_tensor(together.unsqueeze(0), added, weight.shape, check_invariants=False)
    return summed_up.coalesce()


def _device() -> torch.device:
    """Where the process group works."""
    on_gpu = dist.get_backend() == "nccl"
    return torch.device("cuda", torch.cuda.current_device()) if on_gpu else torch.device("cpu")
