"""``grid_search`` and ``random_search``: honest, repeatable, resumable; the model as scikit-learn's tools see it."""

from __future__ import annotations

import csv
from functools import partial

import numpy as np
import pytest
import torch
from scipy.stats import loguniform, randint
from sklearn.base import clone

import spotlight_asars.search
from spotlight_asars import ASARSSequenceModel, SessionInteractions, to_sessions
from spotlight_asars.datasets.synthetic import generate_sessions
from spotlight_asars.evaluation import evaluate
from spotlight_asars.search import grid_search, random_search

SMALL = {"n_iter": 1, "representation": "gru4rec", "embedding_dim": 4, "hidden_dim": 5, "batch_size": 16}
RATES = {"learning_rate": [0.001, 0.1, 0.01]}


@pytest.fixture(scope="module")
def train():
    log = generate_sessions(
        num_users=8, num_items=12, num_sessions=120, session_length=5, predictability=0.9, user_effect=0,
        dwell_effect=0, random_state=0,
    )  # fmt: skip
    return to_sessions(log)


@pytest.fixture
def count(monkeypatch):
    """The learning rates of the models that are trained."""
    rates, fit = [], ASARSSequenceModel.fit
    monkeypatch.setattr(
        ASARSSequenceModel, "fit", lambda self, *args, **kw: rates.append(self._learning_rate) or fit(self, *args, **kw)
    )
    return rates


def without_seconds(trials):
    return [(trial.arguments, trial.metrics, trial.epochs, trial.error) for trial in trials]


def rates_of(trials):
    return [trial.arguments["learning_rate"] for trial in trials]


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


# What a trial is


def test_a_trial_is_a_model_trained_on_the_earlier_sessions_and_judged_on_the_latest(train):
    (trial,) = grid_search(train, {"learning_rate": [0.1]}, validation=0.25, metric="recall@3", **SMALL)
    earlier, latest = train.split_latest(0.25)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    model = ASARSSequenceModel(learning_rate=0.1, random_state=0, **SMALL).fit(earlier)
    torch.set_num_threads(threads)
    assert trial.metrics == evaluate(model, latest, k=3)
    assert set(trial.metrics) == {"mrr@3", "recall@3"}
    assert trial.arguments == model.get_params()
    assert (trial.epochs, trial.error) == (1, "")
    assert trial.seconds > 0
    (by_sessions,) = grid_search(earlier, {"learning_rate": [0.1]}, validation=latest, metric="recall@3", **SMALL)
    assert by_sessions.metrics == trial.metrics


def test_trials_come_best_first(train):
    trials = grid_search(train, RATES, **{**SMALL, "n_iter": 4})
    assert rates_of(trials)[0] == 0.1
    assert sorted(rates_of(trials)) == [0.001, 0.01, 0.1]
    scores = [trial.metrics["mrr@20"] for trial in trials]
    assert scores == sorted(scores, reverse=True)


def test_patience_stops_by_the_held_out_sessions(train):
    space = {"patience": [None, 1]}
    fixed = {**SMALL, "n_iter": 8, "learning_rate": 1.0}
    epochs = {trial.arguments["patience"]: trial.epochs for trial in grid_search(train, space, **fixed)}
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


def test_a_trial_that_diverges_is_a_result_at_the_end(train, tmp_path):
    space = {"optimizer_func": [partial(torch.optim.SGD, lr=1e30), torch.optim.Adam]}
    path = tmp_path / "trials.csv"
    good, bad = grid_search(train, space, path=path, **{**SMALL, "n_iter": 2})
    assert good.arguments["optimizer_func"] is torch.optim.Adam
    assert good.error == ""
    assert bad.error.startswith("ValueError: ")
    assert "must stay finite" in bad.error
    assert (bad.metrics, bad.epochs) == ({}, 0)
    assert [row["error"] for row in rows_of(path)] == [bad.error, ""]
    assert without_seconds(grid_search(train, space, path=path, **{**SMALL, "n_iter": 2})) == without_seconds(
        [good, bad]
    )


