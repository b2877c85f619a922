"""Fitted models in MLflow: logged as their own model files, loaded as they are or as a ``pyfunc``, raw ids in and out.

>>> with mlflow.start_run():                                                        # doctest: +SKIP
...     info = log_model(model)
>>> mlflow.pyfunc.load_model(info.model_uri).predict(frame, params={"k": 5})        # doctest: +SKIP

A ``pyfunc`` is asked in one of two forms:

- events, with columns ``session``, ``item``, ``timestamp`` [s] and perhaps ``user``: the answer has the columns
  ``session``, ``rank`` from 1, ``item`` and ``score``, one row for each recommendation;
- sessions, with a list ``items`` in each row and perhaps a ``user``: the answer has a row for each row, with the lists
  ``items`` and ``scores``. That is what ``mlflow.pyfunc.spark_udf`` needs, with the result type
  "items array<string>, scores array<float>".

Items that the model does not know are skipped. Ids are raw where the model knows raw ids. What MLflow keeps holds no
code: a model file and the name of this module.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spotlight_asars._checks import require
from spotlight_asars.model import ASARSSequenceModel

FILE = "model.safetensors"
EVENTS, SESSIONS = ("session", "item", "timestamp"), "items"
NOTHING_EXCLUDED = "none"


def log_model(model: ASARSSequenceModel, name: str = "model", **options: Any) -> Any:
    """Log a fitted model to MLflow's active run, with its signature.

    Parameters
    ----------
    model : ASARSSequenceModel
        Fitted.
    name : str
        Of the logged model.
    **options
        Others of ``mlflow.pyfunc.log_model``, like ``registered_model_name``. Without ``pip_requirements`` these are
        this package, and whoever serves the model in an environment of its own has to say where it comes from.

    Returns
    -------
    ModelInfo
        Its ``model_uri`` is for ``load_model`` and for ``mlflow.pyfunc.load_model``.

    Raises
    ------
    ImportError
        Without mlflow.
    RuntimeError
        Before ``fit``.
    ValueError
        For a model that ``save`` refuses.
    """
    mlflow = _mlflow()
    with TemporaryDirectory() as folder:
        model.save(Path(folder) / FILE)
        given = {"signature": _signature(model), "input_example": _example(model)}
        given |= {"pip_requirements": ["spotlight-asars"], **options}
        return mlflow.pyfunc.log_model(name=name, loader_module=__name__, data_path=str(Path(folder) / FILE), **given)


def load_model(uri: str, use_cuda: bool = False) -> ASARSSequenceModel:
    """The model that ``log_model`` logged, to go on with as after ``ASARSSequenceModel.load``.

    Parameters
    ----------
    uri : str
        ``model_uri`` of what ``log_model`` returned, or any that MLflow has for it.
    use_cuda : bool
        Run on the GPU.

    Raises
    ------
    ImportError
        Without mlflow.
    ValueError
        If the model is another one's.
    """
    mlflow = _mlflow()
    folder = Path(mlflow.artifacts.download_artifacts(uri))
    flavour = mlflow.models.Model.load(str(folder)).flavors.get("python_function", {})
    ours = flavour.get("loader_module") == __name__
    require(ours, f"uri must be that of a model that {__name__}.log_model logged", uri)
    return ASARSSequenceModel.load(folder / flavour["data"], use_cuda)


def _load_pyfunc(path: str) -> Scorer:
    """What MLflow calls to make a ``pyfunc``."""
    return Scorer(ASARSSequenceModel.load(path))


class Scorer:
    """A model that is asked with frames of pandas.

    Parameters
    ----------
    model : ASARSSequenceModel
    """

    def __init__(self, model: ASARSSequenceModel) -> None:
        self.model = model

    def get_raw_model(self) -> ASARSSequenceModel:
        """The model itself, under MLflow's name for it."""
        return self.model

    def predict(self, frame: Any, params: Mapping[str, Any] | None = None) -> Any:
        """The best next items of the sessions in a frame, in one of the two forms.

        Parameters
        ----------
        frame : pandas.DataFrame
        params : dict, optional
            ``k``, 20 unless given, and ``exclude_seen``: "none", "session" or "history".

        Returns
        -------
        pandas.DataFrame
        """
        given = dict(params or {})
        columns = [name for name in frame.columns if frame[name].notna().any() or not len(frame)]  # MLflow adds others
        users = _users(frame["user"]) if "user" in columns else np.full(len(frame), None)
        if SESSIONS in columns and "item" not in columns:
            return self._of_sessions(frame, users, given)
        for name in EVENTS:
            require(name in columns, f"columns must be {list(EVENTS)}, or {SESSIONS!r}, and perhaps 'user'", columns)
        return self._of_events(frame, users, given)

    def _of_sessions(self, frame: Any, users: NDArray[Any], params: dict[str, Any]) -> Any:
        answer: dict[str, list[Any]] = {"items": [], "scores": []}
        if len(frame):
            best = self._recommend([list(items) for items in frame[SESSIONS]], users, params)
            for items, scores, found in zip(best.items, best.scores, best.found, strict=True):
                answer["items"].append(items[found].tolist())
                answer["scores"].append(scores[found].tolist())
        return type(frame)(answer, index=frame.index)

    def _of_events(self, frame: Any, users: NDArray[Any], params: dict[str, Any]) -> Any:
        frame = frame.assign(row=np.arange(len(frame))).sort_values("timestamp", kind="stable")
        groups = dict(list(frame.groupby("session", sort=False)))
        if not groups:
            return type(frame)({"session": [], "rank": [], "item": [], "score": []})
        times = [group["timestamp"].to_numpy(float) for group in groups.values()]
        best = self._recommend(
            [group["item"].tolist() for group in groups.values()],
            users[[group["row"].iloc[0] for group in groups.values()]],
            params,
            dwell_times=[np.r_[np.diff(time), np.nan] for time in times],
            started=[time[0] for time in times],
        )
        session, place = np.nonzero(best.found)
        names, at = list(groups), (session, place)
        columns = {"session": [names[row] for row in session], "rank": place + 1}
        return type(frame)({**columns, "item": best.items[at], "score": best.scores[at]})

    def _recommend(self, rows: list[Any], users: NDArray[Any], params: dict[str, Any], **channels: Any) -> Any:
        raw = self.model.item_vocabulary is not None
        excluded = params.get("exclude_seen", NOTHING_EXCLUDED)
        exclude_seen = False if excluded == NOTHING_EXCLUDED else excluded
        return self.model.recommend(rows, params.get("k", 20), exclude_seen, user_ids=users, raw=raw, **channels)


