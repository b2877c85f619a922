"""Every library reads the same columns, refuses the same lines, and says the same of them."""

from __future__ import annotations

import re

import numpy as np
import pytest

from spotlight_asars.datasets.reading.tables import Layout, read_table
from spotlight_asars.events import reading
from spotlight_asars.events.files import TextFile

LAYOUT = Layout(
    {"who": "integer", "age": "optional", "kind": ("a", "b"), "note": "text", "at": "instant", "on": "day"},
    columns=("who", "unused", "age", "kind", "note", "at", "on"),
)
TEXT = (
    "-9223372036854775808,x,41,a,first,2014-04-07T10:51:09.277Z,2016-05-09\n"
    "9223372036854775807,,NA,b,007,2014-12-31T23:59:59.999Z,2016-02-29\n"
    "3,NA,,a,7,1970-01-01T00:00:00.000Z,1970-01-01\n"
)
INSTANT, DAY = "2014-04-07T10:51:09.277Z", "2016-05-09"


@pytest.fixture(params=reading.LIBRARIES)
def library(request, monkeypatch):
    """Each library in turn is the only one there is."""
    monkeypatch.setattr(reading, "LIBRARIES", (request.param,))
    return request.param


def read(tmp_path, text, layout=LAYOUT, **options):
    (path := tmp_path / "events.csv").write_text(text)
    return read_table([TextFile(path)], layout, **options)


def refuses(message):
    return pytest.raises(ValueError, match=f"^{re.escape(message)}$")


@pytest.mark.parametrize("block", [1, 80, 10**6])
def test_columns_have_the_type_asked_for(tmp_path, library, block):
    columns = read(tmp_path, TEXT, block=block)
    assert list(columns) == ["who", "age", "note", "at", "on"]
    assert columns["who"].dtype == np.int64
    assert columns["who"].tolist() == [-(2**63), 2**63 - 1, 3]
    np.testing.assert_array_equal(columns["age"], [41.0, np.nan, np.nan])
    assert columns["age"].dtype == np.float64
    assert columns["note"].dtype == object
    assert columns["note"].tolist() == ["first", "007", "7"]
    assert columns["at"].astype(np.int64).tolist() == [1396867869277, 1420070399999, 0]
    assert columns["on"].astype(np.int64).tolist() == [16930, 16860, 0]


@pytest.mark.parametrize("block", [1, 10**6])
def test_lines_left_out_are_counted(tmp_path, library, block):
    columns = read(tmp_path, TEXT, published=3, only={"kind": ("b",)}, block=block)
    assert columns["who"].tolist() == [2**63 - 1]
    none = read(tmp_path, TEXT.replace(",b,", ",a,"), published=3, only={"kind": ("b",)}, block=block)
    assert {name: (len(column), column.dtype) for name, column in none.items()} == {
        name: (0, column.dtype) for name, column in columns.items()
    }


