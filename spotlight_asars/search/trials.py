"""One trial: a model is trained on the earlier sessions and judged on those held out, in a process of its own."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from joblib.externals.loky import get_reusable_executor

from spotlight_asars.evaluation import evaluate, parse_metric
from spotlight_asars.model.fitting import TrainingData

if TYPE_CHECKING:
    from optuna import Study

SHARES = (1 / 9, 1 / 3)  # of the epochs, after which pruning compares a trial with others
ENOUGH = 4  # trials to compare with


@dataclass(frozen=True)
class Trial:
    """What came of one choice of arguments."""

    arguments: dict[str, Any]  # all of the model's, as its ``get_params`` gives them
    metrics: dict[str, float]  # as in a ``Report``, on the held-out sessions; empty where the trial failed
    epochs: int  # trained; 0 where the trial failed, and for models that count none
    seconds: float  # of training and evaluation
    error: str  # why the trial failed or was pruned; empty where it did neither


def thresholds(study: Study, pruning: bool) -> list[tuple[float, float]]:
    """Shares of the epochs, and what the metric must be after each: at least the median of the trials so far."""
    looks = [trial.intermediate_values for trial in study.get_trials(deepcopy=False)]
    past = [[look[step] for look in looks if step in look] for step in range(len(SHARES))]
    medians = [float(np.median(values)) if len(values) >= ENOUGH else -math.inf for values in past]
    return list(zip(SHARES, medians, strict=True)) if pruning else []


def run(jobs: Iterator[tuple[Any, tuple[Any, ...]]], n_jobs: int) -> Iterator[tuple[Any, Any]]:
    """Each trial with its outcome, as they end; the next trial is proposed when a process is free for it."""
    if n_jobs == 1:
        yield from ((trial, _try(*arguments)) for trial, arguments in jobs)
        return
    pool = get_reusable_executor(n_jobs)
    running: dict[Future[Any], Any] = {}
    while True:
        for trial, arguments in islice(jobs, n_jobs - len(running)):
            running[pool.submit(_try, *arguments)] = trial
        if not running:
            return
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            yield running.pop(future), future.result()


def _try(
    make: Callable[..., Any],
    arguments: dict[str, Any],
    data: TrainingData,
    metric: str,
    thresholds: list[tuple[float, float]],
) -> tuple[dict[str, Any], list[float]]:
    """The fields of a ``Trial`` without its arguments, and the metric at each share of the epochs."""
    threads, start = torch.get_num_threads(), time.perf_counter()
    torch.set_num_threads(1)
    outcome: dict[str, Any] = {"metrics": {}, "epochs": 0, "error": ""}
    looks: list[float] = []
    try:
        for share, least in thresholds:
            epochs = math.ceil(make(**arguments).get_params()["n_iter"] * share)
            looks.append(_judge(make, {**arguments, "n_iter": epochs}, data, metric)[0][metric])
            if looks[-1] < least:
                outcome["error"] = f"pruned: {metric} {looks[-1]:.4f} after {epochs} epochs; median {least:.4f}"
                break
        else:
            outcome["metrics"], outcome["epochs"] = _judge(make, arguments, data, metric)
    except Exception as failure:  # whatever stops one trial, the others go on
        outcome["error"] = f"{type(failure).__name__}: {' '.join(str(failure).split())}"
    finally:
        torch.set_num_threads(threads)
    return {**outcome, "seconds": time.perf_counter() - start}, looks


def _judge(
    make: Callable[..., Any], arguments: dict[str, Any], data: TrainingData, metric: str
) -> tuple[dict[str, float], int]:
    """Train a model of its own on the earlier sessions and judge it on those held out: metrics, and epochs trained."""
    model = make(**arguments)
    stops = model.get_params().get("patience") is not None
    model.fit(data.train, **({"validation": data.held_out} if stops else {}))
    report = evaluate(model, data.held_out, k=parse_metric(metric)[1])  # type: ignore[arg-type]
    return dict(report), len(getattr(model, "epochs", ()))
