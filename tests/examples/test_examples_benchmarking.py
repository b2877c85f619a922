"""The benchmark and the ablations at tiny sizes: what is killed goes on, what fails is told, and like meets like."""

from __future__ import annotations

import csv
import os
from dataclasses import replace
from functools import partial

import ablations
import benchmark
import numpy as np
import pytest
from benchmarking import competition, contestants, logs, measuring, runs, tuning

from spotlight_asars import SessionInteractions
from spotlight_asars.baselines import BASELINES

TINY = {"num_users": 10, "num_items": 15, "num_sessions": 120, "predictability": 0.1, "repeat_effect": 0.2}
MODELS = ["--models", "most_popular", "item_knn", "gru4rec", "time_user+memories", "--epochs", "1", "--seeds", "2"]


class Launcher:
    """Runs jobs in this process, at costs that are the same every time; is killed at one of them."""

    def __init__(self):
        self.jobs, self.killed_at = 0, None

    def __call__(self, job):
        if self.jobs == self.killed_at:
            raise KeyboardInterrupt
        self.jobs += 1
        outcome = measuring.measure(job)
        assert not outcome.error
        return replace(outcome, costs=dict.fromkeys(outcome.costs, 2.0))


@pytest.fixture
def launcher(monkeypatch):
    launcher = Launcher()
    monkeypatch.setattr(logs, "PLANTED", TINY)
    monkeypatch.setattr(competition, "run_all", partial(runs.run_all, launch=launcher))
    return launcher


def results(folder):
    """The page of results but for the line of circumstances."""
    return (folder / "results.md").read_text().split("\n", 1)[1]


