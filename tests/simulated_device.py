"""A device that exists in tests only: it refuses what a GPU refuses, and counts what makes a GPU wait.

Its tensors are wrappers of tensors on the CPU, which do the computing. A GPU works through a queue while Python goes
on, until Python asks for a value, or for a size that depends on values: a *wait*. Each is counted together with the
line of code that asked. An operation on tensors of two devices raises ``RuntimeError``.

The type of the device is "lazy", which torch knows without a backend, so nothing has to be registered.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode, _get_current_dispatch_mode

from spotlight_asars.runtime.devices import moved

SIMULATED, HOST = torch.device("lazy", 0), torch.device("cpu")
ROOT, LIBRARY = f"{Path(__file__).parents[1]}/", str(Path(torch.__file__).parent)

INSIDE_OF = (2, 13)  # version of torch
SIZED_BY_VALUES = {"nonzero", "masked_select", "_unique", "_unique2", "unique_dim", "unique_consecutive", "bincount"}
WAITING = SIZED_BY_VALUES | {"_local_scalar_dense", "equal", "_coalesce"}
INDEXING = {"index", "_unsafe_index", "index_put", "index_put_", "_index_put_impl_"}  # also with indices on the CPU
COPYING = {"_to_copy", "copy_"}


class Wait(NamedTuple):
    """A line at which a GPU would wait, and the operation of torch that it would wait for."""

    file: str
    line: int
    function: str
    operation: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} in {self.function}: {self.operation}"


@contextmanager
def simulated_device() -> Iterator[Counter[Wait]]:
    """Inside the block there is the device ``SIMULATED``; how often each wait has come so far is counted.

    It stands on what is inside torch, so a test that needs it is skipped with an older one.
    """
    if tuple(map(int, torch.__version__.split(".")[:2])) < INSIDE_OF:
        pytest.skip(f"the simulated device needs torch {'.'.join(map(str, INSIDE_OF))}")
    waits: Counter[Wait] = Counter()
    lifts_on_host = torch._C._only_lift_cpu_tensors()
    torch._C._set_only_lift_cpu_tensors(True)  # torch.tensor(..., device=...) copies where the mode sees it
    try:
        with _Operations(waits):
            yield waits
    finally:
        torch._C._set_only_lift_cpu_tensors(lifts_on_host)


class SimulatedTensor(torch.Tensor):
    """A tensor on the device, whose values are those of ``on_host``."""

    __torch_function__ = torch._C._disabled_torch_function_impl
    on_host: torch.Tensor

    @staticmethod
    def __new__(cls, on_host):
        strided = {} if on_host.is_sparse else {"strides": on_host.stride(), "storage_offset": on_host.storage_offset()}
        like = {"dtype": on_host.dtype, "layout": on_host.layout, "device": SIMULATED}
        tensor = torch.Tensor._make_wrapper_subclass(cls, on_host.size(), **strided, **like)
        tensor.on_host = on_host
        return tensor

    def __repr__(self):
        return f"<SimulatedTensor {tuple(self.shape)} of {self.dtype}>"

    def tolist(self):
        return self.cpu().tolist()  # torch's own is for no subclass

    @classmethod
    def __torch_dispatch__(cls, operation, types, args=(), kwargs=None):
        raise RuntimeError(f"{operation} needs simulated_device()")


class _Operations(TorchDispatchMode):
    """Carries out all operations, those on the simulated device by way of the CPU."""

    def __init__(self, waits):
        super().__init__()
        self._waits = waits
        self.tape = None  # of operations, while there is a recording

    @classmethod
    def _should_skip_dynamo(cls):
        return False  # nothing is compiled here, and each check for that would take as long as an operation

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        name, kwargs, tensors = operation.overloadpacket.__name__, kwargs or {}, []
        args_on_host = _on_host(args, tensors)
        kwargs_on_host = {key: _on_host(value, tensors) for key, value in kwargs.items()}
        simulated = [tensor for tensor in tensors if isinstance(tensor, SimulatedTensor)]
        device = None if kwargs.get("device") is None else torch.device(kwargs["device"]).type
        if not simulated and device != SIMULATED.type:
            return operation(*args, **kwargs)
        if _waits(name, args, device, kwargs, tensors, len(simulated) < len(tensors)):
            self._count(name)
            if self.tape is not None:
                raise RuntimeError(f"{name} would wait, or copy from the host, in a recording")
        if device is not None:
            kwargs_on_host["device"] = HOST
        taped = None if self.tape is None else _each(args_on_host, torch.Tensor.detach)  # in the shapes of now
        result = operation(*args_on_host, **kwargs_on_host)
        if self.tape is not None and torch.Tag.inplace_view not in operation.tags:
            self.tape.append((operation, taped, kwargs_on_host, _each(result, torch.Tensor.detach)))
        if device == "cpu" or (name == "copy_" and not isinstance(args[0], SimulatedTensor)):
            return result
        if torch.Tag.inplace_view in operation.tags:  # the wrapper changes its shape as well
            with torch._C._DisableTorchDispatch(), torch._C._IncludeDispatchKeyGuard(torch._C.DispatchKey.Meta):
                return operation(*args, **kwargs)
        if isinstance(result, torch.Tensor) and not any(result is tensor.on_host for tensor in simulated):
            return SimulatedTensor(result)
        given = {id(tensor.on_host): tensor for tensor in simulated}  # what works in place returns what it was given
        return _each(result, lambda out: given[id(out)] if id(out) in given else SimulatedTensor(out))

    def _count(self, name):
        frame = sys._getframe(2)
        while frame.f_code.co_filename.startswith((LIBRARY, __file__)):
            frame = frame.f_back
        if frame.f_code is not moved.__code__:  # where there is a GPU, that copies from pinned memory
            file = frame.f_code.co_filename.removeprefix(ROOT)
            self._waits[Wait(file, frame.f_lineno, frame.f_code.co_name, name)] += 1


def record(step):
    """A ``Recorder`` for this device: operations are done again on the same tensors, with what these hold then."""
    operations, state = _get_current_dispatch_mode(), torch.get_rng_state()
    operations.tape = tape = []
    try:
        loss = step()
    finally:
        operations.tape = None
        torch.set_rng_state(state)  # a GPU does not compute while it records
    return lambda: _replay(tape), loss


def _replay(tape):
    for operation, args, kwargs, result in tape:
        given = [entry for value in (*args, *kwargs.values()) for entry in _entries(value)]
        memory = {tensor.untyped_storage().data_ptr() for tensor in given}
        for old, new in zip(_entries(result), _entries(operation(*args, **kwargs)), strict=True):
            if old.untyped_storage().data_ptr() not in memory:  # else it is a view, or was changed in place
                old.copy_(new)


def _waits(name, args, device, kwargs, tensors, are_mixed):
    """Whether a GPU would wait in this operation; ``RuntimeError`` for tensors of two devices."""
    if name in COPYING:
        return are_mixed or device == "cpu"
    indices = [index for index in args[1] if index is not None] if name in INDEXING else []
    if are_mixed:
        of_device = isinstance(args[0], SimulatedTensor)
        strangers = [tensor for tensor in tensors if not isinstance(tensor, SimulatedTensor)]
        for tensor in strangers:
            may_be_here = of_device and any(tensor is index for index in indices)
            if tensor.dim() and not may_be_here:  # else it is a number
                raise RuntimeError(f"{name} must have tensors of one device; got one {tuple(tensor.shape)} on the CPU")
    if name == "repeat_interleave":
        return kwargs.get("output_size") is None
    return name in WAITING or any(i.dtype == torch.bool or not isinstance(i, SimulatedTensor) for i in indices)


def _on_host(value, tensors):
    """The value with all tensors of the device as those on the host; tensors of both kinds are put into a list."""
    if isinstance(value, torch.Tensor):
        tensors.append(value)
        return value.on_host if isinstance(value, SimulatedTensor) else value
    if isinstance(value, (list, tuple)):
        return type(value)([_on_host(entry, tensors) for entry in value])
    return value


def _entries(value):
    """The tensors of an argument, which may be a list of them."""
    entries = value if isinstance(value, (list, tuple)) else (value,)
    return [entry for entry in entries if isinstance(entry, torch.Tensor)]


def _each(value, change):
    """The value with all tensors in it changed."""
    if isinstance(value, (list, tuple)):
        return type(value)([_each(entry, change) for entry in value])
    return change(value) if isinstance(value, torch.Tensor) else value
