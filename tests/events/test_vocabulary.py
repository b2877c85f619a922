"""Raw ids and contiguous ids are one to one."""

from __future__ import annotations

import re
from types import SimpleNamespace
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from messages import refuses

from spotlight_asars.events.vocabulary import Vocabulary, check_vocabulary, encode_raw, raw_array

INTEGERS = st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1).map(lambda ids: np.array(ids, np.int64))
UNSIGNED = st.lists(st.integers(0, 2**64 - 1), min_size=1).map(lambda ids: np.array(ids, np.uint64))
TEXTS = st.lists(st.text(), min_size=1).map(lambda ids: np.array(ids, object))


@given(st.one_of(INTEGERS, UNSIGNED, TEXTS), st.integers(0, 1))
def test_a_learned_vocabulary_gives_its_raw_ids_back(values, first):
    vocabulary, ids = Vocabulary.learn(values, first)
    assert ids.dtype == np.int64
    assert sorted(set(ids.tolist())) == list(range(first, first + len(vocabulary)))
    assert vocabulary.decode(ids).tolist() == values.tolist()
    assert vocabulary.encode(values).tolist() == ids.tolist()
    assert vocabulary.raw.tolist() == sorted(set(values.tolist()))


@given(INTEGERS, INTEGERS)
def test_what_was_not_learned_is_absent(learned, asked):
    vocabulary, _ = Vocabulary.learn(learned, first=1)
    for raw, found in zip(asked.tolist(), vocabulary.encode(asked).tolist(), strict=True):
        assert (found == Vocabulary.ABSENT) == (raw not in learned)


def test_a_vocabulary_need_not_be_sorted():
    vocabulary = Vocabulary(np.array([30, 10, 20]), first=0)
    assert vocabulary.encode([10, 20, 30, 5, 99]).tolist() == [1, 2, 0, -1, -1]


def test_ids_of_64_bits_are_told_apart_whether_signed_or_not():
    near = [2**60 + 1, 2**60 + 2]  # one and the same as floats
    assert Vocabulary(np.array(near, np.uint64), 0).encode(np.array([*near, -1], np.int64)).tolist() == [0, 1, -1]
    assert Vocabulary(np.array(near, np.int64), 0).encode(np.array([*near, 2**63], np.uint64)).tolist() == [0, 1, -1]


def test_ids_of_another_type_are_absent():
    assert Vocabulary(np.array(["1", "2"]), 0).encode([1, 2]).tolist() == [-1, -1]
    assert Vocabulary(np.array([1, 2]), 0).encode(["1", "b"]).tolist() == [-1, -1]
    assert Vocabulary(np.array(["ab"]), 0).encode(["abc", "a", ""]).tolist() == [-1, -1, -1]


def test_encoding_and_decoding_keep_the_shape():
    vocabulary = Vocabulary(np.array(["a", "b"]), first=1)
    assert vocabulary.encode([["b", "c"], ["a", "a"]]).tolist() == [[2, -1], [1, 1]]
    assert vocabulary.decode(np.array([[1, 2]], np.int32)).tolist() == [["a", "b"]]
    assert vocabulary.encode("b") == 2
    assert vocabulary.decode(2) == "b"
    assert vocabulary.encode([]).tolist() == vocabulary.decode([]).tolist() == []


@pytest.mark.parametrize("bad", [0, 3, -1, 2**40])
def test_an_id_without_a_raw_id_is_refused(bad):
    vocabulary = Vocabulary(np.array(["a", "b"]), first=1)
    with pytest.raises(ValueError, match=rf"^ids must lie in 1\.\.2; got {bad} at 1$"):
        vocabulary.decode([1, bad])
    with pytest.raises(ValueError, match=rf"^ids must lie in 1\.\.2; got {bad}$"):
        vocabulary.decode(bad)


