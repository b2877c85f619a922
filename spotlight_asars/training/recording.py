"""Training steps that a GPU goes through by itself: recorded once for each shape of a batch, then played back.

A step is hundreds of small operations, and to ask a GPU for one takes the host longer than the GPU needs for it. Played
back as a CUDA graph, all of them are asked for at once. The design satisfies:

- what is played back gives the numbers, to the bit, that the same operations give one by one, random ones included;
- a recording holds no number of the batch that it was made with: row numbers and seeds are read from its own tensors;
- it is made at the second batch of its shape, so that what is made once, at the first, is no part of it.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache, partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from spotlight_asars.runtime.devices import moved
from spotlight_asars.sessions.batching import Block

Replay = Callable[[], None]
Recorder = Callable[[Callable[[], Tensor]], tuple[Replay, Tensor]]


class Recording(NamedTuple):
    """A step that can be played back: what it reads, and the loss that it leaves."""

    replay: Replay
    numbers: Tensor
    seeds: Tensor
    loss: Tensor


class RecordedSteps:
    """Loss and gradients of a net on blocks of sessions, ``block -> float ()``; the gradients are left in the weights.

    Between two calls weights may change in place alone. Recordings take the memory of a step once more.

    Parameters
    ----------
    net : nn.Module
        Whose gradients are dense.
    loss_of : callable
        ``(block, seeds) -> float ()`` of a ``Block`` and int64 tensors ().
    seeds : callable
        Gives the seeds of a step, ints.
    memories : callable
        Gives what `loss_of` reads; where it is not equal to what it was, all recordings are made anew.
    device : torch.device
        Where net and blocks are.
    recorder : callable
        Makes a ``Recorder``, ``(step) -> (replay, loss)``: the tensor `loss` has what ``replay()`` computes.
    """

    def __init__(
        self,
        net: nn.Module,
        loss_of: Callable[[Block, Sequence[Tensor]], Tensor],
        seeds: Callable[[], list[int]],
        memories: Callable[[], Any],
        device: torch.device,
        recorder: Callable[[], Recorder],
    ) -> None:
        self._weights = [weight for weight in net.parameters() if weight.requires_grad]
        self._loss_of, self._seeds, self._memories, self._device = loss_of, seeds, memories, device
        self._gradients: dict[int, Tensor] = {}  # of the weights by their places, for all recordings
        self._places: dict[tuple[int, int], list[int]] = {}  # of the weights that get gradients, by shape
        self._recordings: dict[tuple[int, int], Recording] = {}
        self._read, self._recorder, self._record = memories(), recorder, recorder()

    def forget(self) -> None:
        """Let go of all recordings and their memory."""
        self._places.clear()
        self._recordings.clear()
        self._gradients.clear()
        self._record = self._recorder()

    def __call__(self, block: Block) -> Tensor:
        read = self._memories()
        if read != self._read:
            self._read = read
            self.forget()
        shape = len(block.numbers), block.time
        seeds = moved(torch.tensor(self._seeds(), dtype=torch.int64), self._device)
        for weight in self._weights:
            weight.grad = None
        if shape not in self._places:
            loss = self._loss_of(block, seeds.unbind())
            loss.backward()
            self._places[shape] = [place for place, one in enumerate(self._weights) if one.grad is not None]
            return loss.detach()
        if shape not in self._recordings:
            self._recordings[shape] = self._recorded(block, seeds, self._places[shape])
        recording = self._recordings[shape]
        recording.numbers.copy_(block.numbers)
        recording.seeds.copy_(seeds)
        recording.replay()
        for place in self._places[shape]:
            self._weights[place].grad = self._gradients[place]
        return recording.loss.clone()

    def _recorded(self, block: Block, seeds: Tensor, places: list[int]) -> Recording:
        numbers, seeds = block.numbers.clone(), seeds.clone()
        weights = [self._weights[place] for place in places]
        for place, weight in zip(places, weights, strict=True):
            if place not in self._gradients:
                self._gradients[place] = torch.empty_like(weight)

        def step() -> Tensor:
            loss = self._loss_of(block._replace(numbers=numbers), seeds.unbind())
            for place, gradient in zip(places, torch.autograd.grad(loss, weights), strict=True):
                self._gradients[place].copy_(gradient)
            return loss.detach()

        replay, loss = self._record(step)
        return Recording(replay, numbers, seeds, loss)


class CUDAGraphs:
    """A ``Recorder`` for a GPU, whose recordings share their memory: one is played back at a time."""

    def __init__(self, device: torch.device) -> None:
        self._device, self._stream, self._pool = device, _stream_of(device), torch.cuda.graph_pool_handle()

    def __call__(self, step: Callable[[], Tensor]) -> tuple[Replay, Tensor]:
        graph = torch.cuda.CUDAGraph()
        torch.cuda.synchronize(self._device)
        if torch.cuda.memory_reserved(self._device) > torch.cuda.mem_get_info(self._device)[0]:
            torch.cuda.empty_cache()  # what other steps have left can't be used, nor freed, while recording
        with _no_garbage_collection(), torch.cuda.device(self._device), torch.cuda.stream(self._stream):
            graph.capture_begin(pool=self._pool, capture_error_mode="thread_local")
            try:
                loss = step()
            except BaseException:
                with suppress(RuntimeError):  # the recording is not whole
                    graph.capture_end()
                raise
            graph.capture_end()
        return graph.replay, loss


@cache
def _stream_of(device: torch.device) -> torch.cuda.Stream:
    """The stream on which steps are recorded: one for all recordings, for libraries keep memory for each."""
    return torch.cuda.Stream(device)


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Inside the block no cycles are collected: these may hold what can't be freed without an end of the recording."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def recorder_for(device: torch.device) -> Callable[[], Recorder] | None:
    """What makes a ``Recorder`` for a device, if anything does."""
    return partial(CUDAGraphs, device) if device.type == "cuda" else None
