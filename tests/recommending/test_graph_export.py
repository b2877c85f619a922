"""Export: a graph scores as the model does, for any number of sessions of any length."""

from __future__ import annotations

from importlib.util import find_spec
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_models import LATER, TRAIN, make_log, quick

from spotlight_asars import SessionInteractions, to_sessions
from spotlight_asars.memory import RecallNet
from spotlight_asars.memory.neighbour_terms import NeighbourTerms, Weights
from spotlight_asars.recommending import NEVER
from spotlight_asars.recommending.graph_export import INPUTS, LABEL_INPUTS, SessionGraph
from spotlight_asars.recommending.graph_memories import HISTORY_INPUTS, memories_of

needs_a_scan = pytest.mark.skipif(
    find_spec("torch._higher_order_ops.scan") is None, reason="this torch is too old to trace a loop"
)
VARIANTS = [
    {"representation": "gru4rec", "cell": "gru"},
    {"representation": "user_att"},
    {"representation": "user_cat", "loss": "pointwise"},
    {"representation": "time_att", "time_encoding": "continuous"},
    {"representation": "time_cat", "last_dwell": "observed"},
    {"representation": "time_user", "residual": False},
    {"representation": "dynamics"},
    {"representation": "time_dynamics", "loss": "pointwise"},
    {"representation": "transformer"},
    {"representation": "time_transformer", "last_dwell": "observed"},
]


MEMORIES = ("history", "transitions", "neighbours")


def remembering(**options):
    """A model whose memories are worth something, each at random."""
    model = quick(**options).fit(TRAIN)
    net, draw = model._fitted.net, torch.Generator().manual_seed(1)
    for terms in net.terms if isinstance(net, RecallNet) else ():
        for weight in terms.parameters():
            weight.data.normal_(std=0.5, generator=draw)
        if isinstance(terms, NeighbourTerms):
            terms.take(Weights(0.7, 1.5, 0.6, -0.4))
    model._fitted.remember_neighbours(TRAIN)
    return model


def requests(model):
    """Inputs of a graph: sessions of several lengths, one of them empty, at two widths."""
    rows, dwell = np.array(LATER.sequences, dtype=np.int64)[:, -4:], np.array(LATER.dwell_times)[:, -4:]
    rows[0], rows[3, 2], dwell[2, 1] = 0, 0, np.nan
    users = LATER.user_ids.copy()
    users[1] = -1
    for batch, wider in ((len(rows), 0), (1, 3)):
        items = np.pad(rows[:batch], ((0, 0), (wider, 0)))
        yield {
            "items": items,
            "dwell_times": np.pad(dwell[:batch], ((0, 0), (wider, 0)), constant_values=np.nan).astype(np.float32),
            **model.history_inputs(users[:batch], LATER.started[:batch]),
        }


def predicted(model, inputs):
    channels = {name: inputs[name] for name in ("dwell_times", "user_ids", "started")}
    return np.atleast_2d(model.predict(inputs["items"], **channels))


def check(model, run, output):
    for inputs in requests(model):
        found = run(inputs)
        if output == "scores":
            assert (found[:, 0] == NEVER).all()
            expected = predicted(model, inputs)
        else:
            channels = {name: inputs[name] for name in ("dwell_times", "user_ids", "started")}
            expected = model.queries(inputs["items"], **channels)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def run_torch(path):
    module = torch.export.load(path).module()
    return lambda inputs: module(*map(torch.from_numpy, inputs.values())).detach().numpy()


