"""``search``: honest, repeatable, resumable, for any model; the model as scikit-learn's tools see it."""

from __future__ import annotations

import sys
from functools import partial

import numpy as np
import optuna
import pytest
import torch
from optuna.distributions import FloatDistribution, IntDistribution
from scipy.stats import loguniform, randint
from sklearn.base import clone

from spotlight_asars import ASARSSequenceModel, SessionInteractions, to_sessions
from spotlight_asars.baselines import BASELINES, ItemKNN
from spotlight_asars.datasets.synthetic import generate_sessions
from spotlight_asars.evaluation import evaluate
from spotlight_asars.search import grid_search, random_search, search

SMALL = {"n_iter": 1, "embedding_dim": 4, "hidden_dim": 5, "batch_size": 16, "neighbours": False, "item_neighbours": 0}
RATES = {"learning_rate": [0.001, 0.1, 0.003]}
KNN = {"shrinkage": [0.0, 5.0, 20.0], "alpha": [0.25, 0.5]}  # 20 and 0.5 are the defaults


@pytest.fixture(scope="module")
def train():
    log = generate_sessions(
        num_users=8, num_items=12, num_sessions=120, session_length=5, predictability=0.9, user_effect=0,
        dwell_effect=0, random_state=0,
    )  # fmt: skip
    return to_sessions(log)


@pytest.fixture
def fits(monkeypatch):
    """The arguments of the ItemKNN models that are fitted."""
    seen, fit = [], ItemKNN.fit
    monkeypatch.setattr(ItemKNN, "fit", lambda self, sessions: seen.append(self.get_params()) or fit(self, sessions))
    return seen


def without_seconds(trials):
    return [(trial.arguments, trial.metrics, trial.epochs, trial.error) for trial in trials]


def rates_of(trials):
    return [trial.arguments["learning_rate"] for trial in trials]


# What a trial is


def test_a_trial_is_a_model_trained_on_the_earlier_sessions_and_judged_on_the_latest(train):
    trials = grid_search(train, RATES, validation=0.25, metric="mrr@3", **SMALL)
    earlier, latest = train.split_latest(0.25)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    models = [ASARSSequenceModel(learning_rate=rate, random_state=0, **SMALL) for rate in RATES["learning_rate"]]
    expected = [(model.get_params(), evaluate(model.fit(earlier), latest, k=3), 1, "") for model in models]
    torch.set_num_threads(threads)
    expected.sort(key=lambda trial: -trial[1]["mrr@3"])
    assert without_seconds(trials) == expected
    assert all(trial.seconds > 0 for trial in trials)
    assert trials[0].metrics["mrr@3"] > trials[-1].metrics["mrr@3"]
    by_sessions = grid_search(earlier, RATES, validation=latest, metric="mrr@3", **SMALL)
    assert without_seconds(by_sessions) == expected


def test_patience_stops_by_the_held_out_sessions(train):
    fixed = {**SMALL, "n_iter": 8, "learning_rate": 0.5}
    trials = grid_search(train, {"patience": [None, 1]}, **fixed)
    epochs = {trial.arguments["patience"]: trial.epochs for trial in trials}
    assert epochs[None] == 8
    assert 2 <= epochs[1] < 8


def test_a_trial_takes_one_thread_and_the_caller_keeps_its_own(train):
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    seen = []

    def optimizer(parameters):
        seen.append(torch.get_num_threads())
        return torch.optim.Adam(parameters)

    grid_search(train, {"optimizer_func": [optimizer]}, **SMALL)
    after = torch.get_num_threads()
    torch.set_num_threads(threads)
    assert (seen, after) == ([1], 2)


def test_a_trial_that_fails_is_a_result_at_the_end_and_is_not_tried_again(train, tmp_path):
    tries = []

    def fails(parameters):
        tries.append(1)
        raise RuntimeError("no\nroom")

    space = {"optimizer_func": [fails, torch.optim.Adam], "l2": [0.0]}
    given = {"storage": tmp_path / "trials.log", **SMALL}
    good, bad = grid_search(train, space, **given)
    assert (good.arguments["optimizer_func"], good.error) == (torch.optim.Adam, "")
    assert (bad.arguments["optimizer_func"], bad.error) == (fails, "RuntimeError: no room")
    assert (bad.metrics, bad.epochs) == ({}, 0)
    assert grid_search(train, space, **given) == [good, bad]
    assert len(tries) == 1


