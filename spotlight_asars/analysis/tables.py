"""Tables to print: cells under their heads as plain text or as Markdown, the first column left, the others right."""

from __future__ import annotations

from collections.abc import Sequence

Cells = Sequence[object]


def text_table(head: Cells, rows: Sequence[Cells]) -> str:
    """The table as text, two spaces between columns.

    >>> print(text_table(["item", "count"], [["pear", 12]]))
    item  count
    pear     12
    """
    return "\n".join("  ".join(line).rstrip() for line in _aligned([head, *rows]))


def markdown_table(head: Cells, rows: Sequence[Cells]) -> str:
    r"""The table as Markdown that also reads well as text; a "|" inside a cell is escaped.

    >>> print(markdown_table(["model", "MRR"], [["a", 0.5]]))
    | model | MRR |
    |:------|----:|
    | a     | 0.5 |
    """
    escaped = [[str(cell).replace("|", r"\|") for cell in row] for row in [head, *rows]]
    lines = _aligned(escaped, least=3)
    first, *others = map(len, lines[0])
    rule = [":" + "-" * (first + 1), *("-" * (width + 1) + ":" for width in others)]
    written = [f"| {' | '.join(line)} |" for line in lines]
    return "\n".join([written[0], f"|{'|'.join(rule)}|", *written[1:]])


def _aligned(rows: Sequence[Cells], least: int = 0) -> list[list[str]]:
    """Cells as texts, filled up to the width of their column, which is at least `least`."""
    texts = [[str(cell) for cell in row] for row in rows]
    widths = [max(least, *map(len, column)) for column in zip(*texts, strict=True)]
    return [[row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])] for row in texts]
