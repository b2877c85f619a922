"""Distinct values and codes: by table, by hash and by sort they are the same."""

from __future__ import annotations

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotlight_asars.events import distinct as encoding

NEAR = st.lists(st.integers(-3, 6), min_size=1).map(lambda ids: np.array(ids, np.int64))
FAR = st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1).map(lambda ids: np.array(ids, np.int64))
UNSIGNED = st.lists(st.integers(2**64 - 9, 2**64 - 1), min_size=1).map(lambda ids: np.array(ids, np.uint64))
SMALL = st.lists(st.integers(-128, 127), min_size=1).map(lambda ids: np.array(ids, np.int8))
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=3)


@given(st.one_of(NEAR, FAR, UNSIGNED, SMALL), st.booleans())
def test_codes_of_integers_are_those_of_a_sort(values, arrow):
    with pytest.MonkeyPatch.context() as patch:
        if not arrow:
            patch.setattr(encoding, "find_spec", lambda name: None)
        raw, codes = encoding.distinct(values)
    expected, places = np.unique(values, return_inverse=True)
    assert raw.dtype == values.dtype
    assert codes.dtype == np.int64
    assert (raw.tolist(), codes.tolist()) == (expected.tolist(), places.tolist())


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame, pa.table])
def test_codes_of_texts_are_those_of_a_sort(frame):
    @given(st.lists(TEXT, min_size=1))
    def check(values):
        column = nw.from_native(frame({"id": values}), eager_only=True)["id"]
        raw, codes = encoding.distinct_texts(column)
        assert raw.tolist() == sorted(set(values))
        assert raw[codes].tolist() == values
        assert raw.dtype == encoding.distinct(np.array(values, object))[0].dtype

    check()


def test_a_category_without_events_is_no_id():
    column = pd.Series(["b", "a", "b"], dtype=pd.CategoricalDtype(["c", "b", "a"]))
    raw, codes = encoding.distinct_texts(nw.from_native(column, series_only=True))
    assert (raw.tolist(), codes.tolist()) == (["a", "b"], [1, 0, 1])


@pytest.mark.parametrize(
    "values",
    [
        pd.Series([1, 2]),
        pd.Series(["a", None]),
        pd.Series(["a", 1], dtype=object),
        pd.Series([b"a", b"b"], dtype=object),
        pd.Series(["\ud800"], dtype=object),
        pd.Series([1, 2], dtype="category"),
        pd.Series([], dtype=str),
    ],
)
def test_what_is_no_column_of_texts_is_left_to_others(values):
    assert encoding.distinct_texts(nw.from_native(values, series_only=True)) is None


def test_texts_need_pyarrow_to_go_faster(monkeypatch):
    monkeypatch.setattr(encoding, "find_spec", lambda name: None)
    assert encoding.distinct_texts(nw.from_native(pd.Series(["a"]), series_only=True)) is None
    assert encoding.distinct(np.array(["b", "a"], object))[1].tolist() == [1, 0]
