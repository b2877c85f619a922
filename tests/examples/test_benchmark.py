"""``benchmark.py`` and ``ablations.py`` at tiny sizes, and their numbers against naive loops."""

from __future__ import annotations

import doctest
import itertools
import os
from pathlib import Path

import ablations
import benchmark
import numpy as np
import pandas as pd
import pytest
from benchmarking import figures, results, runs
from numpy.random import RandomState

from spotlight_asars import SessionInteractions, to_sessions
from spotlight_asars.baselines import BASELINES
from spotlight_asars.datasets.synthetic import generate_sessions
from spotlight_asars.evaluation import evaluate

TINY = {"num_users": 10, "num_items": 15, "num_sessions": 120, "predictability": 0.1, "repeat_effect": 0.2}
FAST = ["--epochs", "1", "--seeds", "2", "--out"]
FAILED = {"data": "one", "model": "broken", "seed": 0, "tuned": {}, "error": "ValueError: k"}
SESSIONS = SessionInteractions([[1, 2, 3], [0, 2, 1], [2, 3, 1]], user_ids=[0, 1, 0], num_items=4)


@pytest.fixture
def calls(monkeypatch):
    """Runs happen in this process, with costs that are the same every time; ``calls`` has their models."""
    calls = []

    def here(measure, model, *arguments):
        if len(calls) == calls_until_killed[0]:
            raise KeyboardInterrupt
        calls.append(model)
        outcome = measure(model, *arguments)
        return {name: 2.0 if "/s" in name or "[" in name else value for name, value in outcome.items()}

    calls_until_killed = [np.inf]
    here.kill_after = lambda count: calls_until_killed.__setitem__(0, count)
    monkeypatch.setattr(runs, "PLANTED", TINY)
    monkeypatch.setattr(runs, "in_child", here)
    return calls


def test_a_benchmark_killed_in_the_middle_ends_with_the_same_page(calls, tmp_path, capsys):
    models = ["--models", "most_popular", "gru4rec", "time_user+memories"]
    benchmark.main([*models, *FAST, str(tmp_path / "whole")])
    assert len(calls) == 1 + 2 + 2, "one run of a model without chance, two seeds of the others"
    calls.clear()
    runs.in_child.kill_after(3)
    with pytest.raises(KeyboardInterrupt):
        benchmark.main([*models, *FAST, str(tmp_path / "killed")])
    runs.in_child.kill_after(np.inf)
    benchmark.main([*models, *FAST, str(tmp_path / "killed")])
    assert len(calls) == 5, "no run is done twice"
    whole, killed = ((tmp_path / name / "results.md").read_text().partition("\n")[2] for name in ("whole", "killed"))
    assert killed == whole
    assert "| time_user+memories |" in capsys.readouterr().out
    table = pd.read_csv(tmp_path / "killed" / "runs.csv")
    assert list(table["model"]) == ["most_popular", *["gru4rec"] * 2, *["time_user+memories"] * 2]
    assert '"n_iter": 1' in table["settings"][1]
    assert all((tmp_path / "killed" / f"{name}.png").read_bytes()[1:4] == b"PNG" for name in figures.FIGURES)


def test_ablations_are_compared_with_the_net_that_has_every_channel(calls, tmp_path, capsys):
    names = ["users shuffled", "dwell constant", "last_dwell observed", "loss hinge"]
    ablations.main(["--only", *names, "--epochs", "1", "--seeds", "1", "--out", str(tmp_path)])
    table = capsys.readouterr().out.partition("The last position")[0]
    assert "MRR@20 against time_user+memories" in table
    assert table.count("p=") == len(names)
    assert sum(model.change is not runs.unchanged for model in calls) == 2


def test_every_model_can_be_made_and_every_space_is_of_its_options():
    made = [(row.make(**row.options).get_params(), row.change) for row in ablations.ABLATIONS.values()]
    assert all(made.count(one) == 1 for one in made), "every ablation differs from the others"
    assert {*BASELINES, *benchmark.QUICK, *benchmark.HONEST} < {*benchmark.CONTESTANTS}
    models = [*benchmark.CONTESTANTS.values(), *ablations.ABLATIONS.values()]
    for model in models:
        options = model.make(**model.options).get_params()
        assert all({*runs.SPACES[space]} <= {*options} for space in model.spaces)
    assert {space for model in models for space in model.spaces} == {*runs.SPACES}