def test_an_id_that_is_not_whole_is_refused():
    with pytest.raises(ValueError, match=r"^ids must be whole numbers of 64 bits; got 1\.5 at 0$"):
        Vocabulary(np.array(["a", "b"]), first=1).decode([1.5])


def test_compaction_closes_the_gaps_in_the_old_order():
    letters = Vocabulary(np.array(list("abcde")), first=1)
    used, new_ids = letters.compact(np.array([5, 2, 2]))
    assert new_ids.tolist() == [-1, -1, 1, -1, -1, 2]  # by old id, 0 is padding
    assert (used.raw.tolist(), used.first) == (["b", "e"], 1)
    assert letters.raw.tolist() == list("abcde")


def test_the_empty_vocabulary_knows_nothing():
    empty = Vocabulary(np.array([], dtype=np.int64), first=1)
    assert empty.encode([[1, 2]]).tolist() == [[-1, -1]]
    assert repr(empty) == "<Vocabulary (0 ids from 1)>"
    with pytest.raises(ValueError, match=r"^ids must lie in 1\.\.0; got 1 at 0$"):
        empty.decode([1])


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([1, "1"], "ids must be raw ids, all strings or all integers; got ['int', 'strings']"),
        ([1.5], "ids must be raw ids, all strings or all integers; got ['float']"),
        ([True], "ids must be raw ids, all strings or all integers; got ['bool']"),
        (["a"], "ids must be integers, as in training; got strings, like 'a'"),
    ],
)
def test_raw_ids_of_another_type_are_refused(ids, message):
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        encode_raw(Vocabulary(np.array([3, 2**40]), first=1), ids, "ids")


def test_raw_ids_are_encoded_with_their_shape():
    known = Vocabulary(np.array([3, 2**40]), first=1)
    assert encode_raw(known, [[2**40], [5]], "ids").tolist() == [[2], [-1]]
    assert encode_raw(known, np.array([], dtype=object), "ids").tolist() == []


def test_integers_of_any_size_are_told_apart():
    known = Vocabulary(raw_array([5, 2**63], "ids"), first=0)
    assert known.raw.dtype == np.uint64
    assert encode_raw(known, [[5, 2**63 - 1, 2**63], [-1, 2**70, None]], "ids").tolist() == [[0, -1, 1], [-1, -1, -1]]
    assert Vocabulary(np.array([2, 3], np.uint8), first=0).raw.dtype == np.int64
    with refuses(f"ids must be integers of 64 bits, all int64 or all uint64; got -1 and {2**63}", TypeError):
        raw_array([2**63, -1], "ids")


def test_uuids_are_known_by_their_text():
    ids = [UUID(int=7), UUID(int=8)]
    known = Vocabulary(raw_array(ids, "ids"), first=1)
    assert known.raw.tolist() == [str(one) for one in ids]
    assert encode_raw(known, [ids[1], str(ids[0]), UUID(int=9), None], "ids").tolist() == [2, 1, -1, -1]


def test_one_long_text_does_not_widen_the_others():
    texts = [f"item {number}" for number in range(10**4)] + ["x" * 2000]
    vocabulary, ids = Vocabulary.learn(raw_array(np.array(texts), "ids"), first=1)
    for array in (vocabulary.raw, vocabulary.decode(ids), vocabulary.compact(ids)[0].raw):
        assert array.nbytes == 8 * len(texts)


def test_vocabularies_are_compared_by_value():
    near, wide = raw_array([2**53, 2**53 + 1], "ids"), raw_array([2**53, 2**53 + 1, 2**63], "ids")
    log = [
        SimpleNamespace(user_vocabulary=None, item_vocabulary=Vocabulary(raw, 1)) for raw in (near, wide, near[::-1])
    ]
    check_vocabulary(log[0], log[1], "log")
    rule = "log must have the item ids that the model was trained with, where 1 is"
    with refuses(f"{rule} {2**53}; got {2**53 + 1}. log.encode_like(model) re-encodes a log"):
        check_vocabulary(log[0], log[2], "log")
