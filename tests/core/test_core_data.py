"""Interactions, sequences and data sets of the core: what is refused, and the matrices by hand."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from spotlight_asars._core.cross_validation import random_train_test_split, user_based_train_test_split
from spotlight_asars._core.datasets import movielens
from spotlight_asars._core.interactions import Interactions, SequenceInteractions

USERS = np.array([0, 0, 0, 0, 0, 2], dtype=np.int32)
ITEMS = np.array([4, 7, 2, 9, 5, 1], dtype=np.int32)
TIMES = np.arange(6, dtype=np.int32)


def test_vocabularies_are_counted_from_the_ids_or_declared():
    assert (Interactions(USERS, ITEMS).num_users, Interactions(USERS, ITEMS).num_items) == (3, 10)
    declared = Interactions(USERS, ITEMS, num_users=5, num_items=12)
    assert repr(declared) == "<Interactions dataset (5 users x 12 items x 6 interactions)>"
    assert len(declared) == 6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_users": 2}, r"user_ids must be below num_users=2; got 2"),
        ({"num_items": 9}, r"item_ids must be below num_items=9; got 9"),
        ({"ratings": np.ones(5)}, r"ratings must have one entry per user id \(6\); got 5"),
        ({"timestamps": np.ones(7)}, r"timestamps must have one entry per user id \(6\); got 7"),
        ({"weights": np.ones(1)}, r"weights must have one entry per user id \(6\); got 1"),
    ],
)
def test_columns_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Interactions(USERS, ITEMS, **options)


def test_item_ids_of_another_length_are_refused():
    with pytest.raises(ValueError, match=r"item_ids must have one entry per user id \(6\); got 4"):
        Interactions(USERS, ITEMS[:4])


def test_sparse_matrices_hold_ratings_or_ones():
    ratings = np.arange(1, 7, dtype=np.float32)
    dense = np.zeros((3, 10))
    dense[USERS, ITEMS] = ratings
    np.testing.assert_array_equal(Interactions(USERS, ITEMS, ratings=ratings).tocsr().toarray(), dense)
    np.testing.assert_array_equal(Interactions(USERS, ITEMS).tocoo().toarray(), dense > 0)


@pytest.mark.parametrize(
    ("options", "expected", "users"),
    [
        ({"max_sequence_length": 3}, [[2, 9, 5], [0, 4, 7], [0, 0, 1]], [0, 0, 2]),
        (
            {"max_sequence_length": 3, "step_size": 2},
            [[2, 9, 5], [4, 7, 2], [0, 0, 4], [0, 0, 1]],
            [0, 0, 0, 2],
        ),
        ({"max_sequence_length": 3, "min_sequence_length": 2}, [[2, 9, 5], [0, 4, 7]], [0, 0]),
        ({"max_sequence_length": 6}, [[0, 4, 7, 2, 9, 5], [0, 0, 0, 0, 0, 1]], [0, 2]),
    ],
)
def test_sequences_by_hand(options, expected, users):
    made = Interactions(USERS, ITEMS, timestamps=TIMES).to_sequence(**options)
    np.testing.assert_array_equal(made.sequences, expected)
    np.testing.assert_array_equal(made.user_ids, users)
    assert made.sequences.dtype == made.user_ids.dtype == np.int32
    assert (made.num_items, made.max_sequence_length) == (10, options["max_sequence_length"])


def test_sequences_follow_time_and_then_the_file():
    made = Interactions(USERS, ITEMS, timestamps=np.array([1, 1, 0, 1, 0, 5])).to_sequence(5)
    np.testing.assert_array_equal(made.sequences, [[2, 5, 4, 7, 9], [0, 0, 0, 0, 1]])


def test_float_ids_make_integer_sequences():
    made = Interactions(np.zeros(3), np.arange(3.0) + 1, timestamps=np.arange(3.0)).to_sequence(4)
    np.testing.assert_array_equal(made.sequences, [[0, 1, 2, 3]])
    assert made.sequences.dtype == np.int32


def test_sequences_need_time_and_no_item_0():
    with pytest.raises(ValueError, match=r"timestamps must be given .*; got None"):
        Interactions(USERS, ITEMS).to_sequence()
    with pytest.raises(ValueError, match=r"item_ids must be above 0.*; got 0"):
        Interactions(USERS, ITEMS - 1, timestamps=TIMES).to_sequence()


def test_sequence_interactions_count_their_items():
    sequences = SequenceInteractions(np.array([[0, 3], [4, 1]]))
    assert (sequences.num_items, sequences.max_sequence_length, sequences.user_ids) == (5, 2, None)
    assert repr(sequences) == "<Sequence interactions dataset (2 sequences x 2 sequence length)>"
    assert SequenceInteractions(np.array([[0, 3]]), num_items=9).num_items == 9


@pytest.mark.parametrize("split", [random_train_test_split, user_based_train_test_split])
def test_splits_lose_nothing_and_keep_the_vocabulary(split):
    users = np.repeat(np.arange(40, dtype=np.int32), 5)
    whole = Interactions(users, np.arange(1, 201, dtype=np.int32), timestamps=np.arange(200), num_items=300)
    parts = split(whole, random_state=np.random.RandomState(0))
    assert sorted(np.concatenate([part.item_ids for part in parts])) == list(whole.item_ids)
    assert {(part.num_users, part.num_items, part.ratings) for part in parts} == {(40, 300, None)}


def test_movielens_knows_its_variants():
    with pytest.raises(ValueError, match=r"variant must be one of .*; got '100k'"):
        movielens.get_movielens_dataset("100k")


def test_movielens_says_that_it_needs_h5py(monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ModuleNotFoundError, match="h5py must be installed"):
        movielens.get_movielens_dataset()


def test_movielens_is_downloaded_once(monkeypatch, tmp_path):
    h5py = pytest.importorskip("h5py")
    remote = tmp_path / "remote" / movielens.VERSION / "movielens_100K.hdf5"
    remote.parent.mkdir(parents=True)
    with h5py.File(remote, "w") as file:
        for name, column in (
            ("user_id", USERS),
            ("item_id", ITEMS),
            ("rating", ITEMS / 2),
            ("timestamp", TIMES),
        ):
            file[name] = column
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setattr(movielens, "URL_PREFIX", (tmp_path / "remote").as_uri())

    first = movielens.get_movielens_dataset("100K")
    remote.unlink()
    second = movielens.get_movielens_dataset("100K")

    cache = tmp_path / "spotlight_data" / "movielens" / movielens.VERSION
    assert [path.name for path in cache.iterdir()] == ["movielens_100K.hdf5"]
    for log in (first, second):
        np.testing.assert_array_equal(log.item_ids, ITEMS)
        np.testing.assert_array_equal(log.ratings, ITEMS / 2)
        np.testing.assert_array_equal(log.timestamps, TIMES)
