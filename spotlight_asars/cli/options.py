"""The model's own options as ``NAME=VALUE``: read, checked, and listed for ``--help``."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Iterable
from textwrap import wrap
from typing import Any

from spotlight_asars import ASARSSequenceModel
from spotlight_asars.cli.arguments import UsageError
from spotlight_asars.model.options import OPTIONS

DEFAULTS: dict[str, Any] = {
    name: parameter.default
    for name, parameter in inspect.signature(ASARSSequenceModel).parameters.items()
    if OPTIONS[name].read is not None
} | {"random_state": 0}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the model."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option of the model, listed below; may be given again",
    )


def option_help() -> str:
    """Every option with its default, and the values of those that are chosen from a list."""
    lines = ["options of the model, NAME=DEFAULT:"]
    for name, default in DEFAULTS.items():
        lines.append(f"  {name}={_shown(default)}")
        choices = ", ".join(sorted(OPTIONS[name].choices))
        lines += wrap(choices, 100, initial_indent="    ", subsequent_indent="    ")
    return "\n".join(lines)


def read_options(texts: Iterable[str], cuda: bool = False) -> dict[str, Any]:
    """The constructor's arguments of a list of ``NAME=VALUE``; the seed is 0 unless it is among them."""
    options: dict[str, Any] = {"random_state": 0, "use_cuda": cuda}
    for text in texts:
        name, values = _split(text, "--set")
        options[name] = read_value(name, values)
    check_options(options)
    return options


def read_space(texts: Iterable[str]) -> dict[str, list[Any]]:
    """Lists of values of a list of ``NAME=VALUE,VALUE,...``."""
    space: dict[str, list[Any]] = {}
    for text in texts:
        name, values = _split(text, "--try")
        space[name] = [read_value(name, value) for value in values.split(",")]
    return space


def check_options(options: dict[str, Any]) -> None:
    """Raise ``UsageError`` unless a model can be made of these arguments."""
    try:
        ASARSSequenceModel(**options)
    except (ValueError, TypeError) as error:
        raise UsageError(str(error)) from error


def read_value(name: str, text: str) -> Any:
    """The value of an option, or the text itself where it can't be read, which the option's check will refuse.

    >>> read_value("history", "false"), read_value("dropout", "0.1"), read_value("patience", "none")
    (False, 0.1, None)
    """
    read = OPTIONS[name].read
    assert read is not None, "DEFAULTS has only options that can be read"
    try:
        return read(text)
    except (KeyError, ValueError):
        return text


def _split(text: str, argument: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"{argument} must be NAME=VALUE; got {text!r}")
    if name not in DEFAULTS:
        raise UsageError(f"{argument} must name one of {sorted(DEFAULTS)}; got {name!r}")
    return name, value


def _shown(value: Any) -> str:
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)
