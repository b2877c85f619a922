"""Text comes out of its packing whole, in blocks of whole lines, or not at all."""

from __future__ import annotations

import re
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import PACKINGS, write

from spotlight_asars.events.files import TextFile, find_text

LINES = st.lists(st.text("a1,", max_size=9).map(str.encode), min_size=1).filter(
    lambda lines: any(map(bytes.strip, lines))
)


@given(LINES, st.integers(1, 30), st.sampled_from([b"\n", b"\r\n"]))
def test_blocks_are_the_lines_whatever_their_size(tmp_path_factory, lines, size, end):
    path = tmp_path_factory.mktemp("text") / "text"
    path.write_bytes(end.join(lines))
    blocks = list(TextFile(path).blocks(size))
    assert all(block.endswith(b"\n") for block in blocks)
    given_lines = end.join(lines).replace(b"\r\n", b"\n").rstrip(b"\r\n") + b"\n"
    assert b"".join(blocks) == given_lines


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_a_byte_order_mark_is_no_text(tmp_path, size):
    (path := tmp_path / "text").write_bytes(b"\xef\xbb\xbfone\ntwo")
    assert b"".join(TextFile(path).blocks(size)) == b"one\ntwo\n"


@pytest.mark.parametrize("packing", PACKINGS)
def test_several_files_come_in_the_order_of_their_names(tmp_path, packing):
    if packing in ("", ".gz"):
        for name in ("log_2.csv", "log_1.csv", "other.csv"):
            write(tmp_path, name, name, packing)
        found = find_text(tmp_path, "log_*.csv")
    else:
        path = tmp_path / "both.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for name in ("b/log_2.csv", "a/log_1.csv", "other.csv"):
                archive.writestr(name, name.rpartition("/")[2])
        found = find_text(path, "log_*.csv")
    assert [b"".join(file.blocks()) for file in found] == [b"log_1.csv\n", b"log_2.csv\n"]


def test_of_one_name_the_plain_file_is_read_before_the_packed(tmp_path):
    for packing in reversed(PACKINGS):
        write(tmp_path, "u.data", packing or "plain", packing)
        [file] = find_text(tmp_path, "u.data")
        assert b"".join(file.blocks()).decode().strip() == packing or "plain"
    assert file.path.name == "u.data"


def test_an_archive_without_the_name_does_not_hide_the_next(tmp_path):
    write(tmp_path, "a", "no", ".zip")
    write(tmp_path, "u.data", "yes", ".tar.gz")
    [file] = find_text(tmp_path, "u.data")
    assert list(file.blocks()) == [b"yes\n"]


def test_a_damaged_member_of_an_archive_is_refused_by_name(tmp_path):
    path = write(tmp_path, "u.data", "0123456789" * 1000, ".zip")
    content = bytearray(path.read_bytes())
    content[content.index(b"u.data") + 10] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"^'u\.data\.zip' must be a whole file; got one cut off or damaged: "):
        list(find_text(path, "u.data")[0].blocks())


@pytest.mark.parametrize("content", [b"PK\x03\x04rest is missing", b"PK\x05\x06"])
def test_the_head_of_a_zip_file_is_no_plain_text(tmp_path, content):
    (path := tmp_path / "u.data").write_bytes(content)
    with pytest.raises(ValueError, match=rf"^{re.escape(repr('u.data'))} must be a whole file; got one cut off"):
        find_text(path, "u.data")