def rows(folder):
    with (folder / "runs.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def sessions():
    return SessionInteractions([[1, 2, 3], [0, 2, 1], [2, 3, 1]], user_ids=[0, 1, 0], num_items=4)


def job_of(sessions, make=BASELINES["most_popular"], **options):
    return measuring.Job(make, options, "", 0, sessions, sessions)


def test_a_benchmark_killed_in_the_middle_ends_with_the_same_table(launcher, tmp_path, capsys):
    arguments = [*MODELS, "--trials", "2", "--out"]
    benchmark.main([*arguments, str(tmp_path / "whole")])
    whole, launcher.jobs = launcher.jobs, 0
    assert whole == 6 + 6, "trials of three models with a space; two seeds of the nets, one of the others"
    for launcher.killed_at in (4, 9):  # among the trials, and among the final runs
        with pytest.raises(KeyboardInterrupt):
            benchmark.main([*arguments, str(tmp_path / "killed")])
    with (tmp_path / "killed" / "runs.csv").open("ab") as file:
        file.write(b"synthetic,half a row")
    launcher.killed_at = None
    benchmark.main([*arguments, str(tmp_path / "killed")])
    assert launcher.jobs == whole, "nothing is done twice"
    assert results(tmp_path / "killed") == results(tmp_path / "whole")
    assert len(rows(tmp_path / "killed")) == whole
    assert "| time_user+memories |" in capsys.readouterr().out
    for name in ("accuracy", "speed", "memory"):
        assert (tmp_path / "killed" / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_a_row_has_every_setting_and_what_became_of_it(launcher, tmp_path, capsys):
    benchmark.main(["--models", "gru4rec", "--epochs", "1", "--seeds", "1", "--out", str(tmp_path)])
    (row,) = rows(tmp_path)
    for word in ('"hidden_dim": 100', '"history": false', '"n_iter": 1', '"random_state": 0'):
        assert word in row["settings"]
    assert (row["data"], row["stage"], row["model"], row["error"]) == ("synthetic", "final", "gru4rec", "")
    assert 0 < float(row["last mrr@5"]) <= float(row["last recall@20"]) <= 1
    assert "MRR@20" in capsys.readouterr().err


def test_ablations_are_measured_against_the_net_with_every_channel(launcher, tmp_path, capsys):
    names = ["users shuffled", "dwell constant", "last_dwell observed", "loss hinge"]
    ablations.main(["--only", *names, "--epochs", "1", "--seeds", "1", "--out", str(tmp_path)])
    table = results(tmp_path).split("The last position")[0]
    told = [line.split("|")[1].strip() for line in table.splitlines() if "0." in line and line.startswith("|")]
    assert sorted(told) == sorted(["time_user+memories", *names])
    assert table.count("p=") == len(names)
    assert {row["change"] for row in rows(tmp_path)} == {"", "users shuffled", "dwell constant"}
    assert "against time_user+memories" in capsys.readouterr().out


def test_every_ablation_differs_from_the_default():
    made = [(row.make(**row.options).get_params(), row.change) for row in ablations.ABLATIONS.values()]
    assert all(made.count(one) == 1 for one in made)
    assert "loss sampled_softmax" in ablations.ABLATIONS, "the row that samplers are set beside"


def test_a_run_in_a_process_of_its_own_finds_the_same(sessions):
    job = job_of(sessions)
    there, here = measuring.in_child(job), measuring.measure(job)
    assert there.error == ""
    assert there.metrics == here.metrics
    assert 0 < there.costs["held before [MiB]"] <= there.costs["peak [MiB]"]


def test_a_process_that_dies_is_told_apart_from_one_that_does_well(sessions):
    assert measuring.in_child(job_of(sessions, partial(os._exit, 3))).error == "the process ended with 3: "


def test_a_failed_run_is_taken_down_and_retried_when_asked(sessions, tmp_path):
    bad = measuring.measure(job_of(sessions, k=0, make=BASELINES["session_knn"]))
    assert bad.error == "ValueError: k must be 1 or more; got 0"
    key = runs.Key("data", "digest", runs.FINAL, "model", "", "0", "{}")
    run = runs.Run(key, job_of(sessions))
    runs.run_all([run], runs.Book(tmp_path), launch=lambda job: bad)
    assert runs.Book(tmp_path).rows[key]["error"] == bad.error
    assert runs.Book(tmp_path, retry=True).rows == {}
    runs.run_all([run], runs.Book(tmp_path, retry=True), launch=measuring.measure)
    assert runs.Book(tmp_path).rows[key]["error"] == "", "the later row counts"
    assert runs.Book(tmp_path).ranks(key)["every"].tolist() == measuring.measure(run.job).ranks["every"].tolist()


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "runs.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=f"out must be a new folder.*got '{tmp_path}'"):
        runs.Book(tmp_path)


def test_memory_is_known_where_the_system_keeps_no_account(monkeypatch, tmp_path):
    monkeypatch.setattr(measuring, "STATUS", tmp_path / "none")
    assert measuring.held_memory() == measuring.peak_memory() > 0


def test_the_last_target_of_a_session_is_what_evaluate_ranks_at_the_last_position():
    log = logs.generate_sessions(**TINY, random_state=0)
    sessions = logs.to_sessions(log)
    model = BASELINES["markov"]().fit(sessions)
    every, last = (measuring.evaluate(model, sessions, positions=positions) for positions in ("every", "last"))
    np.testing.assert_array_equal(every.ranks[measuring.last_of(every.sessions)], last.ranks)


def test_every_model_competes_and_every_space_fits_its_model():
    assert set(BASELINES) < set(contestants.CONTESTANTS)
    assert set(contestants.QUICK) < set(contestants.HONEST)
    models = [*contestants.CONTESTANTS.values(), *ablations.ABLATIONS.values()]
    for contestant in models:
        model = contestant.make(**contestant.options)
        assert set(contestant.space) <= set(model.get_params())
        for choice in tuning.choices(contestant, 3):
            contestant.make(**contestant.settled(0, None, **choice))
    assert not contestants.CONTESTANTS["time_cat+observed"].honest
    used = {name for contestant in models for name in contestant.spaces}
    assert used == set(contestants.SPACES)


@pytest.mark.parametrize(("name", "trials", "expected"), [("item_knn", 0, 0), ("item_knn", 4, 4), ("item_knn", 99, 15)])
def test_trials_begin_with_the_defaults_and_are_no_more_than_there_are(launcher, name, trials, expected):
    log, contestant = logs.load("synthetic", None), contestants.CONTESTANTS[name]
    tried = tuning.trials_of(log, name, contestant, trials, None)
    assert len({run.key for _, run in tried}) == len(tried) == expected
    assert all(choice == {} for choice, _ in tried[:1])
    assert all(run.job.train is log.trial.train for _, run in tried)
    assert tuning.trials_of(log, "most_popular", contestants.CONTESTANTS["most_popular"], trials, None) == []


def test_the_best_trial_is_chosen_and_a_failed_one_is_not(tmp_path):
    book = runs.Book(tmp_path)
    keys = [runs.Key("data", "digest", runs.TRIAL, "model", "", "0", str(n)) for n in range(3)]
    found = [{"error": "bad"}, {"error": "", tuning.JUDGED_BY: "0.2"}, {"error": "", tuning.JUDGED_BY: "0.2"}]
    book.rows = dict(zip(keys, found, strict=True))
    tried = [({"k": n}, runs.Run(key, None)) for n, key in enumerate(keys)]
    assert tuning.best(tried, book) == {"k": 1}, "the earlier of equals"
    assert tuning.best([], book) == {}
