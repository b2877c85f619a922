"""Export: a graph scores as the model does, for any number of sessions of any length."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest
import torch
from small_models import LATER, TRAIN, quick

from spotlight_asars.recommending import NEVER

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
    {"representation": "time_transformer", "last_dwell": "observed"},
]


def requests():
    """Inputs of a graph: sessions of several lengths, one of them empty, at two widths."""
    rows, dwell = np.array(LATER.sequences, dtype=np.int64)[:, -4:], np.array(LATER.dwell_times)[:, -4:]
    rows[0], dwell[2, 1] = 0, np.nan
    users = LATER.user_ids.copy()
    users[1] = -1
    for batch, wider in ((len(rows), 0), (1, 3)):
        items = np.pad(rows[:batch], ((0, 0), (wider, 0)))
        yield {
            "items": items,
            "dwell_times": np.pad(dwell[:batch], ((0, 0), (wider, 0)), constant_values=np.nan),
            "user_ids": users[:batch],
            "started": LATER.started[:batch].astype(np.float64),
        }


def check(model, run, output):
    for inputs in requests():
        channels = {name: values for name, values in inputs.items() if name != "items"}
        found = run(inputs)
        if output == "scores":
            assert (found[:, 0] == NEVER).all()
            expected = np.atleast_2d(model.predict(inputs["items"], **channels))
        else:
            expected = model.queries(inputs["items"], **channels)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=1e-5)


def run_torch(path):
    module = torch.export.load(path).module()
    return lambda inputs: module(*map(torch.from_numpy, inputs.values())).detach().numpy()


def run_onnx(path):
    runtime = pytest.importorskip("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    session = runtime.InferenceSession(path, options)
    return lambda inputs: session.run(None, inputs)[0]


def check_both_formats(options, output, folder):
    model = quick(**options, history=False, transitions=False).fit(TRAIN)
    for format, run in (("torch", run_torch), ("onnx", run_onnx)):
        if format == "onnx":
            pytest.importorskip("onnxscript")
        path = folder / f"model.{'pt2' if format == 'torch' else format}"
        model.export(path, format=format, output=output)
        check(model, run(path), output)


@needs_a_scan
def test_a_graph_scores_as_the_model_does(tmp_path, capfd):
    check_both_formats(VARIANTS[2], "scores", tmp_path)
    assert capfd.readouterr() == ("", "")
    graph = (tmp_path / "model.onnx").read_bytes()
    assert b"stepping.py" not in graph, "no paths of this machine"


@needs_a_scan
@pytest.mark.slow
@pytest.mark.parametrize("options", VARIANTS, ids=lambda options: options["representation"])
def test_every_variant_can_be_exported(options, tmp_path):
    check_both_formats(options, "query" if options["representation"] == "user_att" else "scores", tmp_path)


@needs_a_scan
def test_a_model_with_a_memory_gives_the_query_without_it(tmp_path):
    model = quick(representation="gru4rec").fit(TRAIN)
    model.export(tmp_path / "model.pt2", format="torch", output="query")
    check(model, run_torch(tmp_path / "model.pt2"), "query")


@pytest.mark.parametrize(
    ("options", "arguments", "message"),
    [
        ({}, {"format": "pickle"}, r"format must be one of \['onnx', 'torch'\]; got 'pickle'"),
        ({}, {"output": "rank"}, r"output must be one of \['scores', 'query'\]; got 'rank'"),
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