def _users(column: Any) -> NDArray[Any]:
    """Users of rows as objects, None where missing; whole numbers that stand as floats beside those are integers."""
    whole = column.dtype.kind == "f"
    values = [None if missing else value for value, missing in zip(column, column.isna(), strict=True)]
    users = np.empty(len(values), dtype=object)
    users[:] = [int(value) if whole and value is not None else value for value in values]
    return users


def _signature(model: ASARSSequenceModel) -> Any:
    """What a ``pyfunc`` takes and its parameters; a column is of the type that the raw ids have.

    Users that are integers may be of any type, for beside a missing one pandas makes floats of them.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
    from mlflow.types.schema import AnyType, Array

    def kind(vocabulary: Any) -> DataType:
        is_text = vocabulary is not None and vocabulary.raw.dtype.kind in "OU"
        return DataType.string if is_text else DataType.long

    item, user = kind(model.item_vocabulary), kind(model.user_vocabulary)
    users = user if user is DataType.string else AnyType()
    columns: dict[str, Any] = {
        "session": AnyType(),
        "item": item,
        "timestamp": AnyType(),
        "user": users,
        "items": Array(item),
    }
    inputs = Schema([ColSpec(kind, name, required=False) for name, kind in columns.items()])
    params = [ParamSpec("k", DataType.long, 20), ParamSpec("exclude_seen", DataType.string, NOTHING_EXCLUDED)]
    return ModelSignature(inputs=inputs, params=ParamSchema(params))


def _example(model: ASARSSequenceModel) -> Any:
    import pandas as pd

    vocabulary = model.item_vocabulary
    return pd.DataFrame({SESSIONS: [[1] if vocabulary is None else vocabulary.raw[:2].tolist()]})


def _mlflow() -> Any:
    try:
        import mlflow
    except ImportError as error:
        raise ImportError("this needs mlflow; pip install 'spotlight-asars[mlflow]' brings it") from error
    return mlflow
