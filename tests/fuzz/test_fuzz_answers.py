"""Any arguments to predict, recommend and evaluate: the result is that of single plain calls, or a refusal."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest
from fuzzing import CASES, answer, explore, spoiled
from hypothesis import strategies as st

from spotlight_asars import ASARSSequenceModel, SessionInteractions
from spotlight_asars.evaluation import evaluate

ITEMS, USERS = 6, 3
NAMES = ("sequence", "item_ids", "user_ids", "dwell_times", "started", "sessions", "candidates", "exclude_seen", "k")
ENCODINGS = ("scott", "log_scott", "quantile", "continuous")


@functools.cache
def fitted(encoding):
    """A small model that has seen dwell times from nothing to weeks."""
    sessions = SessionInteractions(
        [[0, 1, 2, 3], [1, 2, 3, 1], [0, 0, 2, 5], [4, 4, 1, 2], [0, 2, 3, 1]],
        user_ids=[0, 1, 0, 2, 1],
        num_items=ITEMS,
        dwell_times=[[0, 5, 1, 9], [0, 7, 2, math.nan], [0, 0, 3, 1], [1e6, 3, 2, 1], [0, 30, 2, 9]],
        started=[0, 10, 5000, 6000, 9000],
    )
    options = {"n_iter": 2, "embedding_dim": 4, "hidden_dim": 4, "user_dim": 3, "time_dim": 3, "random_state": 0}
    return ASARSSequenceModel(time_encoding=encoding, **options).fit(sessions)


SECONDS = st.one_of(st.floats(0, 1e7), st.just(math.nan), st.sampled_from([0.0, 1e30, 3e38, 5e-324]))
STARTS = st.one_of(st.floats(-1e5, 1e6), st.just(math.nan), st.sampled_from([2.0**53, -(2.0**53)]))
IDS = st.lists(st.integers(0, ITEMS - 1), min_size=1, max_size=4)


def lists(values, size):
    return st.lists(values, min_size=size, max_size=size)


def perhaps(strategy):
    return st.one_of(st.none(), strategy)


@st.composite
def predict_arguments(draw):
    """Arguments of ``predict`` that fit each other."""
    size = draw(st.integers(1, 3))
    return (
        draw(lists(lists(st.integers(0, ITEMS - 1), 3), size)),
        draw(perhaps(lists(st.integers(-1, 8), size))),
        draw(perhaps(lists(lists(SECONDS, 3), size))),
        draw(perhaps(lists(STARTS, size))),
        draw(perhaps(IDS)),
        draw(st.sampled_from(ENCODINGS)),
    )


@st.composite
def recommend_arguments(draw):
    """Arguments of ``recommend`` that fit each other."""
    size = draw(st.integers(1, 3))
    return (
        draw(lists(IDS, size)),
        draw(st.integers(1, 9)),
        draw(st.sampled_from([False, True, "session", "history"])),
        draw(perhaps(st.lists(st.integers(1, ITEMS - 1), min_size=1, max_size=4))),
        draw(perhaps(lists(st.integers(-1, 8), size))),
    )


def fits(size, value):
    return isinstance(value, list) and len(value) == size


def check_predict(rows, users, dwell, starts, candidates, encoding):
    model = fitted(encoding if encoding in ENCODINGS else "scott")
    scores = answer(lambda: model.predict(rows, candidates, user_ids=users, dwell_times=dwell, started=starts), *NAMES)
    if scores is None:
        plain = fits_plainly(rows, users, dwell, starts, candidates)
        assert not plain, (rows, users, dwell, starts, candidates)
        return
    assert np.isfinite(scores).all(), (rows, users, dwell, starts)
    matrix = np.atleast_2d(np.asarray(rows)).astype(int)
    scores = np.atleast_2d(scores)
    assert len(scores) == len(matrix)
    ids = list(range(ITEMS)) if candidates is None else np.asarray(candidates).ravel().astype(int)
    for place, row in enumerate(matrix):
        real = row != 0
        one = {
            "user_ids": None if users is None else int(np.atleast_1d(users)[place]),
            "dwell_times": None if dwell is None else np.atleast_2d(dwell)[place][real],
            "started": None if starts is None else float(np.atleast_1d(starts)[place]),
        }
        if not real.any():
            row, real, one["dwell_times"] = np.array([0]), np.array([True]), None
        alone = model.predict(row[real], **one)
        np.testing.assert_allclose(scores[place], alone[ids], rtol=1e-4, atol=1e-4)


def fits_plainly(rows, users, dwell, starts, candidates):
    """Whether every argument surely is what the docstring wants."""
    if not (isinstance(rows, list) and rows and all(fits(3, row) for row in rows)):
        return False
    fit = users is None or (fits(len(rows), users) and all(type(user) is int and -1 <= user < 9 for user in users))
    fit = fit and (dwell is None or (fits(len(rows), dwell) and all(fits(3, row) for row in dwell)))
    fit = fit and (starts is None or fits(len(rows), starts))
    fit = fit and not any(type(start) is float and abs(start) > 2.0**53 for start in starts or [])
    plain = (
        isinstance(candidates, list) and candidates and all(type(one) is int and 0 <= one < ITEMS for one in candidates)
    )
    numbers = [value for row in dwell or [] for value in row] + list(starts or []) if fit else []
    return bool(fit and (candidates is None or plain) and all(type(value) is float for value in numbers))


@pytest.mark.parametrize("cases", CASES)
def test_scores_of_many_are_those_of_one_by_one_or_the_argument_is_named(cases):
    explore(check_predict, cases, spoiled(predict_arguments()))


def check_recommend(rows, k, seen, candidates, users):
    model = fitted("scott")
    best = answer(lambda: model.recommend(rows, k, seen, candidates, user_ids=users), *NAMES)
    if best is None:
        return
    among = range(1, ITEMS) if candidates is None else sorted(set(np.asarray(candidates).ravel().astype(int).tolist()))
    given = rows if isinstance(rows, list) and rows and isinstance(rows[0], (list, np.ndarray)) else [rows]
    assert best.items.shape == best.scores.shape == (len(given), min(int(k), len(among)))
    for place, row in enumerate(given):
        row = [int(item) for item in np.atleast_1d(np.asarray(row)).tolist()]
        scores = model.predict(row or [0], user_ids=None if users is None else np.atleast_1d(users)[place])
        left = [item for item in among if not (seen and item in row)] if seen != "history" else None
        found = best.items[place][best.items[place] > 0].tolist()
        assert len(set(found)) == len(found)
        assert set(found) <= set(among)
        np.testing.assert_allclose(best.scores[place][: len(found)], scores[found], rtol=1e-4, atol=1e-4)
        if left is not None:
            wanted = sorted((scores[item] for item in left), reverse=True)[: len(best.items[place])]
            np.testing.assert_allclose(best.scores[place][: len(found)], wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("cases", CASES)
def test_recommendations_are_the_best_of_the_scores_or_the_argument_is_named(cases):
    explore(check_recommend, cases, spoiled(recommend_arguments()))


def check_evaluate(rows, k, positions):
    model, test = fitted("scott"), SessionInteractions.from_rows(rows, num_items=ITEMS)
    report = answer(lambda: evaluate(model, test, k, positions), "k", "positions", "test")
    if report is None:
        return
    ranks = []
    for row in rows:
        row = [item for item in row if item]
        for place in range(1, len(row)) if positions == "every" else range(max(1, len(row) - 1), len(row)):
            scores = model.predict(row[:place])[1:].astype(float)
            own = scores[row[place] - 1]
            near = np.isclose(scores, own, rtol=1e-5, atol=1e-5)  # may fall on either side, by rounding
            ranks.append(((scores > own)[~near].sum() + 1, (scores > own)[~near].sum() + near.sum()))
    assert len(report.ranks) == len(ranks)
    assert all(low <= rank <= high for rank, (low, high) in zip(report.ranks, ranks, strict=True))
    for cutoff in np.atleast_1d(k).tolist():
        hits = [rank <= cutoff for rank in report.ranks]
        assert report[f"recall@{int(cutoff)}"] == np.mean(hits)
        assert report[f"mrr@{int(cutoff)}"] == np.mean(
            [hit / rank for hit, rank in zip(hits, report.ranks, strict=True)]
        )


@pytest.mark.parametrize("cases", CASES)
def test_metrics_are_those_of_naive_ranks_or_the_argument_is_named(cases):
    cutoffs = st.one_of(st.integers(1, 9), st.lists(st.integers(1, 9), min_size=1, max_size=2))
    rows = st.lists(lists(st.integers(0, ITEMS - 1), 3), min_size=1, max_size=3)
    options = spoiled(cutoffs, st.sampled_from(["every", "last"]))
    explore(check_evaluate, cases, st.tuples(rows, options).map(lambda drawn: (drawn[0], *drawn[1])))
