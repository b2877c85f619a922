"""Other libraries' talk of their own ways, which the caller has no use for."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet(*names: str | logging.Logger) -> Iterator[None]:
    """Inside, the loggers of these names tell of errors only, and nothing warns.

    >>> logger = logging.getLogger("some.library")
    >>> with quiet("some.library"):
    ...     logger.isEnabledFor(logging.WARNING)
    False
    >>> logger.isEnabledFor(logging.WARNING)
    True
    """
    loggers = [logging.getLogger(name) if isinstance(name, str) else name for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