def test_a_header_gives_the_order(tmp_path, library):
    layout = Layout({"item": "integer", "user": "integer"}, separator=";")
    for block in (1, 10**6):
        columns = read(tmp_path, "user;more;item\n1;x;2\n3;;4\n", layout, published=2, block=block)
        assert (columns["user"].tolist(), columns["item"].tolist()) == ([1, 3], [2, 4])


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        (f"1,x,41,a,n,{INSTANT}", "7 fields between ','; got '1,x,41,a,n,2014-04-07T10:51:09.277Z'"),
        (f"1,x,41,a,n,{INSTANT},{DAY},8", f"7 fields between ','; got '1,x,41,a,n,{INSTANT},{DAY},8'"),
        ("", "7 fields between ','; got ''"),
        (f",x,41,a,n,{INSTANT},{DAY}", "an integer of 64 bits as its who; got ''"),
        (f"NA,x,41,a,n,{INSTANT},{DAY}", "an integer of 64 bits as its who; got 'NA'"),
        (f"1.5,x,41,a,n,{INSTANT},{DAY}", "an integer of 64 bits as its who; got '1.5'"),
        (f"one,x,41,a,n,{INSTANT},{DAY}", "an integer of 64 bits as its who; got 'one'"),
        (f"{2**63},x,41,a,n,{INSTANT},{DAY}", f"an integer of 64 bits as its who; got '{2**63}'"),
        (f"1,x,4.5,a,n,{INSTANT},{DAY}", "an integer or one of ['NA', ''] as its age; got '4.5'"),
        (f"1,x,old,a,n,{INSTANT},{DAY}", "an integer or one of ['NA', ''] as its age; got 'old'"),
        (f"1,x,41,c,n,{INSTANT},{DAY}", "one of ['a', 'b'] as its kind; got 'c'"),
        (f"1,x,41,,n,{INSTANT},{DAY}", "one of ['a', 'b'] as its kind; got ''"),
        (f"1,x,41,a,,{INSTANT},{DAY}", "text as its note; got ''"),
        (f"1,x,41,a,n,2014-04-07T10:51:09.277,{DAY}", f"a date and time such as {INSTANT} as its at; got"),
        (f"1,x,41,a,n,2014-04-07T10:51:09.27XZ,{DAY}", f"a date and time such as {INSTANT} as its at; got"),
        (f"1,x,41,a,n,{INSTANT}Z,{DAY}", f"a date and time such as {INSTANT} as its at; got"),
        (f"1,x,41,a,n,{INSTANT},2016-13-01", f"a date such as {DAY} as its on; got '2016-13-01'"),
        (f"1,x,41,a,n,{INSTANT},", f"a date such as {DAY} as its on; got ''"),
    ],
)
@pytest.mark.parametrize("block", [1, 10**6])
def test_a_bad_line_is_named_with_what_it_breaks(tmp_path, library, line, rule, block):
    with pytest.raises(ValueError, match=rf"^line 4 of 'events\.csv' must have {re.escape(rule)}"):
        read(tmp_path, f"{TEXT}{line}\n{TEXT}", block=block)


def test_a_field_too_many_and_one_too_few_do_not_make_up_for_each_other(tmp_path, library):
    short, long = f"1,x,41,a,n,{INSTANT}\n", f"1,x,41,a,n,{INSTANT},{DAY},8\n"
    with pytest.raises(ValueError, match=r"^line 1 of 'events\.csv' must have 7 fields between ','; got "):
        read(tmp_path, short + long)
    with pytest.raises(ValueError, match=r"^line 1 of 'events\.csv' must have 7 fields between ','; got "):
        read(tmp_path, long + short)


@pytest.mark.parametrize("lines", ["1,a\n2,b,c,d\n", "2,b,c,d\n1,a\n"])
def test_texts_at_the_end_of_a_line_do_not_hide_that_they_are_missing(tmp_path, library, lines):
    layout = Layout({"number": "integer", "last": "text"}, columns=("number", "more", "last"))
    with refuses(f"line 1 of 'events.csv' must have 3 fields between ','; got {lines.splitlines()[0]!r}"):
        read(tmp_path, lines, layout)


def test_a_missing_column_is_named(tmp_path, library):
    layout = Layout({"item": "integer", "user": "integer", "time": "integer"}, separator=";")
    with refuses("the first line of 'events.csv' must name ['time', 'user'] between ';'; got 'item;visitor'"):
        read(tmp_path, "item;visitor\n1;2\n", layout)


def test_a_header_alone_is_refused(tmp_path, library):
    with refuses("'events.csv' must have lines below its header; got 'none'"):
        read(tmp_path, "item;user\n", Layout({"item": "integer"}, separator=";"))


def test_bytes_that_are_no_text_are_refused(tmp_path, library):
    (path := tmp_path / "events.csv").write_bytes(b"1,\xff\xfe\x00\n")
    with pytest.raises(ValueError, match=r"^line"):
        read_table([TextFile(path)], Layout({"a": "integer", "b": ("x",)}, columns=("a", "b")))


def test_without_a_library_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"^reading a data set needs one of pyarrow, polars, pandas; pip install"):
        read(tmp_path, TEXT)


def test_equal_texts_are_one_string(tmp_path, library):
    columns = read(tmp_path, "a,long text\nb,long text\n", Layout({"b": "text"}, columns=("a", "b")), block=1)
    assert columns["b"][0] is columns["b"][1]
