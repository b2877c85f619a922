"""Expects an error by its whole message."""

from __future__ import annotations

import re

import pytest


def refuses(message, error=ValueError):
    """Expect an error with exactly this message."""
    return pytest.raises(error, match=f"^{re.escape(message)}$")