def test_arguments_that_do_not_go_together_fail_in_their_trial_alone(train):
    trials = grid_search(train, {"sparse": [True, False], "l2": [0.0, 0.1]}, **SMALL)
    assert [trial.error for trial in trials[:3]] == ["", "", ""]
    assert trials[3].error.startswith("ValueError: l2 must be 0 with sparse=True")
    assert trials[3].arguments["l2"] == 0.1


# Which trials there are


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_the_defaults_come_first_and_every_point_once(train, fits, sampler):
    given = {"model": ItemKNN, "sampler": sampler}
    search(train, KNN, n_trials=3, **given)
    assert fits[0] == ItemKNN().get_params()
    assert len(fits) == 3
    assert len(search(train, KNN, n_trials=99, **given)) == 6
    search(train, {"alpha": [0.1]}, n_trials=1, **given)
    assert fits[-1] == ItemKNN().get_params(), "also where the space does not have them"


def test_random_points_lie_in_their_distributions_as_plain_numbers(train):
    space = {
        "learning_rate": loguniform(0.01, 0.1),
        "hidden_dim": randint(3, 6),
        "dropout": FloatDistribution(0.1, 0.3),
        "embedding_dim": IntDistribution(2, 4),
    }
    given = {"n_iter": 0, "random_state": 3}
    more = random_search(train, space, n_trials=9, **given)
    drawn = [
        trial.arguments
        for trial in more
        if trial.arguments["embedding_dim"] != ASARSSequenceModel().get_params()["embedding_dim"]
    ]
    assert len(drawn) == len(more) - 1 == 8
    for arguments in drawn:
        assert [type(arguments[name]) for name in space] == [float, int, float, int]
        assert 0.01 <= arguments["learning_rate"] <= 0.1
        assert 3 <= arguments["hidden_dim"] < 6
        assert 0.1 <= arguments["dropout"] <= 0.3
        assert 2 <= arguments["embedding_dim"] <= 4
        assert arguments["random_state"] == 3
    fewer = random_search(train, space, n_trials=5, **given)
    assert set(rates_of(fewer)) < set(rates_of(more))


def test_what_does_best_is_tried_more_often(train, monkeypatch):
    monkeypatch.setattr(ItemKNN, "fit", lambda self, sessions: self)
    monkeypatch.setattr(
        "spotlight_asars.search.trials.evaluate",
        lambda model, *_, **__: {"mrr@20": -((model.get_params()["shrinkage"] - 70) ** 2)},
    )
    trials = search(train, {"shrinkage": FloatDistribution(0, 100)}, model=ItemKNN, n_trials=40)
    assert abs(trials[0].arguments["shrinkage"] - 70) < 2
    assert sum(abs(trial.arguments["shrinkage"] - 70) < 20 for trial in trials) > 25


def test_a_list_of_dicts_is_searched_one_by_one_and_the_same_model_once(train):
    space = [{"learning_rate": [0.1, 0.01, 0.1]}, {"learning_rate": np.array([0.1]), "cell": ["lstm", "gru"]}]
    expected = {(0.1, "lstm"), (0.01, "lstm"), (0.1, "gru")}
    for sampler, others in (("grid", set()), ("random", {(0.05, "lstm")}), ("tpe", {(0.05, "lstm")})):
        trials = search(train, space, sampler=sampler, n_trials=9, **SMALL)
        chosen = [(trial.arguments["learning_rate"], trial.arguments["cell"]) for trial in trials]
        assert len(chosen) == len({*chosen})
        assert {*chosen} == expected | others


def test_seeds_can_be_searched_over(train):
    alone = {**SMALL, "history": False, "transitions": False, "neighbours": False}  # memories rank alike by any seed
    trials = grid_search(train, {"random_state": range(2)}, **alone)
    assert trials[0].metrics != trials[1].metrics
    (fixed,) = grid_search(train, {"cell": ["lstm"]}, random_state=1, **alone)
    assert fixed.metrics in [trial.metrics for trial in trials]


