"""Export: the scores of a fitted model as a graph that needs neither this package nor, as ONNX, torch.

The graph takes any number of sessions of any length: it scans them event by event, as ``Stepper`` does, but for a
transformer, which reads them at once. The memory's terms stay outside, for they are sparse look-ups in a store: a graph
gives the scores of ``history=False``, to which ``item_matrix`` and ``queries`` belong as well.
"""

from __future__ import annotations

import copy
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spotlight_asars._checks import one_of, require
from spotlight_asars.recommending.index_vectors import as_query
from spotlight_asars.recommending.recommendations import NEVER
from spotlight_asars.representations.asars import ASARSNet
from spotlight_asars.representations.attention import Prefix
from spotlight_asars.representations.stepping import Carry, Stepper, choose
from spotlight_asars.runtime.quiet import quiet
from spotlight_asars.sessions import PADDING_IDX, Channels

FORMATS, OUTPUTS = ("onnx", "torch"), ("scores", "query")
INPUTS = ("items", "dwell_times", "user_ids", "started")


def export(net: ASARSNet, path: str | Path, format: str, output: str) -> None:
    """Write the graph of a net; see ``ASARSSequenceModel.export``."""
    one_of(format, FORMATS, "format")
    one_of(output, OUTPUTS, "output")
    causal = net.time_attention is not None and net.time_attention.attention == "causal"
    require(not causal, "attention must be 'prefix' for export, whose state has a fixed size", "causal")
    if net.item_rnn is not None and not find_spec("torch._higher_order_ops.scan"):
        raise ImportError(f"export needs a newer torch, one with a scan; got {torch.__version__}")
    if format == "onnx":
        _check_onnx()
    with torch.no_grad(), quiet("torch.onnx"):
        program = trace(net, output)
        if format == "torch":
            torch.export.save(program, path)
            return
        converted: Any = torch.onnx.export(
            program, dynamo=True, input_names=INPUTS, output_names=(output,), optimize=False, verbose=False
        )
        converted.save(path)


class SessionGraph(nn.Module):
    """What is exported: (items, dwell_times, user_ids, started) -> scores (batch, items) or query (batch, dim).

    Parameters
    ----------
    net : ASARSNet
    output : {"scores", "query"}
    """

    def __init__(self, net: ASARSNet, output: str) -> None:
        super().__init__()
        self.net, self.output = net, output

    def forward(self, items: Tensor, dwell_times: Tensor, user_ids: Tensor, started: Tensor) -> Tensor:
        """Inputs and output as in ``ASARSSequenceModel.export``."""
        if self.net.item_rnn is not None:
            state = self._scan(items, dwell_times, user_ids, started)
        else:
            state = self.net.states(items, Channels(user_ids, dwell_times, started))[:, -1]
        if self.output == "query":
            return as_query(self.net, state)
        return F.pad(self.net.score_items(state)[:, 1:], (1, 0), value=NEVER)

    def _scan(self, items: Tensor, dwell_times: Tensor, user_ids: Tensor, started: Tensor) -> Tensor:
        """The final states, (batch, state), one event after the other."""
        from torch._higher_order_ops.scan import scan  # a loop that both formats can hold

        steps = Stepper(self.net, user_ids, started, items.shape[0])
        carry, state = steps.begin()

        def step(left: list[Tensor], event: list[Tensor]) -> tuple[list[Tensor], Tensor]:
            before, (at, dwell) = _unpack(left[:-1], carry), event
            real = at != PADDING_IDX
            arrival = steps.arrive(before, at, dwell)
            state = torch.where(real.unsqueeze(1), arrival.state, left[-1])
            after = choose(real, steps.settle(before, at, arrival, dwell), before)
            return [*_pack(after), state], state[:, 0].clone()  # a scan must give something for each step

        start = [tensor.clone() for tensor in (*_pack(carry), state)]
        left, _ = scan(step, start, [items.T.contiguous(), dwell_times.T.unsqueeze(2).contiguous()])
        return left[-1]


def trace(net: ASARSNet, output: str) -> torch.export.ExportedProgram:
    """The graph of a net on the CPU for any number of sessions of any length, without paths of this machine."""
    example = (
        torch.ones(2, 3, dtype=torch.int64),
        torch.ones(2, 3),
        torch.zeros(2, dtype=torch.int64),
        torch.zeros(2, dtype=torch.float64),
    )
    batch, time = torch.export.Dim("batch", min=1), torch.export.Dim("time", min=1)
    sizes = ({0: batch, 1: time}, {0: batch, 1: time}, {0: batch}, {0: batch})
    frozen = copy.deepcopy(net).cpu().requires_grad_(False)  # a graph that could be trained cannot be run so simply
    if frozen.item_graph is not None:
        frozen.item_embeddings.weight.copy_(frozen.item_vectors())
        frozen.item_graph = None
    program = torch.export.export(SessionGraph(frozen, output), example, dynamic_shapes=sizes)
    for module in program.graph_module.modules():
        for node in module.graph.nodes if isinstance(module, torch.fx.GraphModule) else ():
            node.meta.pop("stack_trace", None)
    return program


def _pack(carry: Carry) -> list[Tensor]:
    """All of a carry but the past, which only causal attention has."""
    return [*carry.rnn, carry.dwell, carry.encoded, *carry.by_time, *carry.by_user]


def _unpack(tensors: list[Tensor], like: Carry) -> Carry:
    state = len(like.rnn)
    dwell, encoded, *prefixes = tensors[state:]
    return Carry(tuple(tensors[:state]), dwell, encoded, Prefix(*prefixes[:2]), Prefix(*prefixes[2:]), like.past)


def _check_onnx() -> None:
    try:
        import onnxscript  # noqa: F401  # torch's exporter asks for it, and it for onnx
    except ImportError:
        raise ImportError("format 'onnx' needs onnxscript; pip install 'spotlight-asars[onnx]'") from None