def test_an_error_of_several_lines_is_one_row(train, tmp_path):
    def fails(parameters):
        raise RuntimeError('no\n"room", here')

    path = tmp_path / "trials.csv"
    (trial,) = grid_search(train, {"optimizer_func": [fails]}, path=path, **SMALL)
    assert trial.error == 'RuntimeError: no "room", here'
    assert path.read_bytes().count(b"\n") == 2
    assert rows_of(path)[0]["error"] == trial.error


def test_a_keyboard_interrupt_ends_the_search(train, tmp_path):
    def stops(parameters):
        raise KeyboardInterrupt

    path = tmp_path / "trials.csv"
    with pytest.raises(KeyboardInterrupt):
        grid_search(train, {"optimizer_func": [torch.optim.Adam, stops]}, path=path, **SMALL)
    assert len(rows_of(path)) == 1


# Which trials there are


def test_a_list_of_dicts_is_searched_one_by_one_and_the_same_model_once(train, count):
    space = [{"learning_rate": [0.1, 0.01, 0.1]}, {"learning_rate": np.array([0.1]), "cell": ["lstm", "gru"]}]
    trials = grid_search(train, space, **SMALL)
    chosen = {(trial.arguments["learning_rate"], trial.arguments["cell"]) for trial in trials}
    assert len(trials) == len(count) == 3
    assert chosen == {(0.1, "lstm"), (0.01, "lstm"), (0.1, "gru")}


def test_seeds_can_be_searched_over(train):
    trials = grid_search(train, {"random_state": range(2)}, **SMALL)
    assert {trial.arguments["random_state"] for trial in trials} == {0, 1}
    assert trials[0].metrics != trials[1].metrics
    (fixed,) = grid_search(train, {"cell": ["lstm"]}, random_state=1, **SMALL)
    assert fixed.metrics in [trial.metrics for trial in trials]


def test_random_points_lie_in_their_distributions_as_plain_numbers(train):
    space = {"learning_rate": loguniform(0.01, 0.1), "hidden_dim": randint(3, 6), "cell": ["lstm", "gru"]}
    small = {name: value for name, value in SMALL.items() if name != "hidden_dim"}
    trials = random_search(train, space, n_trials=4, random_state=3, **small)
    assert len(trials) == 4
    for trial in trials:
        assert type(trial.arguments["learning_rate"]) is float
        assert type(trial.arguments["hidden_dim"]) is int
        assert 0.01 <= trial.arguments["learning_rate"] <= 0.1
        assert 3 <= trial.arguments["hidden_dim"] < 6
        assert trial.arguments["random_state"] == 3
    again = random_search(train, space, n_trials=4, random_state=3, **small)
    assert without_seconds(again) == without_seconds(trials)


def test_random_search_in_lists_draws_without_replacement(train):
    assert sorted(rates_of(random_search(train, RATES, n_trials=10, **SMALL))) == [0.001, 0.01, 0.1]
    assert len(random_search(train, RATES, n_trials=2, **SMALL)) == 2


def test_more_random_trials_go_on_where_fewer_stopped(train, tmp_path, count):
    space, path = {"learning_rate": loguniform(0.01, 0.1)}, tmp_path / "trials.csv"
    few = random_search(train, space, n_trials=2, path=path, **SMALL)
    more = random_search(train, space, n_trials=3, path=path, **SMALL)
    assert len(count) == 3
    assert set(rates_of(few)) < set(rates_of(more))


# Processes


def test_two_processes_find_what_one_finds(train, tmp_path):
    space = {**RATES, "optimizer_func": [None, lambda parameters: torch.optim.Adam(parameters, lr=0.01)]}
    alone = grid_search(train, space, n_jobs=1, **SMALL)
    path = tmp_path / "trials.csv"
    together = grid_search(train, space, n_jobs=2, path=path, **SMALL)
    assert without_seconds(together) == without_seconds(alone)
    assert len(rows_of(path)) == 6


# The file


def test_the_file_has_a_row_for_each_trial_with_all_arguments(train, tmp_path):
    path = tmp_path / "trials.csv"
    trials = grid_search(train, RATES, path=path, **SMALL)
    rows = rows_of(path)
    assert len(rows) == 3
    assert list(rows[0])[:6] == ["mrr@20", "recall@20", "epochs", "seconds", "error", "data"]
    by_rate = {trial.arguments["learning_rate"]: trial for trial in trials}
    for row in rows:
        trial = by_rate[float(row["learning_rate"])]
        assert {name: row[name] for name in trial.arguments} == {
            name: str(value) for name, value in trial.arguments.items()
        }
        assert float(row["mrr@20"]) == trial.metrics["mrr@20"]
        assert int(row["epochs"]) == trial.epochs == 1


