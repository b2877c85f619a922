"""What is known of items: read from any table, checked at the door, and turned into numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotlight_asars import ItemFeatures
from spotlight_asars.events.item_features import FeatureSpace

ROWS = {
    "sku": ["a", "b", "c", "d"],
    "shelf": ["tea", None, "cups", "tea"],
    "price": [1.0, 3.0, None, 5.0],
    "text": [[3.0, 4.0], [0.0, 2.0], None, [0.0, 0.0]],
}
COLUMNS = {"item": "sku", "categorical": ["shelf"], "numerical": ["price"], "vectors": ["text"]}
LIBRARIES = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table}


@pytest.mark.parametrize("library", LIBRARIES)
def test_every_library_gives_the_same_features(library):
    features = ItemFeatures.from_frame(LIBRARIES[library](ROWS), **COLUMNS)
    assert repr(features) == "<ItemFeatures (4 items x shelf, price, text)>"
    assert features.items.tolist() == ["a", "b", "c", "d"]
    assert features.categorical["shelf"].tolist() == ["tea", None, "cups", "tea"]
    np.testing.assert_array_equal(features.numerical["price"], [1, 3, np.nan, 5])
    np.testing.assert_array_equal(features.vectors["text"], [[3, 4], [0, 2], [np.nan, np.nan], [0, 0]])


def test_features_become_categories_and_numbers():
    features = ItemFeatures.from_frame(pd.DataFrame(ROWS), **COLUMNS)
    space = FeatureSpace.learn(features)
    categories, numbers = space.encode(features)
    assert space.sizes == (1 + 3, 1, 2 + 3)
    assert categories.tolist() == [[3], [1], [2], [3]], "0 is none, 1 missing"
    deviation = np.std([1, 3, 5])
    expected = [[-2 / deviation, 0, 0.6, 0.8, 0], [0, 0, 0, 1, 0], [0, 1, 0, 0, 1], [2 / deviation, 0, 0, 0, 0]]
    np.testing.assert_allclose(numbers, expected, rtol=1e-6)
    later = pd.DataFrame({"sku": ["z"], "shelf": ["garden"], "price": [3.0], "text": [[1.0, 0.0]]})
    assert space.encode(ItemFeatures.from_frame(later, **COLUMNS))[0].tolist() == [[1]], "unknown is as missing"
    twin = FeatureSpace(**space.as_json())
    assert [part.tolist() for part in twin.encode(features)] == [categories.tolist(), numbers.tolist()]


@given(st.lists(st.one_of(st.none(), st.sampled_from("xyz")), min_size=1, max_size=8), st.integers(0, 2))
def test_columns_share_no_category(values, constants):
    frame = {"item_id": range(len(values)), "one": values, "other": values, "price": [float(constants)] * len(values)}
    features = ItemFeatures.from_frame(pl.DataFrame(frame, schema_overrides={"one": pl.String, "other": pl.String}),
                                       categorical=["one", "other"], numerical=["price"])  # fmt: skip
    space = FeatureSpace.learn(features)
    categories, numbers = space.encode(features)
    assert categories.max() < space.sizes.categories
    assert not set(categories[:, 0]) & set(categories[:, 1])
    assert len(set(categories[:, 0])) == len(set(values))
    assert not numbers.any(), "a constant is its mean"


@pytest.mark.parametrize("values", [[1, 2, 1], [1.0, 2.0, 1.0], ["1", "2", "1"]])
def test_whole_numbers_and_their_texts_are_the_same_category(values):
    features = ItemFeatures.from_frame(pd.DataFrame({"item_id": [5, 6, 7], "tab": values}), categorical=["tab"])
    assert features.categorical["tab"].tolist() == ["1", "2", "1"]
    flags = ItemFeatures.from_frame(pl.DataFrame({"item_id": [5, 6], "new": [True, None]}), categorical=["new"])
    assert flags.categorical["new"].tolist() == ["True", None]


@pytest.mark.parametrize(
    ("change", "columns", "message"),
    [
        ({"sku": ["a", "b", "a", "d"]}, {}, r"item column 'sku' must have each item once; got 'a' at 2"),
        ({"sku": ["a", None, "c", "d"]}, {}, r"item column 'sku' must have no missing ids; got None at 1"),
        *(
            ({"price": [1.0, price, 2.0, 3.0]}, {}, "numerical column 'price' must be finite as float32, .* at 1")
            for price in (np.inf, 1e300, -1e300)
        ),
        ({"price": list("wxyz")}, {}, r"numerical column 'price' must be numbers; got 'String'"),
        (
            {"text": [[1.0], [2.0, 3.0], None, [1.0]]},
            {},
            r"vectors column 'text' must have vectors of one length, 1; got 2 at 1",
        ),
        (
            {"text": [[1.0], [np.nan], None, [1.0]]},
            {},
            r"vectors column 'text' must be finite, or missing as a whole; got \[nan\]",
        ),
        ({"text": [["x"], None, None, None]}, {}, r"vectors column 'text' must hold lists of numbers; got \['x'\]"),
        ({}, {"categorical": ["shelves"]}, r"categorical must name one of the columns .*; got 'shelves'"),
        ({}, {"categorical": "shelf"}, r"categorical must be a list of columns; got 'shelf'"),
        ({}, {"categorical": ["price"]}, r"no column must be named twice; got \['price', 'price', 'text'\]"),
        (
            {},
            {"categorical": [], "numerical": [], "vectors": []},
            r"categorical, numerical or vectors must name a column; got \[\]",
        ),
    ],
)
def test_odd_features_are_refused_by_name_and_value(change, columns, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        ItemFeatures.from_frame(pd.DataFrame({**ROWS, **change}), **{**COLUMNS, **columns})


def test_what_is_no_table_is_refused():
    with pytest.raises(TypeError, match=r"^frame must be a pandas, polars or pyarrow table; got builtins\.dict$"):
        ItemFeatures.from_frame(ROWS, **COLUMNS)
    with pytest.raises(ValueError, match="frame must have at least one event; got 0"):
        ItemFeatures.from_frame(pd.DataFrame(ROWS).head(0), **COLUMNS)


def test_a_space_refuses_other_columns_and_lengths():
    space = FeatureSpace.learn(ItemFeatures.from_frame(pd.DataFrame(ROWS), **COLUMNS))
    fewer = ItemFeatures.from_frame(pd.DataFrame(ROWS), **{**COLUMNS, "numerical": []})
    with pytest.raises(
        ValueError, match=r"features must have the numerical columns of the first, \['price'\]; got \[\]"
    ):
        space.encode(fewer)
    longer = ItemFeatures.from_frame(pd.DataFrame({**ROWS, "text": [[1.0, 2.0, 3.0]] * 4}), **COLUMNS)
    with pytest.raises(ValueError, match="vectors column 'text' must have the length of the first, 2; got 3"):
        space.encode(longer)
