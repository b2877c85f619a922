"""The studies of a search: what is tried next, and where finished trials are kept.

It must satisfy: the same call goes on where it was killed, and loses the trials under way and no more; a trial that
fails is a result like others; a study never mixes trials of different data, models or spaces. So its storage gets
nothing but finished trials, and Optuna proposes from a copy in memory, which has those under way as well.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from spotlight_asars._checks import one_of, require, switch, warn_renamed, whole
from spotlight_asars.evaluation import parse_metric
from spotlight_asars.model import ASARSSequenceModel
from spotlight_asars.model.fitting import TrainingData
from spotlight_asars.runtime.quiet import quiet
from spotlight_asars.search.points import Points, Space
from spotlight_asars.search.trials import Trial, run, thresholds

if TYPE_CHECKING:
    from optuna import Study

STUDY_SAMPLERS = ("tpe", "random", "grid")


def search(
    train: Any,
    space: Space,
    *,
    model: Callable[..., Any] = ASARSSequenceModel,
    n_trials: int | None = None,
    validation: Any = 0.1,
    metric: str = "mrr@20",
    sampler: str = "tpe",
    storage: Any = None,
    study: str = "search",
    n_jobs: int = 1,
    pruning: bool = False,
    verbose: bool = False,
    random_state: int = 0,
    **fixed: Any,
) -> list[Trial]:
    """All finished trials of a study, best first, ties by their arguments; those that failed or were pruned come last.

    Parameters
    ----------
    train : SessionInteractions or SequenceInteractions
        Sessions to train on and, where `validation` is a share, to validate on.
    space : dict or list of dicts
        For each of the model's arguments by name: a list, range or array of values, a frozen distribution of scipy, or
        a distribution of Optuna. Of several dicts, each is searched on its own.
    model : class or callable
        Returns a model with ``get_params``, ``fit`` and ``predict``: ``ASARSSequenceModel``, one of ``BASELINES``, or a
        ``functools.partial`` of them.
    n_trials : int, optional
        Trials of different arguments that the study is to have, if the space has as many; those that it had before
        count. By default the whole grid; the other samplers need a number.
    validation : float, SessionInteractions or SequenceInteractions
        The share of the sessions, the latest ones, on which models trained on the others are judged; or sessions for
        that. Models with a `patience` stop by them as well, which flatters these a little: report on other sessions.
    metric : str
        What is maximized, like "mrr@20" or "recall@10".
    sampler : {"tpe", "random", "grid"}
        Optuna's tree-structured Parzen estimator, which learns from the trials so far; random points; or every
        combination. The first two start with the model's defaults, so the best trial is never worse than these.
    storage : path, str or optuna.storages.BaseStorage, optional
        A file that gets each trial as it ends, or a storage or database URL of Optuna's. The same call later goes on
        there; what has been tried, even if it failed, is not tried again.
    study : str
        Name of the study in the storage, which may have several.
    n_jobs : int
        Processes, in each of which torch computes in one thread. Without pruning, "random" and "grid" give the same
        trials for any number of them.
    pruning : bool
        Train each trial with a ninth of its ``n_iter`` first, then with a third, and give it up where it is below the
        median of the trials before it. Each is a training of its own, so a trial that is not given up takes 1.4 times
        as long, and has the same metrics as without pruning.
    verbose : bool
        Show a progress bar.
    random_state : int
        Seed of the sampler, and of models whose own `random_state` is None.
    **fixed
        Arguments of the model that are the same in all trials.

    Raises
    ------
    ValueError, TypeError
        Before any trial: for an argument that is not valid, a file that no search wrote, and a study of other data, of
        another model or space.
    ImportError
        If Optuna is missing.

    Examples
    --------
    >>> from spotlight_asars import to_sessions
    >>> from spotlight_asars.baselines import ItemKNN
    >>> from spotlight_asars.datasets.synthetic import generate_sessions
    >>> train = to_sessions(generate_sessions(num_users=5, num_items=20, num_sessions=60, random_state=0))
    >>> trials = search(train, {"shrinkage": [0, 5, 20], "alpha": [0.25, 0.5]}, model=ItemKNN, n_trials=4)
    >>> len(trials), list(trials[0].metrics)
    (4, ['mrr@20', 'recall@20', 'ndcg@20'])
    """
    optuna = _optuna()
    one_of(sampler, STUDY_SAMPLERS, "sampler")
    whole(n_jobs, "n_jobs", least=1)
    parse_metric(metric)
    points = Points(space, model, fixed, whole(random_state, "random_state", least=0))
    most = points.grid_size() if sampler == "grid" else math.inf
    if n_trials is not None or sampler != "grid":
        most = min(most, whole(n_trials, "n_trials", least=1))
    prunes = not switch(pruning, "pruning") or "n_iter" in points.defaults
    require(prunes, "pruning must be False for a model without n_iter", pruning)
    data = TrainingData.of(train, validation, patience=None, known=None)
    require(data.held_out is not None, "validation must be a share between 0 and 1, or sessions", validation)

    trials = {}
    with quiet("optuna"):
        kept = _open(storage, study, {**data.fingerprints(), "metric": metric, **points.as_text()})
        asked = optuna.create_study(direction="maximize")
        for past in kept.trials:
            if past.state.is_finished():
                trials[points.key(past.params)] = Trial(points.arguments(past.params), **past.user_attrs)
                asked.add_trial(past)
    left = max(0, int(most) - len(trials))
    new = islice(_proposals(asked, points, sampler, {*trials}, random_state), left)
    jobs = ((trial, (model, points.given(trial.params), data, metric, thresholds(asked, pruning))) for trial in new)
    with tqdm(total=int(most), initial=len(trials), disable=not verbose, unit="trial") as bar:
        for trial, (outcome, looks) in run(jobs, n_jobs):
            for step, value in enumerate(looks):
                trial.report(value, step)
            for name, value in outcome.items():
                trial.set_user_attr(name, value)
            state = None if outcome["metrics"] else "PRUNED" if outcome["error"].startswith("pruned") else "FAIL"
            kept.add_trial(asked.tell(trial, outcome["metrics"].get(metric), state and optuna.trial.TrialState[state]))
            trials[points.key(trial.params)] = Trial(points.arguments(trial.params), **outcome)
            bar.set_postfix_str(f"best {metric} {max(one.metrics.get(metric, 0.0) for one in trials.values()):.4f}")
            bar.update()
    return [trials[key] for key in sorted(trials, key=lambda key: (-trials[key].metrics.get(metric, -math.inf), key))]


def grid_search(
    train: Any,
    space: Space,
    validation: Any = 0.1,
    metric: str = "mrr@20",
    path: str | os.PathLike[str] | None = None,
    n_jobs: int = 1,
    verbose: bool = False,
    **others: Any,
) -> list[Trial]:
    """Trials of every combination in `space`, best first; the rest is as in ``search``.

    Parameters
    ----------
    path : path, optional
        The old name of `storage`.
    """
    others |= {"validation": validation, "metric": metric, "n_jobs": n_jobs, "verbose": verbose}
    return search(train, space, sampler="grid", **_with_storage(path, others))


def random_search(
    train: Any,
    space: Space,
    n_trials: int,
    validation: Any = 0.1,
    metric: str = "mrr@20",
    path: str | os.PathLike[str] | None = None,
    n_jobs: int = 1,
    verbose: bool = False,
    **others: Any,
) -> list[Trial]:
    """Trials of `n_trials` random points, best first; the rest is as in ``search``.

    Parameters
    ----------
    path : path, optional
        The old name of `storage`.
    """
    others |= {"validation": validation, "metric": metric, "n_jobs": n_jobs, "verbose": verbose}
    return search(train, space, sampler="random", n_trials=n_trials, **_with_storage(path, others))


def _with_storage(path: str | os.PathLike[str] | None, others: dict[str, Any]) -> dict[str, Any]:
    if path is None:
        return others
    warn_renamed("path", "storage", stacklevel=4)
    return {**others, "storage": path}


def _optuna() -> Any:
    try:
        import optuna
    except ModuleNotFoundError as error:
        if error.name != "optuna":  # something that Optuna itself needs is missing
            raise
        raise ImportError("search needs optuna; pip install 'spotlight-asars[tune]' brings it") from error
    return optuna


def _proposals(study: Study, points: Points, sampler: str, known: set[tuple[str, ...]], seed: int) -> Iterator[Any]:
    """Trials of Optuna whose arguments are not `known` yet, for as long as there are any."""
    import optuna

    fixed_points = points.grid() if sampler == "grid" else chain([points.default()], points.random(seed))
    while True:
        trial = None
        if sampler == "tpe" and points.key(points.default()) in known:
            # With a seed for each trial, a search that goes on proposes what it would have without a break.
            with warnings.catch_warnings():  # an argument that optuna called experimental up to version 4
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                study.sampler = optuna.samplers.TPESampler(seed=(seed + len(known)) % 2**32, constant_liar=True)
            trial = study.ask(points.parts[len(known) % len(points.parts)])
            if points.key(trial.params) in known:
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
                trial = None
        if trial is None:
            point = next((point for point in fixed_points if points.key(point) not in known), None)
            if point is None:
                return
            study.enqueue_trial(point)
            trial = study.ask({name: points.dimensions[name].distribution for name in point})
        known.add(points.key(trial.params))
        yield trial


def _open(storage: Any, name: str, question: dict[str, Any]) -> Study:
    """The study in a storage; ``ValueError`` where its trials answer another question."""
    import optuna
    from optuna.storages.journal import JournalFileBackend

    if isinstance(storage, (str, os.PathLike)) and "://" not in str(storage):
        path = Path(storage).expanduser()
        content = path.read_bytes() if path.exists() else b""
        require(content[:1] in (b"", b"{"), "storage must be new, or a file that a search wrote", str(path))
        if content:
            os.truncate(path, content.rfind(b"\n") + 1)  # drop a line that was being written at a kill
        storage = optuna.storages.JournalStorage(JournalFileBackend(str(path)))
    study = optuna.create_study(study_name=name, storage=storage, direction="maximize", load_if_exists=True)
    if not study.trials and "question" not in study.user_attrs:
        study.set_user_attr("question", question)
    found = study.user_attrs.get("question", {})
    for what, ours in question.items():
        rule = f"study must be new in its storage, or have the same {what}, {ours!r}"
        require(found.get(what) == ours, rule, found.get(what), "Give it another name")
    return study