def test_a_second_run_trains_only_what_is_new(train, tmp_path, count):
    path = tmp_path / "trials.csv"
    first = grid_search(train, RATES, path=path, **SMALL)
    assert without_seconds(grid_search(train, RATES, path=str(path), **SMALL)) == without_seconds(first)
    assert len(count) == 3
    wider = grid_search(train, {"learning_rate": [0.1, 0.5]}, path=path, **SMALL)
    assert sorted(rates_of(wider)) == [0.1, 0.5]
    assert count[3:] == [0.5]
    assert len(rows_of(path)) == 4
    by_recall = grid_search(train, RATES, metric="recall@20", path=path, **SMALL)  # another order of the same trials
    assert len(count) == 4
    assert by_recall[0].metrics["recall@20"] == max(trial.metrics["recall@20"] for trial in by_recall)


@pytest.mark.parametrize("lost", [1, 20, 150])
def test_a_killed_run_goes_on_from_its_last_whole_line(train, tmp_path, count, lost):
    path = tmp_path / "trials.csv"
    whole = grid_search(train, RATES, path=path, **SMALL)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(path.read_bytes()[:-lost])
    resumed = grid_search(train, RATES, path=path, **SMALL)
    assert count[3:] == [count[2]]
    assert without_seconds(resumed) == without_seconds(whole)
    again = path.read_bytes().splitlines(keepends=True)
    assert again[:3] == lines[:3]
    assert len(again) == 4
    assert len(rows_of(path)) == 3


@pytest.mark.parametrize("start", [b"", b"mrr@20,reca"])
def test_a_run_killed_in_its_header_starts_anew(train, tmp_path, start):
    path = tmp_path / "trials.csv"
    path.write_bytes(start)
    grid_search(train, {"learning_rate": [0.1]}, path=path, **SMALL)
    assert rows_of(path)[0]["learning_rate"] == "0.1"


def test_a_file_of_another_search_is_refused_and_left_as_it_is(train, tmp_path, count, monkeypatch):
    path = tmp_path / "trials.csv"
    grid_search(train, {"learning_rate": [0.1]}, path=path, **SMALL)
    before, data = path.read_bytes(), rows_of(path)[0]["data"]
    with pytest.raises(
        ValueError,
        match=r"^path must be new, or a file of this search, with columns \['mrr@5', 'recall@5'\]; "
        r"got \['mrr@20', 'recall@20'\]$",
    ):
        grid_search(train, RATES, metric="mrr@5", path=path, **SMALL)
    same = "path must be new, or a file of a search on the same sessions, data '[0-9a-f]{16}'"
    with pytest.raises(ValueError, match=f"^{same}; got '{data}'$"):
        grid_search(train, RATES, validation=0.3, path=path, **SMALL)
    with pytest.raises(ValueError, match=f"^{same}; got '{data}'$"):
        grid_search(train.take(np.arange(1, len(train))), RATES, path=path, **SMALL)
    with monkeypatch.context() as older:
        older.setattr(spotlight_asars.search, "ARGUMENTS", (*spotlight_asars.search.ARGUMENTS, "depth"))
        with pytest.raises(ValueError, match=r"with columns \['depth'\]; got 'mrr@20,"):
            grid_search(train, RATES, path=path, **SMALL)
    assert path.read_bytes() == before
    assert len(count) == 1