@pytest.mark.parametrize("name", ["narm", "bpr_mf"])
def test_any_model_can_be_searched(train, name):
    trials = search(train, {"embedding_dim": [8]}, model=BASELINES[name], n_trials=2, n_iter=1)
    assert [trial.error for trial in trials] == ["", ""]
    assert {trial.arguments["embedding_dim"] for trial in trials} == {
        8,
        BASELINES[name]().get_params()["embedding_dim"],
    }
    assert trials[0].arguments["random_state"] == 0


def test_a_trial_below_the_median_of_others_after_some_epochs_is_given_up(train):
    space = {"learning_rate": [0.05, 0.1, 0.2, 0.02, 1e-6]}
    given = {**SMALL, "n_iter": 9, "sampler": "grid", "history": False, "transitions": False}
    trials = search(train, space, pruning=True, **given)
    assert trials[-1].arguments["learning_rate"] == 1e-6
    assert trials[-1].error.startswith("pruned: mrr@20 0.")
    assert "after 1 epochs; median 0." in trials[-1].error
    assert (trials[-1].metrics, trials[-1].epochs) == ({}, 0)
    assert without_seconds(trials[:4]) == without_seconds(search(train, space, **given)[:4])


# Processes


@pytest.mark.parametrize("sampler", ["grid", "random"])
def test_two_processes_find_what_one_finds(train, tmp_path, sampler):
    space = {**RATES, "optimizer_func": [None, lambda parameters: torch.optim.Adam(parameters, lr=0.01)]}
    given = {"sampler": sampler, "n_trials": 4, **SMALL}
    together = search(train, space, n_jobs=2, storage=tmp_path / "trials.log", **given)
    assert without_seconds(together) == without_seconds(search(train, space, **given))
    assert search(train, space, storage=tmp_path / "trials.log", **given) == together


# The storage


@pytest.mark.parametrize("sampler", ["tpe", "random", "grid"])
def test_a_killed_search_goes_on_as_if_it_had_not_been(train, tmp_path, fits, monkeypatch, sampler):
    space = KNN if sampler == "grid" else {**KNN, "shrinkage": FloatDistribution(0, 100)}
    given = {"model": ItemKNN, "sampler": sampler, "n_trials": 5}
    whole = search(train, space, **given)
    alone = list(fits)
    fits.clear()
    path = tmp_path / "trials.log"
    with monkeypatch.context() as killed:
        fit = ItemKNN.fit
        killed.setattr(ItemKNN, "fit", lambda self, *a: exec("raise KeyboardInterrupt") if fits[2:] else fit(self, *a))
        with pytest.raises(KeyboardInterrupt):
            search(train, space, storage=path, **given)
    with path.open("ab") as file:
        file.write(b'{"op_code": 4, "tri')  # as a kill while writing leaves it
    resumed = search(train, space, storage=path, **given)
    assert without_seconds(resumed) == without_seconds(whole)
    assert fits == alone, "nothing was tried twice"
    assert search(train, space, storage=f"{path}", **given) == resumed
    assert len(search(train, space, storage=path, **{**given, "n_trials": 6})) == 6
    assert len(fits) == 6


def test_a_storage_of_optuna_has_each_study_by_its_name_and_its_trials(train):
    storage = optuna.storages.InMemoryStorage()
    trials = grid_search(train, KNN, storage=storage, model=ItemKNN)
    grid_search(train, {"alpha": [0.1]}, storage=storage, study="other", model=ItemKNN)
    with_optuna = optuna.load_study(study_name="search", storage=storage)
    assert with_optuna.best_value == trials[0].metrics["mrr@20"]
    assert {name: trials[0].arguments[name] for name in KNN} in [
        trial.params for trial in with_optuna.trials if trial.value == with_optuna.best_value
    ]


