"""Export: the scores of a fitted model as a graph that needs neither this package nor, as ONNX, torch.

The graph takes any number of sessions of any length: it scans them event by event, as ``Stepper`` does, but for a
transformer, which reads them at once. Then the memories add their terms, as in ``graph_memories``; ``item_matrix`` and
``queries`` are without them.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spotlight_asars._checks import one_of, require, whole
from spotlight_asars.recommending.fitted_net import FittedNet
from spotlight_asars.recommending.graph_memories import HISTORY_INPUTS, memories_of
from spotlight_asars.recommending.index_vectors import as_query
from spotlight_asars.recommending.recommendations import NEVER
from spotlight_asars.representations.asars import ASARSNet
from spotlight_asars.representations.attention import Prefix
from spotlight_asars.representations.stepping import Carry, Stepper, choose
from spotlight_asars.runtime.quiet import quiet
from spotlight_asars.sessions import PADDING_IDX, Channels
from spotlight_asars.sessions.channels import History

FORMATS, OUTPUTS = ("onnx", "torch"), ("scores", "query")
INPUTS = ("items", "dwell_times", "user_ids", "started")
LABEL_INPUTS = ("kinds", "context", "next_kind")  # of nets that have learned something of them
SCORES, TOP = "scores", ("top_items", "top_scores")


def export(
    fitted: FittedNet,
    path: str | Path,
    format: str,
    output: str,
    top_k: int | None = None,
    memories: bool | Iterable[str] = True,
) -> None:
    """Write the graph of a fitted net; see ``ASARSSequenceModel.export``."""
    net = fitted.dot_product_net("export")
    one_of(format, FORMATS, "format")
    one_of(output, OUTPUTS, "output")
    require(output == SCORES or top_k is None, "output must be 'scores' with top_k", output)
    k = None if top_k is None else min(whole(top_k, "top_k", least=1), fitted.num_items - 1)
    remembered = memories_of(fitted, memories if output == SCORES else False)
    causal = net.time_attention is not None and net.time_attention.attention == "causal"
    require(not causal, "attention must be 'prefix' for export, whose state has a fixed size", "causal")
    if not find_spec("torch._higher_order_ops.scan"):  # older ones trace no transformer for any length, either
        raise ImportError(f"export needs a newer torch, one with a scan; got {torch.__version__}")
    if format == "onnx":
        _check_onnx()
    with torch.no_grad(), quiet("torch.onnx"):
        graph = SessionGraph(_frozen(net), remembered, output, k)
        program = trace(graph)
        if format == "torch":
            torch.export.save(program, path)
            return
        converted: Any = torch.onnx.export(
            program,
            dynamo=True,
            input_names=graph.inputs,
            output_names=(output,) if k is None else TOP,
            optimize=False,
            verbose=False,
        )
        converted.save(path)


class SessionGraph(nn.Module):
    """What is exported: inputs as in ``ASARSSequenceModel.export`` -> scores, query, or items and scores of the best.

    Parameters
    ----------
    net : ASARSNet
    memories : ModuleDict
        Those of ``memories_of`` whose terms are added to the scores.
    output : {"scores", "query"}
    top_k : int, optional
        Give the best items alone.
    """

    def __init__(self, net: ASARSNet, memories: nn.ModuleDict, output: str, top_k: int | None) -> None:
        super().__init__()
        self.net, self.memories, self.output, self.top_k = net, memories, output, top_k

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the inputs, in their order."""
        return (*INPUTS, *self.label_inputs, *(HISTORY_INPUTS if "history" in self.memories else ()))

    @property
    def label_inputs(self) -> tuple[str, ...]:
        """Names of the inputs of kinds and context."""
        there = self.net.kinds, self.net.context, self.net.of_asked
        return tuple(name for name, part in zip(LABEL_INPUTS, there, strict=True) if part is not None)

    def forward(
        self, items: Tensor, dwell_times: Tensor, user_ids: Tensor, started: Tensor, *others: Tensor
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Inputs and output as in ``ASARSSequenceModel.export``."""
        names = self.label_inputs
        labels, history = dict(zip(names, others[: len(names)], strict=True)), others[len(names) :]
        kinds, asked = labels.get("kinds"), labels.get("next_kind")
        channels = Channels(user_ids, dwell_times, started, kinds=kinds, context=labels.get("context"))
        if self.net.item_rnn is not None:
            state = self._scan(items, channels)
        else:
            state = self.net.states(items, channels)[:, -1]
        state = self.net.asking(state, asked)
        if self.output == "query":
            return as_query(self.net, state)
        scores = self.net.score_items(state)
        for memory in self.memories.values():
            scores = memory(scores, state, items, kinds, asked, *([History(*history)] if history else []))
        scores = F.pad(scores[:, 1:], (1, 0), value=NEVER)
        if self.top_k is None:
            return scores
        best = scores.topk(self.top_k, dim=1)
        return best.indices, best.values

    def _scan(self, items: Tensor, channels: Channels) -> Tensor:
        """The final states, (batch, state), one event after the other."""
        from torch._higher_order_ops.scan import scan  # a loop that both formats can hold

        steps = Stepper(self.net, channels.user_ids, channels.started, items.shape[0], channels.context)
        assert channels.dwell_times is not None
        events = [items.T.contiguous(), channels.dwell_times.T.unsqueeze(2).contiguous()]
        events += [] if channels.kinds is None else [channels.kinds.T.contiguous()]
        carry, state = steps.begin()

        def step(left: list[Tensor], event: list[Tensor]) -> tuple[list[Tensor], Tensor]:
            before, (at, dwell, *kinds) = _unpack(left[:-1], carry), event
            real = at != PADDING_IDX
            arrival = steps.arrive(before, at, dwell, *kinds)
            state = torch.where(real.unsqueeze(1), arrival.state, left[-1])
            after = choose(real, steps.settle(before, at, arrival, dwell, *kinds), before)
            return [*_pack(after), state], state[:, 0].clone()  # a scan must give something for each step

        start = [tensor.clone() for tensor in (*_pack(carry), state)]
        left, _ = scan(step, start, events)
        return left[-1]


def trace(graph: SessionGraph) -> torch.export.ExportedProgram:
    """The graph as a program for any number of sessions of any length, without paths of this machine."""
    ones, sizes = torch.export.Dim("batch", min=1), {name: torch.export.Dim(name, min=1) for name in ("time", "slots")}
    batch, time, slots = {0: ones}, {0: ones, 1: sizes["time"]}, {0: ones, 1: sizes["slots"]}
    example = [
        torch.ones(2, 3, dtype=torch.int64),
        torch.ones(2, 3),
        torch.zeros(2, dtype=torch.int64),
        torch.zeros(2, dtype=torch.float64),
    ]
    shapes: list[Any] = [time, time, batch, batch]
    others: list[Any] = []
    for name in graph.label_inputs:
        columns = 1 if graph.net.context is None else len(graph.net.context.vectors)
        shape, dynamic = {"kinds": ((2, 3), time), "context": ((2, columns), batch), "next_kind": ((2,), batch)}[name]
        example.append(torch.ones(shape, dtype=torch.int64))
        others.append(dynamic)
    of_history = len(graph.inputs) - len(INPUTS) - len(graph.label_inputs)
    if of_history:
        example += [column.repeat(1, 5) for column in History.empty(2)]
        others += [slots] * of_history
    if others:
        shapes.append(tuple(others))
    program = torch.export.export(graph, tuple(example), dynamic_shapes=tuple(shapes))
    for module in program.graph_module.modules():
        for node in module.graph.nodes if isinstance(module, torch.fx.GraphModule) else ():
            node.meta.pop("stack_trace", None)
    return program


def _frozen(net: ASARSNet) -> ASARSNet:
    """A copy on the CPU that can't be trained, which a graph could not be run so simply; its vectors are rows."""
    frozen = copy.deepcopy(net).cpu().requires_grad_(False)
    if frozen.item_graph is not None or frozen.item_features is not None:
        vectors, biases = frozen.item_rows()
        frozen.item_embeddings.weight.copy_(vectors)
        frozen.item_biases.weight.copy_(biases.unsqueeze(1))
        frozen.item_graph = frozen.item_features = None
    return frozen


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