def run_onnx(path):
    runtime = pytest.importorskip("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    session = runtime.InferenceSession(path, options)
    names = [one.name for one in session.get_inputs()]

    def run(inputs):
        assert names == list(inputs)
        outputs = session.run(None, inputs)
        return outputs[0] if len(outputs) == 1 else outputs

    return run


def check_format(model, format, run, folder):
    if format == "onnx":
        pytest.importorskip("onnxscript")
    path = folder / f"model.{'pt2' if format == 'torch' else format}"
    model.export(path, format=format)
    check(model, run(path), "scores")


def run_eagerly(model, memories=True):
    """The graph before it is traced, of a net without a scan, which would be compiled."""
    fitted = model._fitted
    graph = SessionGraph(fitted.dot_product_net("test"), memories_of(fitted, memories), "scores", None)
    return lambda inputs: graph(*(torch.from_numpy(inputs[name]) for name in graph.inputs)).detach().numpy()


@pytest.mark.parametrize("on", list(product((True, False), repeat=3)), ids=str)
def test_every_combination_of_memories_scores_as_the_model_does(on):
    model = remembering(representation="transformer", **dict(zip(MEMORIES, on, strict=True)))
    check(model, run_eagerly(model), "scores")


def test_a_graph_knows_what_a_model_was_updated_with():
    model = remembering(representation="transformer")
    before = run_eagerly(model)
    later = to_sessions(make_log(seed=2, first=2 * 10**6, items=("b", "dd", "new")).encode_like(TRAIN, grow=True))
    model.update(later)
    check(model, run_eagerly(model), "scores")
    inputs = next(requests(model))
    assert before(inputs).shape[1] == TRAIN.num_items < run_eagerly(model)(inputs).shape[1]


ALL = remembering(representation="transformer")
RUN_ALL = run_eagerly(ALL)
sessions = st.lists(st.lists(st.integers(0, TRAIN.num_items - 1), min_size=5, max_size=5), min_size=1, max_size=3)


@given(sessions, st.integers(-1, 5), st.floats(0, 2e6))
def test_any_sessions_score_as_the_model_says(rows, user, started):
    items = np.array(rows, dtype=np.int64)
    inputs = {"items": items, "dwell_times": np.full(items.shape, np.nan, np.float32)}
    inputs |= ALL.history_inputs(np.full(len(items), user), started)
    np.testing.assert_allclose(RUN_ALL(inputs), predicted(ALL, inputs), rtol=1e-5, atol=1e-5)


def test_a_memory_may_be_left_out_by_name():
    without = remembering(transitions=False)
    inputs = next(requests(ALL))
    bare = run_eagerly(ALL, memories=False)(inputs)
    products = ALL.queries(inputs["items"]) @ ALL.item_matrix().T - ALL._fitted.common_terms.numpy()
    np.testing.assert_allclose(bare[:, 1:], products[:, 1:], atol=1e-5)
    assert not np.allclose(bare, RUN_ALL(inputs), atol=0.1), "the memories say something"
    assert list(memories_of(ALL._fitted, ["neighbours"])) == ["neighbours"]
    with pytest.raises(ValueError, match=r"^memories must be .*\['history', 'neighbours'\]; got 'transitions'$"):
        without.export("graph", memories=["transitions"])


def test_neighbours_that_are_worth_nothing_are_not_in_a_graph():
    model = quick().fit(TRAIN)
    model._fitted.neighbour_terms.take(Weights(0.0, 0.0, 0.0, 0.0))
    model._fitted.neighbours = None
    model._fitted.remember_neighbours(TRAIN)
    assert list(memories_of(model._fitted, True)) == ["history", "transitions"]


@needs_a_scan
def test_a_graph_ranks_all_items_as_the_model_does(tmp_path, capfd):
    pytest.importorskip("onnxscript")
    ALL.export(tmp_path / "best.onnx", top_k=(most := TRAIN.num_items - 1))
    run = run_onnx(tmp_path / "best.onnx")
    assert capfd.readouterr() == ("", "")
    graph = (tmp_path / "best.onnx").read_bytes()
    assert b"graph_export.py" not in graph, "no paths of this machine"
    for inputs in requests(ALL):
        items, scores = run(inputs)
        best = ALL.recommend(inputs["items"], k=most, **{name: inputs[name] for name in ("user_ids", "started")})
        np.testing.assert_allclose(scores, best.scores, rtol=1e-5, atol=1e-5)
        np.testing.assert_array_equal(items, best.items)


def test_history_inputs_know_raw_users():
    raw = TRAIN.user_vocabulary.decode(np.array([1, 2]))
    by_raw, by_number = ALL.history_inputs([*raw, None, "nobody"]), ALL.history_inputs([1, 2, -1, -1])
    assert list(by_raw) == ["user_ids", "started", *HISTORY_INPUTS]
    for name, values in by_raw.items():
        np.testing.assert_array_equal(values, by_number[name])
    one = ALL.history_inputs(raw[0], started=5.0)
    assert one["user_ids"].tolist() == [1]
    assert one["started"].tolist() == [5.0]
    assert not one["history_items"].any(), "nothing was viewed before"
    assert list(quick(history=False).fit(TRAIN).history_inputs([1])) == ["user_ids", "started"]


@pytest.mark.parametrize(
    ("users", "starts", "message"),
    [
        ([-2], None, "user_ids must be 0 or more, or -1 where unknown; got -2"),
        ([1, 2], [1.0, 2.0, 3.0], r"started must be one number, or have shape \(2,\); got \(3,\)"),
    ],
)
def test_odd_users_and_starts_are_refused(users, starts, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        ALL.history_inputs(users, starts)


@needs_a_scan
def test_a_graph_scores_as_the_model_does(tmp_path):
    check_format(remembering(**VARIANTS[2]), "torch", run_torch, tmp_path)


@needs_a_scan
@pytest.mark.slow
@pytest.mark.parametrize("options", VARIANTS, ids=lambda options: options["representation"])
def test_every_variant_can_be_exported(options, tmp_path):
    for format, run in (("torch", run_torch), ("onnx", run_onnx)):
        check_format(remembering(**options), format, run, tmp_path)


@needs_a_scan
def test_a_model_with_a_memory_gives_the_query_without_it(tmp_path):
    ALL.export(tmp_path / "model.pt2", format="torch", output="query")
    query = run_torch(tmp_path / "model.pt2")
    check(ALL, lambda inputs: query({name: inputs[name] for name in INPUTS}), "query")


@pytest.mark.parametrize(
    ("options", "arguments", "message"),
    [
        ({}, {"format": "pickle"}, r"format must be one of \['onnx', 'torch'\]; got 'pickle'"),
        ({}, {"output": "rank"}, r"output must be one of \['scores', 'query'\]; got 'rank'"),
        ({}, {"output": "query", "top_k": 3}, r"output must be 'scores' with top_k; got 'query'"),
        ({}, {"top_k": 0}, r"top_k must be 1 or more; got 0"),
        ({}, {"memories": ["none"]}, r"memories must be True, False, or of those of the model, .*; got 'none'"),
        ({"representation": "cnn"}, {}, r"export must be asked of an ASARS representation, .*; got 'CNNNet'"),
        (
            {"representation": "time_user", "attention": "causal"},
            {},
            r"attention must be 'prefix' for export, .*; got 'causal'",
        ),
    ],
)
def test_what_cannot_be_exported_is_refused(options, arguments, message, tmp_path):
    model = quick(**options).fit(TRAIN)
    with pytest.raises(ValueError, match=f"^{message}$"):
        model.export(tmp_path / "model", **arguments)


@needs_a_scan
def test_without_its_packages_onnx_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "onnxscript", None)
    with pytest.raises(ImportError, match=r"^format 'onnx' needs onnxscript; pip install 'spotlight-asars\[onnx\]'$"):
        quick().fit(TRAIN).export(tmp_path / "model")


def test_a_torch_without_a_scan_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("spotlight_asars.recommending.graph_export.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"^export needs a newer torch, one with a scan; got "):
        quick().fit(TRAIN).export(tmp_path / "graph.onnx")


def with_labels(representation):
    """A model of kinds and context, all of whose weights of them are at random, and inputs of its graph."""
    draw = np.random.RandomState(0)
    kinds, context = draw.randint(0, 4, TRAIN.sequences.shape), draw.randint(0, 3, (len(TRAIN), 2))
    channels = {"dwell_times": TRAIN.dwell_times, "started": TRAIN.started, "kinds": kinds, "context": context}
    sessions = SessionInteractions(np.array(TRAIN.sequences), TRAIN.user_ids, TRAIN.num_items, **channels)
    model = quick(representation=representation).fit(sessions)
    torch.manual_seed(0)
    for name, weight in model._net.named_parameters():
        if "kinds" in name or "context" in name or "of_" in name:
            weight.data.normal_(std=0.5)
    items = draw.randint(0, TRAIN.num_items, (5, 4))
    labels = {"kinds": draw.randint(0, 6, items.shape), "context": draw.randint(0, 5, (5, 2))}
    unknown = np.full(items.shape, np.nan, np.float32)
    return model, {"items": items, "dwell_times": unknown, **labels, **model.history_inputs(TRAIN.user_ids[:5], 1e7)}


def check_labels(model, run, inputs):
    channels = {name: inputs[name] for name in ("dwell_times", "user_ids", "started", "kinds", "context")}
    for kind in (0, 2, 3):
        found = run({**inputs, "next_kind": np.full(len(inputs["items"]), kind)})
        expected = model.predict(inputs["items"], **channels, kind=kind or None)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_kinds_and_context_are_inputs_of_a_graph():
    model, inputs = with_labels("time_transformer")
    check_labels(model, run_eagerly(model), inputs)


@needs_a_scan
@pytest.mark.slow
def test_kinds_and_context_are_inputs_in_both_formats(tmp_path):
    pytest.importorskip("onnxscript")
    model, inputs = with_labels("gru4rec")
    names = (*INPUTS, *LABEL_INPUTS, *HISTORY_INPUTS)
    for format, run in (("torch", run_torch), ("onnx", run_onnx)):
        model.export(tmp_path / format, format=format)
        exported = run(tmp_path / format)
        check_labels(model, lambda given, run=exported: run({name: given[name] for name in names}), inputs)
