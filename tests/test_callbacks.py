"""Callbacks of ``fit``: what they see, that they change nothing, and the ready ones."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from small_models import LATER, TRAIN, quick

from spotlight_asars.callbacks import MLflowMetrics, TensorBoardMetrics


def scores(model):
    return model.predict(LATER.sequences, user_ids=LATER.user_ids, started=LATER.started)


@pytest.mark.parametrize("options", [{}, {"representation": "dynamics"}, {"averaging": False}], ids=str)
def test_a_callback_sees_what_training_would_end_with_and_changes_nothing(options):
    seen = []
    model = quick(n_iter=3, **options)
    model.fit(TRAIN, callbacks=[lambda model, epoch: seen.append((epoch, len(model.epochs), scores(model)))])
    assert [entry[:2] for entry in seen] == [(1, 1), (2, 2), (3, 3)]
    np.testing.assert_array_equal(scores(model), scores(quick(n_iter=3, **options).fit(TRAIN)))
    np.testing.assert_array_equal(seen[2][2], scores(model))
    np.testing.assert_array_equal(seen[0][2], scores(quick(n_iter=1, **options).fit(TRAIN)))


def test_epochs_are_counted_over_all_calls_and_come_with_their_validation():
    seen = []

    def note(model, epoch):
        seen.append((epoch, model.epochs[-1]))

    model = quick(n_iter=2).fit(TRAIN, validation=LATER, callbacks=[note])
    model.fit(TRAIN, callbacks=[note])
    assert [epoch for epoch, _ in seen] == [1, 2, 3, 4]
    assert [entry for _, entry in seen] == model.epochs
    assert [entry.validation is None for _, entry in seen] == [False, False, True, True]


def test_a_fit_that_has_ended_is_not_reported_again(tmp_path):
    seen = []
    for _ in range(2):
        quick(n_iter=2).fit(TRAIN, checkpoint=tmp_path, callbacks=[lambda model, epoch: seen.append(epoch)])
    assert seen == [1, 2]


def test_what_a_callback_raises_ends_training():
    def stop(model, epoch):
        if epoch == 2:
            raise InterruptedError

    model = quick(n_iter=5)
    with pytest.raises(InterruptedError):
        model.fit(TRAIN, callbacks=[stop])
    assert len(model.epochs) == 2
    assert len(model.fit(TRAIN).epochs) == 7


def test_what_is_no_callable_is_refused():
    model = quick()
    rule = "^callbacks must be a list of callables of a model and an epoch; got "
    for given, got in ((["loss"], r"\['loss'\]"), (None, "None"), (print, "<built-in function print>")):
        with pytest.raises(TypeError, match=f"{rule}{got}$"):
            model.fit(TRAIN, callbacks=given)
    assert not model.epochs


@pytest.mark.filterwarnings("default")
def test_tensorboard_reads_what_was_written(tmp_path):
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    metrics = TensorBoardMetrics(tmp_path)
    model = quick(n_iter=2).fit(TRAIN, validation=LATER, callbacks=[metrics])
    metrics.close()
    found = events.EventAccumulator(str(tmp_path)).Reload()
    for name, values in (
        ("loss", [epoch.loss for epoch in model.epochs]),
        ("validation", [epoch.validation for epoch in model.epochs]),
    ):
        assert [one.step for one in found.Scalars(name)] == [1, 2]
        np.testing.assert_allclose([one.value for one in found.Scalars(name)], values, rtol=1e-6)


@pytest.mark.filterwarnings("default")
def test_mlflow_has_what_was_logged(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    mlflow.set_tracking_uri((tmp_path / "store").as_uri())
    with mlflow.start_run() as run:
        model = quick(n_iter=2).fit(TRAIN, callbacks=[MLflowMetrics()])
    found = mlflow.MlflowClient().get_metric_history(run.info.run_id, "loss")
    assert [(one.step, one.value) for one in found] == [(n, epoch.loss) for n, epoch in enumerate(model.epochs, 1)]


@pytest.mark.parametrize(
    ("package", "module", "make"),
    [
        ("tensorboard", "torch.utils.tensorboard", lambda: TensorBoardMetrics("runs")),
        ("mlflow", "mlflow", MLflowMetrics),
    ],
)
def test_without_their_packages_they_say_what_to_install(package, module, make, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"Metrics needs {package}; pip install 'spotlight-asars\[{package}\]'"):
        make()
