"""The numbers of the benchmark against naive loops, its tables and figures, and its data."""

from __future__ import annotations

import doctest

import numpy as np
import pandas as pd
import pytest
from benchmarking import changes, figures, logs, measuring, report, resampling, tables
from benchmarking.contestants import FAMILIES
from benchmarking.summary import Line, Versus
from numpy.random import RandomState

from spotlight_asars import to_sessions
from spotlight_asars.datasets.synthetic import generate_sessions

COSTS = {"fit [s]": 3.0, "targets learned/s": 50.0, "peak [MiB]": 90.0, "held before [MiB]": 30.0}


def line(model, mrr, seeds=1, versus=None, **costs):
    names = [f"{at} {metric}@{k}" for at in ("every", "last") for metric in ("mrr", "recall") for k in (5, 10, 20)]
    means = {**dict.fromkeys(names, mrr), **COSTS, **costs}
    intervals = {name: (mrr - 0.01, mrr + 0.02) for name in names if name.endswith("@20")}
    return Line(model, seeds, means, dict.fromkeys(means, 0.001), intervals, versus or {})


@pytest.mark.parametrize("module", [measuring, resampling, tables])
def test_examples_in_docstrings(module):
    assert doctest.testmod(module).failed == 0


def test_a_bootstrap_of_sessions_equals_a_loop_over_them():
    random = RandomState(0)
    sessions = np.repeat([0, 2, 3, 7], [2, 1, 3, 2])  # without those that have no target
    mine, theirs = random.rand(2, len(sessions))
    drawn = resampling.draw_sessions(4, draws=50, seed=1)
    means = []
    for weights in drawn:
        again = [
            (a, b)
            for session, weight in zip([0, 2, 3, 7], weights, strict=True)
            for _ in range(int(weight))
            for a, b in zip(mine[sessions == session], theirs[sessions == session], strict=True)
        ]
        means.append(np.mean(again, axis=0))
    means = np.array(means)
    fast = [resampling.drawn_means(*resampling.session_sums(v, sessions), drawn) for v in (mine, theirs)]
    np.testing.assert_allclose(np.stack(fast, axis=1), means, rtol=1e-12)

    ordered = sorted(means[:, 0])  # of 50 draws, 2.5 % lie below place 1.225 when counted from 0
    low, high = resampling.interval(fast[0])
    assert low == pytest.approx(ordered[1] + 0.225 * (ordered[2] - ordered[1]))
    assert ordered[47] <= high <= ordered[48]

    differences = means[:, 0] - means[:, 1]
    other_sign = min(sum(d <= 0 for d in differences), sum(d >= 0 for d in differences))
    assert resampling.p_value(fast[0] - fast[1]) == min(1, 2 * (other_sign + 1) / 51)


def test_no_difference_is_no_evidence():
    assert resampling.p_value(np.zeros(100)) == 1
    assert resampling.p_value(np.ones(99)) == 2 / 100


def test_a_table_says_who_is_best_and_who_failed():
    better = Versus(0.1, 0.05, 0.15, 0.001)
    lines = [
        line("gru4rec", 0.2, seeds=3),
        line("ours", 0.3, versus={"every mrr@20": better}, **{"fit [s]": 9.0}),
        line("sees it all", 0.9, versus={"every mrr@20": Versus(0.7, 0.6, 0.8, 0.5)}),
        Line("broken", 0, {}, {}, {}, {}, "ValueError: k"),
    ]
    text = tables.table(lines, "every", "gru4rec", dishonest=["sees it all"])
    head, _, first, second, third, *_, last = text.splitlines()
    for word in ("MRR@5", "Recall@20", "95 %", "against gru4rec", "rolled MRR@20", "targets/s", "peak [MiB]"):
        assert word in head
    assert "0.2000 ±0.0010" in first
    assert "**3.0**" in first
    assert second.count("**0.3000**") == 6
    assert "[0.2900, 0.3200]" in second
    assert "+0.1000 [+0.0500, +0.1500] p=0.001*" in second
    assert "**0.9" not in third
    assert "p=0.500 " in third
    assert last == "broken failed: ValueError: k"
    assert len({len(row) for row in text.splitlines()[:5]}) == 1, "columns stand under each other"
    assert "fit" not in tables.table(lines, "last", "gru4rec")


def test_one_table_has_all_data_sets_and_bold_the_best_honest_model_of_each():
    sure, unsure = (Versus(0.1, 0.05, 0.15, p) for p in (0.001, 0.2))
    lines = {
        "one": [
            line("gru4rec", 0.2),
            line("ours", 0.3, versus={"every mrr@20": sure}),
            line("sees it all", 0.9, versus={"every mrr@20": sure}),
        ],
        "two": [
            line("gru4rec", 0.1),
            line("ours", 0.05, versus={"every mrr@20": unsure}),
            Line("late", 0, {}, {}, {}, {}, "ValueError: k"),
        ],
    }
    rows = [
        [cell.strip() for cell in row.split("|")[1:-1]] for row in tables.overview(lines, ["sees it all"]).split("\n")
    ]
    assert [rows[0], *rows[2:]] == [
        ["MRR@20 / Recall@20", "one", "two"],
        ["gru4rec", "0.2000 / 0.200", "**0.1000 / 0.100**"],
        ["ours", "**0.3000* / 0.300**", "0.0500 / 0.050"],
        ["sees it all", "0.9000* / 0.900", "-"],
        ["late", "-", "-"],
    ]
    page = report.written(lines, {"one": "1 session", "two": "2 sessions"}, "gru4rec")
    assert page.index("## All data sets") < page.index("| sees it all") < page.index("| ours") < page.index("## one")
    assert "## All data sets" not in report.written({"one": lines["one"]}, {"one": "1 session"}, "gru4rec")