def test_any_other_file_is_refused_and_left_as_it_is(train, tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("buy milk")
    with pytest.raises(ValueError, match=r"path must be new, or a file of this search.*; got \['buy milk'\]$"):
        grid_search(train, RATES, path=path, **SMALL)
    assert path.read_text() == "buy milk"


def test_a_folder_that_is_not_there_fails_before_work(train, tmp_path, count):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        grid_search(train, RATES, path=tmp_path / "nowhere" / "trials.csv", **SMALL)
    assert count == []


def test_the_bar_shows_only_when_asked_for(train, capsys):
    (trial,) = grid_search(train, {"learning_rate": [0.1]}, **SMALL)
    assert capsys.readouterr() == ("", "")
    grid_search(train, {"learning_rate": [0.1]}, verbose=True, **SMALL)
    assert f"best mrr@20 {trial.metrics['mrr@20']:.4f}" in capsys.readouterr().err


# The door

EMPTY = r"space must be a dict of values by argument, or a list of such dicts, none of them empty"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"space": {}}, EMPTY + r"; got \{\}"),
        ({"space": []}, EMPTY + r"; got \[\]"),
        ({"space": [{"l2": [0]}, {}]}, EMPTY + r"; got \[\{'l2': \[0\]\}, \{\}\]"),
        ({"space": ["l2"]}, EMPTY + r"; got \['l2'\]"),
        ({"space": {"l2": []}}, r"space must give l2 a list of values, not empty; got \[\]"),
        ({"space": {"cell": "lstm"}}, r"space must give cell a list of values, not empty; got 'lstm'"),
        ({"space": {"l2": loguniform(1, 2)}}, r"space must give l2 a list of values, not empty; got <.*>"),
        ({"space": {"rate": [1]}}, r"space and fixed must name arguments of the model, \[.*\]; got 'rate'"),
        ({"depth": 3}, r"space and fixed must name arguments of the model, \[.*\]; got 'depth'"),
        ({"learning_rate": 0.5}, r"learning_rate must be in the space or fixed, not both; got 0\.5"),
        ({"space": {"cell": ["lstm", "rnn"]}}, r"cell must be one of \['lstm', 'gru'\]; got 'rnn'"),
        ({"metric": "loss"}, r"metric must be one of \['mrr', 'recall'\] with a cut-off, like 'mrr@20'; got 'loss'"),
        ({"metric": None}, r"metric must be one of .*; got None"),
        ({"metric": "ndcg@5"}, r"metric must be one of .*; got 'ndcg@5'"),
        ({"metric": "mrr@0"}, r"metric must be one of .*; got 'mrr@0'"),
        ({"metric": "mrr@05"}, r"metric must be one of .*; got 'mrr@05'"),
        ({"n_jobs": 0}, r"n_jobs must be 1 or more; got 0"),
        ({"n_jobs": -1}, r"n_jobs must be 1 or more; got -1"),
        ({"validation": 1.5}, r"validation must be a share between 0 and 1, or sessions; got 1\.5"),
        (
            {"validation": SessionInteractions([[1, 13]])},
            r"validation must have item ids below 13, as in train; got 13 at 1",
        ),
        (
            {"validation": SessionInteractions([[1], [2]])},
            r"validation must have a session of two events or more; the longest has; got 1",
        ),
        (
            {"train": SessionInteractions([[1], [2]], started=[0, 1]), "validation": 0.5},
            r"train must have a session of two events or more; the longest has; got 1",
        ),
        (
            {"space": {"optimizer_func": [lambda parameters: 1, lambda parameters: 2]}},
            r"optimizer_func must have another name for each of its values, for trials are told by it; "
            r"got 'test_search\.<lambda>'",
        ),
    ],
)
def test_a_bad_search_is_refused_before_work(train, count, arguments, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        grid_search(**{"train": train, "space": RATES, **arguments})
    assert count == []


@pytest.mark.parametrize(
    ("argument", "value"), [("random_state", np.random.RandomState(0)), ("representation", torch.nn.Linear(1, 1))]
)
def test_what_has_no_text_of_its_own_is_refused(train, argument, value):
    rule = f"{argument} must be None, a number, a string or a function, for trials are told apart by its text"
    with pytest.raises(TypeError, match=rf"^{rule}; got (RandomState|Linear)\(.*\. A function can make it anew"):
        grid_search(train, {argument: [value]})


def test_a_bad_random_search_is_refused(train):
    with pytest.raises(ValueError, match=r"^n_trials must be 1 or more; got 0$"):
        random_search(train, RATES, n_trials=0)
    with pytest.raises(ValueError, match=r"^space must give cell a list or distribution of values.*; got 'lstm'$"):
        random_search(train, {"cell": "lstm"}, n_trials=1)


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