def test_tuning_gives_every_model_the_same_number_of_trials(calls, tmp_path):
    for _ in range(2):
        benchmark.main(["--models", "most_popular", "item_knn", "--trials", "3", *FAST, str(tmp_path)])
    trials = pd.read_csv(tmp_path / "trials, synthetic, item_knn.csv")
    assert len(trials) == 3, "also where the same command is given again"
    assert "item_knn: shrinkage" in (tmp_path / "results.md").read_text()
    assert len(calls) == 2


def test_a_run_that_fails_or_dies_is_kept_and_done_again_when_asked(monkeypatch, tmp_path):
    file = tmp_path / "run.joblib"
    assert "abruptly" in runs.kept(file, False, os._exit, 3)["error"]
    monkeypatch.setattr(runs, "in_child", lambda function, *arguments: function(*arguments))
    assert "abruptly" in runs.kept(file, False, dict)["error"]
    bad = runs.Contestant(BASELINES["session_knn"])
    outcome = runs.kept(file, True, runs.measure, bad, {"k": 0}, 0, SESSIONS, SESSIONS)
    assert outcome == {"error": "ValueError: k must be 1 or more; got 0"}
    assert runs.kept(file, True, dict, [("every mrr@20", 0.5)]) == runs.kept(file, True, dict) == {"every mrr@20": 0.5}


def test_a_run_has_the_metrics_of_evaluate_and_the_costs():
    sessions = to_sessions(generate_sessions(**TINY, random_state=0))
    outcome = runs.measure(runs.Contestant(BASELINES["markov"]), {}, 0, sessions, sessions)
    model = BASELINES["markov"]().fit(sessions)
    for at in ("every", "last"):
        expected = {f"{at} {name}": value for name, value in evaluate(model, sessions, runs.CUTOFFS, at).items()}
        assert {name: value for name, value in outcome.items() if name.startswith(at)} == expected
    assert 0 < outcome["held before [MiB]"] <= outcome["peak [MiB]"]


def test_a_bootstrap_of_sessions_equals_a_loop_over_them():
    random, sessions = RandomState(0), np.repeat([0, 2, 3, 7], [2, 1, 3, 2])  # the others have no target
    ranks = random.randint(1, 30, (2, len(sessions)))
    drawn = results.drawn_metrics(ranks, sessions, draws=20)
    for draw, weights in enumerate(RandomState(0).multinomial(4, [0.25] * 4, size=20)):
        again = [
            np.flatnonzero(sessions == session)
            for session, w in zip([0, 2, 3, 7], weights, strict=True)
            for _ in range(w)
        ]
        every = [1 / rank if rank <= 20 else 0 for mine in ranks for places in again for rank in mine[places]]
        last = [float(mine[places[-1]] <= 20) for mine in ranks for places in again]
        assert drawn["every mrr@20"][draw] == pytest.approx(np.mean(every), rel=1e-12)
        assert drawn["last recall@20"][draw] == pytest.approx(np.mean(last), rel=1e-12)
    assert doctest.testmod(results).failed == 0


def run(data, model, mrr, seed=0, **values):
    """A row as ``compete`` makes it; every rank is the inverse of the mrr."""
    names = [f"{at} {metric}@{k}" for at in ("every", "last") for metric in ("mrr", "recall") for k in (5, 10, 20)]
    costs = {"fit [s]": 3.0, "targets learned/s": 50.0, "peak [MiB]": 90.0, "held before [MiB]": 30.0}
    arrays = {"ranks": np.full(4, 1 / mrr), "sessions": np.array([0, 0, 1, 2])}
    return {
        "data": data,
        "model": model,
        "seed": seed,
        "tuned": {},
        **dict.fromkeys(names, mrr),
        **costs,
        **arrays,
        **values,
    }


def test_a_page_shows_who_is_best_who_failed_and_what_tuning_chose():
    rows = [run("one", "gru4rec", 0.2), run("one", "gru4rec", 0.21, seed=1), run("one", "sees it all", 0.9), FAILED]
    rows += [run("one", "ours", 0.3, tuned={"k": 5}, **{"fit [s]": 9.0}), run("two", "gru4rec", 0.1)]
    summaries = {data: results.summarise(mine) for data, mine in pd.DataFrame(rows).groupby("data")}
    page = results.page({"one": "1 session", "two": "2 sessions"}, summaries, "gru4rec", ["sees it all"])
    everything, _, one = page.partition("## one")
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in everything.splitlines() if line[:1] == "|"]
    assert ["ours", "**0.3000* / 0.300**", "-"] in cells
    assert ["sees it all", "0.9000* / 0.900", "-"] in cells
    best, ours, reference = one.splitlines()[8:11]
    assert "**0.9" not in best
    assert ours.count("**0.3000**") == 6
    assert "+0.0950 [+0.0950, +0.0950] p=0.001*" in ours
    assert "0.2050 ±0.0071" in reference
    assert "**3.0**" in reference
    assert "broken failed: ValueError: k" in one
    assert "- ours: k 5" in one