def test_a_page_tells_command_sizes_and_what_tuning_chose():
    text = report.written(
        {"log": [line("a", 0.1), line("b", 0.2)]}, {"log": "7 sessions"}, "a", (), {"log": {"b": {"k": 5}}}
    )
    assert text.index("7 sessions.") < text.index("| b ") < text.index("| a "), "the best comes first"
    assert "- b: k 5" in text
    assert "`python examples/benchmark.py --data logs`" in report.circumstances(
        "benchmark", ["--data", "/home/me/logs"]
    )


def test_figures_have_a_panel_for_each_data_set_and_one_order_of_models(tmp_path):
    lines = {
        "one": [line("a", 0.1), line("b", 0.2, seeds=2)],
        "two": [line("a", 0.3), Line("b", 0, {}, {}, {}, {}, "bad"), line("c", 0.2)],
    }
    assert figures.in_order(lines) == ["c", "a", "b"]
    paths = figures.draw_all(lines, dict(zip("abc", FAMILIES, strict=False)), tmp_path)
    assert {name: path.stem for name, path in paths.items()} == {n: n for n in ("accuracy", "speed", "memory")}
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths.values())


def test_a_shuffled_channel_keeps_its_values_and_a_constant_one_has_none_but_the_median():
    log = generate_sessions(num_users=10, num_items=15, num_sessions=100, random_state=0)
    train, test = (to_sessions(part) for part in log.split_by_time(0.2))
    for name, change in changes.CHANGES.items():
        for before, after in zip((train, test), change(train, test, RandomState(0)), strict=True):
            np.testing.assert_array_equal(after.items, before.items)
            np.testing.assert_array_equal(after.started, before.started)
            np.testing.assert_array_equal(np.isnan(after.flat_dwell_times), np.isnan(before.flat_dwell_times))
            assert (after.num_items, after.num_users) == (before.num_items, before.num_users)
            same_users = np.array_equal(after.user_ids, before.user_ids)
            same_dwell = np.array_equal(after.flat_dwell_times, before.flat_dwell_times, equal_nan=True)
            assert (same_users, same_dwell) == (not name.startswith("users"), not name.startswith("dwell"))
            np.testing.assert_array_equal(np.sort(after.user_ids), np.sort(before.user_ids))
            if name == "dwell shuffled":
                np.testing.assert_array_equal(np.sort(after.flat_dwell_times), np.sort(before.flat_dwell_times))
            elif name == "dwell constant":
                known = after.flat_dwell_times[~np.isnan(after.flat_dwell_times)]
                assert np.unique(known) == np.nanmedian(train.flat_dwell_times)


def test_changes_leave_sessions_without_the_channel_alone():
    from spotlight_asars import SessionInteractions

    sessions = SessionInteractions([[1, 2], [2, 1]])
    for change in changes.CHANGES.values():
        assert change(sessions, sessions, RandomState(0)) == (sessions, sessions)


@pytest.fixture
def folder(tmp_path):
    """A folder of two data sets: every item is viewed twice in a row, for 7 s as measured, and then liked."""
    log = generate_sessions(num_users=10, num_items=15, num_sessions=150, random_state=0)
    times = np.repeat(log.timestamps, 3) + np.tile([0, 0.1, 0.2], len(log))
    columns = {"user_id": np.repeat(log.user_ids, 3), "item_id": np.repeat(log.item_ids, 3), "timestamp": times}
    table = pd.DataFrame({**columns, "dwell_s": 7.0, "behavior": ["VIEW", "VIEW", "LIKE"] * len(log)})
    for name in ("deskdrop", "kuairand", "ml-100k"):
        (tmp_path / name).mkdir()
        table.to_csv(tmp_path / name / "events.csv.gz", index=False)
    return tmp_path


def test_a_data_set_is_read_by_its_recipe(folder):
    assert logs.names_in(None) == ["synthetic"]
    assert logs.names_in(folder) == ["kuairand", "ml-100k", "deskdrop"]
    views = logs.read(folder / "deskdrop" / "events.csv.gz", logs.RECIPES["deskdrop"])
    every = logs.read(folder / "kuairand" / "events.csv.gz", logs.RECIPES["kuairand"])
    assert len(views) == len(every) * 2 / 3
    assert set(every.dwell_times()) == {7.0}
    joined, kept = (logs.load(name, folder).final.train for name in ("deskdrop", "ml-100k"))
    stays = [np.mean(s.items[1:] == s.items[:-1]) for s in (joined, kept)]
    assert stays[0] < 0.1 < 0.6 < stays[1]


def test_trials_know_nothing_of_the_test(folder):
    log = logs.load("kuairand", folder)
    assert log.trial.test.started.max() <= log.final.train.started.max() < log.final.test.started.max()
    assert log.trial.train.started.max() < log.trial.test.started.max()
    assert len(log.trial.train) < len(log.final.train)
    assert log.trial.digest != log.final.digest
    assert log.final.digest == logs.load("kuairand", folder).final.digest
    with pytest.raises(ValueError, match="got 'kuairand'"):
        logs.load("kuairand", None)
