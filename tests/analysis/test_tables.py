"""Text and Markdown tables: alignment, escapes, and rows of different lengths."""

from __future__ import annotations

import pytest

from spotlight_asars.analysis.tables import markdown_table, text_table


def test_text_lines_end_without_spaces():
    assert text_table(["name", "n"], [["a", 1000], ["longer", ""]]) == "name       n\na       1000\nlonger"


def test_markdown_is_aligned_and_escaped():
    table = markdown_table(["", "x"], [["a|b", 1.5], ["c", "-"]])
    assert table.splitlines() == ["|      |   x |", "|:-----|----:|", r"| a\|b | 1.5 |", "| c    |   - |"]


def test_a_head_without_rows_is_a_table():
    assert text_table(["a", "b"], []) == "a  b"
    assert markdown_table(["a"], []) == "| a   |\n|:----|"


@pytest.mark.parametrize("table", [text_table, markdown_table])
def test_rows_must_be_as_long_as_the_head(table):
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        table(["a", "b"], [["only one"]])