def test_a_data_set_on_which_all_fail_has_no_page():
    with pytest.raises(RuntimeError, match="got 'ValueError: k'"):
        results.summarise(pd.DataFrame([FAILED]))


def test_models_stand_in_the_order_of_their_share_of_the_best():
    rows = [run("one", "a", 0.1), run("one", "b", 0.2), run("two", "a", 0.3), run("two", "c", 0.2)]
    summaries = {data: results.summarise(mine) for data, mine in pd.DataFrame(rows).groupby("data")}
    assert figures.in_order(summaries) == ["c", "a", "b"]


@pytest.mark.parametrize("name", ablations.CHANGES)
def test_a_shuffled_channel_keeps_its_values_and_a_constant_one_has_the_median(name):
    log = generate_sessions(num_users=10, num_items=15, num_sessions=100, random_state=0)
    parts = [to_sessions(part) for part in log.split_by_time(0.2)]
    for before, after in zip(parts, ablations.CHANGES[name](parts, RandomState(0)), strict=True):
        mine, theirs = after.flat_dwell_times, before.flat_dwell_times
        np.testing.assert_array_equal(np.isnan(mine), np.isnan(theirs))
        np.testing.assert_array_equal(np.sort(after.user_ids), np.sort(before.user_ids))
        assert np.array_equal(after.user_ids, before.user_ids) == (name != "users shuffled")
        assert np.array_equal(mine, theirs, equal_nan=True) == (name == "users shuffled")
        if name == "dwell constant":
            assert np.unique(mine[~np.isnan(mine)]) == np.nanmedian(parts[0].flat_dwell_times)
        else:
            np.testing.assert_array_equal(np.sort(mine), np.sort(theirs))
    without = SessionInteractions([[1, 2], [2, 1]])
    (same,) = ablations.CHANGES[name]([without], RandomState(0))
    assert (same.user_ids, same.flat_dwell_times) == (None, None)


def test_a_log_that_was_published_split_stays_as_it_is(tmp_path):
    (tmp_path / "mine").mkdir()
    for part, rows in (("train", [(9, 1), (9, 4), (2, 3), (2, 3), (2, 1)]), ("test", [(0, 5), (0, 2)])):
        pd.DataFrame(rows, columns=["session_id", "item_id"]).to_csv(tmp_path / "mine" / f"{part}.csv.gz", index=False)
    train, test, about = runs.load("mine", tmp_path)
    assert [train.items[a:b].tolist() for a, b in itertools.pairwise(train.offsets)] == [[1, 4], [3, 3, 1]]
    assert (test.items.tolist(), train.num_items, test.num_items) == ([5, 2], 6, 6)
    assert about.startswith("2 sessions with 5 events on 5 items to train on, 1 later ones with 1 targets")


def test_a_data_set_is_read_by_its_recipe(tmp_path):
    """Every item is viewed twice in a row, for 7 s as measured, and then liked."""
    log = generate_sessions(num_users=10, num_items=15, num_sessions=150, random_state=0)
    times = np.repeat(log.timestamps, 3) + np.tile([0, 0.1, 0.2], len(log))
    columns = {"user_id": np.repeat(log.user_ids, 3), "item_id": np.repeat(log.item_ids, 3), "timestamp": times}
    table = pd.DataFrame({**columns, "dwell_s": 7.0, "behavior": ["VIEW", "VIEW", "LIKE"] * len(log)})
    logs = {}
    for name in ("deskdrop", "kuairand", "ml-100k"):
        Path(tmp_path / name).mkdir()
        table.to_csv(tmp_path / name / "events.csv.gz", index=False)
        logs[name] = runs.load(name, tmp_path)[0]
    stays = {name: np.mean(train.items[1:] == train.items[:-1]) for name, train in logs.items()}
    assert stays["deskdrop"] < 0.1 < 0.6 < stays["ml-100k"]
    assert set(logs["kuairand"].flat_dwell_times % 7) == {0.0}
    assert (logs["deskdrop"].flat_dwell_times % 7 != 0).any(), "gaps between the views"
    with pytest.raises(ValueError, match="got 'kuairand'"):
        runs.load("kuairand", None)
