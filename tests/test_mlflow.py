"""Models in MLflow: logged, loaded again, and asked with frames of raw ids."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_models import TRAIN, quick

from spotlight_asars import SessionInteractions
from spotlight_asars.mlflow import Scorer, load_model, log_model

OF_MLFLOW = pytest.mark.filterwarnings("default", "ignore:Operation with range is deprecated")  # its own use of pandas

MODEL = quick().fit(TRAIN)
EVENTS = pd.DataFrame(
    {
        "session": [7, "b", 7, "c"],
        "item": ["b", "dd", "ä", "nothing known"],
        "timestamp": [9, 3, 4, 10**6],
        "user": ["user 1", None, "user 1", "nobody"],
    }
)
ROWS, USERS = [["dd"], ["ä", "b"], ["nothing known"]], [None, "user 1", "nobody"]


def best(model, k, **more):
    channels = {"user_ids": USERS, "dwell_times": [[np.nan], [5.0, np.nan], [np.nan]], "started": [3, 4, 10**6]}
    return model.recommend(ROWS, k=k, raw=True, **channels, **more)


@pytest.fixture
def uri(tmp_path, monkeypatch):
    """The address of the model in a store of files."""
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    mlflow.set_tracking_uri((tmp_path / "store").as_uri())
    with mlflow.start_run():
        return log_model(MODEL).model_uri


@OF_MLFLOW
def test_a_logged_model_comes_back_as_it_was(uri, tmp_path):
    again = load_model(uri)
    np.testing.assert_array_equal(again.predict(TRAIN.sequences), MODEL.predict(TRAIN.sequences))
    kept = [path.name for path in tmp_path.rglob("*") if path.suffix in (".pkl", ".py", ".safetensors")]
    assert kept == ["model.safetensors"], "no code"


@OF_MLFLOW
def test_a_pyfunc_takes_frames_of_both_forms(uri):
    import mlflow

    scorer = mlflow.pyfunc.load_model(uri)
    found = scorer.predict(EVENTS, params={"k": 2, "exclude_seen": "session"})
    assert found["session"].tolist() == ["b", "b", 7, 7, "c", "c"]
    assert found["item"].tolist() == best(MODEL, 2, exclude_seen="session").items.ravel().tolist()
    of_rows = scorer.predict(pd.DataFrame({"items": ROWS}))
    assert of_rows["items"].tolist() == MODEL.recommend(ROWS, raw=True).items.tolist()
    assert scorer.get_raw_model().num_items == MODEL.num_items


@OF_MLFLOW
def test_whole_numbers_may_have_a_missing_user_among_them(uri):
    import mlflow

    model = quick().fit(SessionInteractions([[1, 2], [2, 3], [3, 1]], user_ids=[7, 7, 8]))
    with mlflow.start_run():
        scorer = mlflow.pyfunc.load_model(log_model(model).model_uri)
    rows = [[1, 2], [3], [2]]
    found = scorer.predict(pd.DataFrame({"items": rows, "user": [7, None, 8]}), params={"k": 2})
    assert found["items"].tolist() == model.recommend(rows, 2, user_ids=[7, -1, 8]).items.tolist()


@OF_MLFLOW
def test_the_model_of_another_flavour_is_refused(uri):
    import mlflow

    folder = Path(mlflow.artifacts.download_artifacts(uri))
    description = (folder / "MLmodel").read_text().replace("spotlight_asars.mlflow", "others")
    (folder / "MLmodel").write_text(description)
    with pytest.raises(ValueError, match=r"^uri must be that of a model that spotlight_asars.mlflow.log_model logged"):
        load_model(str(folder))


@pytest.mark.spark
@OF_MLFLOW
def test_a_frame_of_spark_is_scored_where_it_is(uri, monkeypatch):
    import mlflow

    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    sql = pytest.importorskip("pyspark.sql")
    spark = sql.SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    answer = mlflow.pyfunc.spark_udf(
        spark, uri, "items array<string>, scores array<float>", env_manager="local", params={"k": 3}
    )
    frame = spark.createDataFrame(
        list(zip(range(3), ROWS, USERS, strict=True)), "row int, items array<string>, user string"
    )
    found = frame.withColumn("best", answer(sql.functions.struct("items", "user"))).orderBy("row").collect()
    expected = MODEL.recommend(ROWS, k=3, raw=True, user_ids=USERS)
    assert [row.best.items for row in found] == expected.items.tolist()
    np.testing.assert_allclose([row.best.scores for row in found], expected.scores, rtol=1e-5)
    spark.stop()


def test_events_are_sessions_in_the_order_of_time():
    found = Scorer(MODEL).predict(EVENTS, {"k": 3})
    expected = best(MODEL, 3)
    assert list(found) == ["session", "rank", "item", "score"]
    assert found["session"].tolist() == ["b"] * 3 + [7] * 3 + ["c"] * 3
    assert found["rank"].tolist() == [1, 2, 3] * 3
    assert found["item"].tolist() == expected.items.ravel().tolist()
    np.testing.assert_array_equal(found["score"], expected.scores.ravel())


def test_rows_of_items_give_rows_of_lists():
    frame = pd.DataFrame({"items": ROWS, "user": USERS}, index=[5, 6, 7])
    found, expected = Scorer(MODEL).predict(frame, {"k": 3}), MODEL.recommend(ROWS, k=3, raw=True, user_ids=USERS)
    assert found.index.tolist() == [5, 6, 7]
    assert found["items"].tolist() == expected.items.tolist()
    assert found["scores"].tolist() == expected.scores.tolist()
    seen = Scorer(MODEL).predict(frame[:1], {"exclude_seen": "session"})
    assert sorted(seen["items"][5]) == sorted({"ä", "b", "", "日本", "🐙"} - {"dd"}), "no more than there are"


@pytest.mark.parametrize("columns", [["session", "item", "timestamp"], ["items"]])
def test_no_rows_give_no_rows(columns):
    assert len(Scorer(MODEL).predict(pd.DataFrame({name: [] for name in columns}))) == 0


def test_a_model_without_raw_ids_takes_contiguous_ones():
    model = quick().fit(SessionInteractions([[1, 2, 3], [2, 3, 1]], user_ids=[0, 0]))
    found = Scorer(model).predict(pd.DataFrame({"items": [[1, 2], [3]], "user": [0, np.nan]}), {"k": 2})
    assert found["items"].tolist() == model.recommend([[1, 2], [3]], k=2, user_ids=[0, -1]).items.tolist()


def test_other_columns_are_refused():
    with pytest.raises(ValueError, match=r"^columns must be .*'items', and perhaps 'user'; got \['session', 'item'\]"):
        Scorer(MODEL).predict(EVENTS[["session", "item"]])


def test_without_mlflow_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    for call in (lambda: log_model(MODEL), lambda: load_model("models:/m-1")):
        with pytest.raises(
            ImportError, match=r"^this needs mlflow; pip install 'spotlight-asars\[mlflow\]' brings it$"
        ):
            call()