def test_a_study_of_another_question_is_refused_and_its_trials_stay(train, tmp_path, fits):
    given = {"storage": tmp_path / "trials.log", "model": ItemKNN, "n_trials": 1}
    first, count = search(train, KNN, **given), len(fits)
    earlier, latest = train.split_latest(0.1)
    others = {
        "sessions": {"train": train.take(np.arange(1, len(train)))},
        "validation": {"train": earlier, "validation": latest.take(np.arange(1, len(latest)))},
        "metric": {"metric": "recall@20"},
        "model": {"model": partial(ItemKNN, alpha=0.5)},
        "arguments": {"space": {"shrinkage": [0.0]}, "alpha": 0.75},
        "space": {"space": {"shrinkage": [0.0]}},
    }
    for what, change in others.items():
        rule = f"study must be new in its storage, or have the same {what}, "
        with pytest.raises(ValueError, match=f"^{rule}.*; got .*. Give it another name$"):
            search(**{"train": train, "space": KNN, **given, **change})
    with pytest.raises(ValueError, match=r"the same metric, 'recall@20'; got 'mrr@20'\. "):
        search(train, KNN, metric="recall@20", **given)
    assert search(train, KNN, **given) == first
    assert len(fits) == count


def test_any_other_file_is_refused_and_left_as_it_is(train, tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("buy milk")
    with pytest.raises(ValueError, match=r"^storage must be new, or a file that a search wrote; got '.*notes.txt'$"):
        grid_search(train, RATES, storage=path, **SMALL)
    assert path.read_text() == "buy milk"
    with pytest.raises(FileNotFoundError, match="nowhere"):
        grid_search(train, RATES, storage=tmp_path / "nowhere" / "trials.log", **SMALL)


def test_the_old_name_of_the_storage_still_works(train, tmp_path):
    for run in (grid_search, partial(random_search, n_trials=1)):
        with pytest.warns(DeprecationWarning, match="path is deprecated .* use storage"):
            trials = run(train, {"alpha": [0.5]}, path=tmp_path / "trials.log", model=ItemKNN)
        assert len(trials) == 1
    assert (tmp_path / "trials.log").exists()


def test_the_bar_shows_only_when_asked_for(train, capsys):
    search(train, KNN, n_trials=1, model=ItemKNN)
    assert capsys.readouterr() == ("", "")
    (trial,) = search(train, KNN, n_trials=1, model=ItemKNN, verbose=True)
    assert f"best mrr@20 {trial.metrics['mrr@20']:.4f}" in capsys.readouterr().err


# What is refused

EMPTY = r"space must be a dict of values by argument, or a list of such dicts, none of them empty"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"space": {}}, EMPTY + r"; got \{\}"),
        ({"space": []}, EMPTY + r"; got \[\]"),
        ({"space": [{"l2": [0]}, {}]}, EMPTY + r"; got \[\{'l2': \[0\]\}, \{\}\]"),
        ({"space": ["l2"]}, EMPTY + r"; got \['l2'\]"),
        ({"space": {"l2": []}}, r"space must give l2 a list or distribution of values, not empty; got \[\]"),
        ({"space": {"cell": "lstm"}}, r"space must give cell a list or distribution of values, .*; got 'lstm'"),
        (
            {"space": {"l2": loguniform(1, 2)}},
            r"space must give l2 a list of values for a grid, .*; got '\[1\.07.*'",
        ),
        ({"space": {"rate": [1]}}, r"space and fixed must name arguments of the model, \[.*\]; got 'rate'"),
        ({"depth": 3}, r"space and fixed must name arguments of the model, \[.*\]; got 'depth'"),
        ({"learning_rate": 0.5}, r"learning_rate must be in the space or fixed, not both; got 0\.5"),
        ({"space": {"cell": ["lstm", "rnn"]}}, r"cell must be one of \['lstm', 'gru'\]; got 'rnn'"),
        ({"metric": "auc@5"}, r"metric must be one of \['mrr', 'ndcg', 'recall'\] with a cut-off, .*; got 'auc@5'"),
        ({"sampler": "cma"}, r"sampler must be one of \['tpe', 'random', 'grid'\]; got 'cma'"),
        ({"n_trials": 0}, r"n_trials must be 1 or more; got 0"),
        ({"n_jobs": 0}, r"n_jobs must be 1 or more; got 0"),
        ({"random_state": -1}, r"random_state must be 0 or more; got -1"),
        (
            {"pruning": True, "model": ItemKNN, "space": KNN},
            r"pruning must be False for a model without n_iter; got True",
        ),
        ({"validation": 1.5}, r"validation must be a share between 0 and 1, or sessions; got 1\.5"),
        ({"validation": None}, r"validation must be a share between 0 and 1, or sessions; got None"),
        ({"validation": SessionInteractions([[1, 13]])}, r"validation must have item ids below 13.*; got 13.*"),
        (
            {"space": {"optimizer_func": [lambda parameters: 1, lambda parameters: 2]}},
            r"optimizer_func must have another name for each of its values, for trials are told apart by it; "
            r"got 'test_search\..*<lambda>'",
        ),
    ],
)
def test_a_bad_search_is_refused_before_work(train, monkeypatch, arguments, message):
    monkeypatch.setattr(ASARSSequenceModel, "fit", None)
    with pytest.raises(ValueError, match=f"^{message}$"):
        search(**{"train": train, "space": RATES, "sampler": "grid", **arguments})


