"""The table of data sets under its old name."""

from __future__ import annotations

import pytest

from spotlight_asars import datasets


def test_sources_are_deprecated():
    with pytest.warns(DeprecationWarning, match=r"^datasets\.SOURCES is deprecated .* use datasets\.DATASETS"):
        assert datasets.SOURCES is datasets.DATASETS
    with pytest.raises(AttributeError, match="has no attribute 'OTHERS'"):
        _ = datasets.OTHERS
