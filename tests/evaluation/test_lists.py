"""What lists are like, against loops over them."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotlight_asars import ASARSSequenceModel, EventLog, SessionInteractions, to_sessions
from spotlight_asars.baselines import BASELINES
from spotlight_asars.evaluation import evaluate
from spotlight_asars.evaluation.lists import HEAD, coverage, diversity, novelty, read_categories, tail

ITEMS, K = 9, 4
LISTS = st.lists(st.permutations(range(1, ITEMS)).map(lambda items: items[:K]), min_size=1, max_size=5)
CUT = st.lists(st.integers(0, K), min_size=5, max_size=5)
COUNTS = st.lists(st.integers(0, 20), min_size=ITEMS - 1, max_size=ITEMS - 1).filter(any)


def padded(lists, lengths):
    """Lists of these lengths at most, and the same as a matrix."""
    rows = [list(row[:length]) for row, length in zip(lists, lengths, strict=False)]
    return rows, np.array([row + [0] * (K - len(row)) for row in rows])


def mean(values):
    return sum(values) / len(values) if values else math.nan


@given(LISTS, CUT)
def test_coverage_is_the_share_of_items_that_are_in_some_list(lists, lengths):
    rows, matrix = padded(lists, lengths)
    assert coverage(matrix, ITEMS) == pytest.approx(len({item for row in rows for item in row}) / (ITEMS - 1))


@given(LISTS, CUT, COUNTS)
def test_novelty_is_the_mean_information_of_the_items(lists, lengths, counts):
    rows, matrix = padded(lists, lengths)
    by_hand = [mean([-math.log2(max(counts[i - 1], 1) / sum(counts)) for i in row]) for row in rows if row]
    assert novelty(matrix, np.array([0, *counts])) == pytest.approx(mean(by_hand), nan_ok=True)


@given(LISTS, CUT, COUNTS)
def test_the_tail_is_what_comes_after_most_of_the_views(lists, lengths, counts):
    rows, matrix = padded(lists, lengths)
    head, views = set(), 0
    for item in sorted(range(1, ITEMS), key=lambda item: -counts[item - 1]):
        if views < HEAD * sum(counts):
            head.add(item)
        views += counts[item - 1]
    by_hand = [mean([item not in head for item in row]) for row in rows if row]
    assert tail(matrix, np.array([0, *counts])) == pytest.approx(mean(by_hand), nan_ok=True)


@given(LISTS, CUT, st.lists(st.integers(-1, 3), min_size=ITEMS - 1, max_size=ITEMS - 1))
def test_diversity_is_the_share_of_different_categories(lists, lengths, categories):
    rows, matrix = padded(lists, lengths)
    known = [[categories[item - 1] for item in row if categories[item - 1] >= 0] for row in rows]
    by_hand = [len(set(row)) / len(row) for row in known if row]
    assert diversity(matrix, np.array([-1, *categories])) == pytest.approx(mean(by_hand), nan_ok=True)


def shop():
    draw = np.random.RandomState(0)
    rows = draw.randint(1, ITEMS, (40, 5))
    return SessionInteractions(rows, user_ids=draw.randint(0, 5, 40), num_items=ITEMS, started=np.arange(40) * 1e5)


def small(**options):
    return ASARSSequenceModel(n_iter=1, embedding_dim=4, hidden_dim=4, random_state=0, **options)


@pytest.mark.parametrize("roll", [False, True])
@pytest.mark.parametrize("positions", ["every", "last"])
def test_lists_are_what_the_model_recommends_in_the_place_of_each_target(positions, roll):
    train, test = shop().split_latest(0.3)
    model = small().fit(train)
    report = evaluate(model, test, (2, 5), positions, roll, lists=True)
    plain = evaluate(model, test, (2, 5), positions, roll)
    np.testing.assert_array_equal(report.ranks, plain.ranks)
    assert {name: value for name, value in report.items() if name in plain} == plain
    assert report.lists.shape == (len(report.ranks), 5)
    for items, rank, target in zip(report.lists, report.ranks, targets(test, positions), strict=True):
        assert len(set(items.tolist())) == 5
        if rank <= 5 and rank == int(rank):
            assert items[int(rank) - 1] == target
    counts = np.bincount(train.items, minlength=ITEMS)
    assert report["coverage@2"] == coverage(report.lists[:, :2], ITEMS)
    assert report["novelty@5"] == novelty(report.lists, counts)
    assert report["tail@5"] == tail(report.lists, counts)
    assert "diversity@5" not in report


def targets(sessions, positions):
    for row in np.asarray(sessions.sequences):
        items = row[row > 0].tolist()[1:]
        yield from items[-1:] if positions == "last" else items


class Foreign:
    """Nothing but ``predict``."""

    def predict(self, sequence):
        return np.arange(ITEMS, dtype=np.float32)


def test_all_models_have_lists_and_padding_is_in_none():
    sessions = shop()
    for model in (BASELINES["markov"]().fit(sessions), BASELINES["most_popular"]().fit(sessions), Foreign()):
        report = evaluate(model, sessions, 50, lists=True)
        assert (report.lists > 0).all()
        assert report.lists.shape[1] == ITEMS - 1
        assert report["coverage@50"] == 1
    assert "novelty@50" not in report, "another's model does not know how often items were viewed"


def test_popularity_goes_along_with_a_model_file(tmp_path):
    sessions = shop()
    model = small().fit(sessions)
    model.save(tmp_path / "model")
    loaded = ASARSSequenceModel.load(tmp_path / "model")
    assert evaluate(loaded, sessions, 3, lists=True) == evaluate(model, sessions, 3, lists=True)


def test_categories_are_those_of_a_log_of_ids_or_of_numbers():
    rows = [(f"u{n % 7}", "abcdefgh"[n * 3 % 8], 4000 * (n // 3) + n, "xyz"[n * 3 % 8 % 3]) for n in range(60)]
    log = EventLog.from_frame(pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp", "kind"]), category="kind")
    sessions = to_sessions(log, inactivity=10**5)
    model = small().fit(sessions)
    wanted = evaluate(model, sessions, 3, lists=True, categories=log)
    by_raw = {"abcdefgh"[n]: "xyz"[n % 3] for n in range(8)}
    by_number = np.array([None, *(by_raw[item] for item in model.item_vocabulary.raw)], dtype=object)
    for same in (by_raw, by_number):
        assert evaluate(model, sessions, 3, lists=True, categories=same) == wanted
    assert 0 < wanted["diversity@3"] <= 1
    assert read_categories({"a": "x", "nobody": "y", "b": None}, model, 9).tolist() == [-1, 0, *[-1] * 7]
    with pytest.raises(ValueError, match=r"^categories must be a log, .* of shape \(9,\); got \(2,\)$"):
        evaluate(model, sessions, lists=True, categories=[1, 2])