def test_what_can_not_be_refused_by_value_is_refused_by_type(train, monkeypatch):
    rule = "must not be an object that training changes"
    for name, value in (("random_state", np.random.RandomState(0)), ("representation", torch.nn.Linear(1, 1))):
        with pytest.raises(TypeError, match=rf"^{name} {rule}; got (RandomState|Linear)\(.*\. A function can make it"):
            grid_search(train, {name: [value]})
    with pytest.raises(TypeError, match=f"^representation {rule}"):
        grid_search(train, RATES, representation=torch.nn.Linear(1, 1))
    with pytest.raises(TypeError, match=r"^n_trials must be a whole number; got None$"):
        search(train, RATES)
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ImportError, match=r"^search needs optuna; pip install 'spotlight-asars\[tune\]' brings it$"):
        search(train, RATES, n_trials=1)


# The model as scikit-learn's tools see it


class Own(ASARSSequenceModel):
    """A model of one's own, with the same arguments."""


@pytest.mark.parametrize("made_by", [ASARSSequenceModel, Own])
@pytest.mark.parametrize("fitted", [False, True])
def test_a_clone_has_the_same_arguments_and_is_not_fitted(train, made_by, fitted):
    model = made_by(loss="bpr", random_state=7, optimizer_func=torch.optim.Adam, **SMALL)
    twin = clone(model.fit(train) if fitted else model)
    assert type(twin) is made_by
    assert twin.get_params() == model.get_params()
    assert twin.epochs == []
    with pytest.raises(RuntimeError, match="call fit first"):
        twin.predict([1, 2])
    if fitted:
        np.testing.assert_array_equal(twin.fit(train).predict([1, 2]), model.predict([1, 2]))


def test_set_params_changes_what_it_names_and_starts_anew(train):
    model = ASARSSequenceModel(random_state=7, **SMALL).fit(train)
    before = model.get_params()
    assert model.set_params(cell="gru", hidden_dim=3) is model
    assert model.get_params() == {**before, "cell": "gru", "hidden_dim": 3}
    assert model.epochs == []
    with pytest.raises(RuntimeError, match="call fit first"):
        model.predict([1, 2])
    fresh = ASARSSequenceModel(random_state=7, **{**SMALL, "cell": "gru", "hidden_dim": 3}).fit(train)
    np.testing.assert_array_equal(model.fit(train).predict([1, 2]), fresh.predict([1, 2]))


def test_set_params_checks_names_and_values():
    model = ASARSSequenceModel()
    before = model.get_params()
    with pytest.raises(ValueError, match=r"set_params must name arguments of the model, \[.*\]; got 'depth'"):
        model.set_params(depth=3)
    with pytest.raises(ValueError, match=r"^hidden_dim must be 1 or more; got 0$"):
        model.set_params(hidden_dim=0)
    assert model.get_params() == before
