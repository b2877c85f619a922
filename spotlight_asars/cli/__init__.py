"""The command line: ``spotlight-asars``, or ``python -m spotlight_asars``.

One file for each command, with its arguments and what it does. It must satisfy: the answer goes to stdout, as text or
with ``--json`` as one JSON document, and everything else to stderr; wrong arguments are refused before work starts,
in one line; results are those of the library.

=====================  ==============================================================
``prepare``            a raw log -> train and test files, or a folder of sessions
``train``              events -> a model file
``evaluate``           a model file and test events -> metrics
``recommend``          a model file and what was viewed -> the items to come
``tune``               events -> the best options, by trials that can go on after an interruption
``analyse``            what a log looks like before any model
``export``             a model file -> a graph for other programs
``report``             train and test events -> a page to look at; ``reporting`` makes it
``arguments``          of several commands; ``options``: those of the model
``reading``            files -> logs, sessions and models; ``writing``: tables -> files
``answers``            what a command answers
=====================  ==============================================================
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NoReturn

from spotlight_asars.cli import analyse, evaluate, export, prepare, recommend, report, train, tune

PROGRAM = "spotlight-asars"
COMMANDS = {
    "prepare": prepare,
    "train": train,
    "evaluate": evaluate,
    "recommend": recommend,
    "tune": tune,
    "analyse": analyse,
    "export": export,
    "report": report,
}
FINE, FAILED, REFUSED, INTERRUPTED = 0, 1, 2, 130  # exit codes
EXPECTED = (ValueError, TypeError, RuntimeError, ImportError, OSError, MemoryError)  # of checks, files, devices

EPILOG = f"""\
the whole way:
  {PROGRAM} prepare clicks.csv.gz --user visitor --item sku --train train.parquet --test test.parquet
  {PROGRAM} train train.parquet --model shop.safetensors
  {PROGRAM} evaluate test.parquet --model shop.safetensors
  {PROGRAM} recommend --model shop.safetensors --items A17,B4 --user ann -k 5

exit codes: 0 fine, 2 what was given is refused: arguments, data, files or the model; 1 another failure, 130 interrupted
"""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, after the usage."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(REFUSED, f"{PROGRAM}: error: {message}\n")


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = Parser(
        prog=PROGRAM,
        description="Next-item recommendation that knows who browses and how long they looked.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {_version()}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command", required=True)
    for name, module in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=module.PURPOSE,
            description=f"{module.PURPOSE[0].upper()}{module.PURPOSE[1:]}.",
            epilog=module.EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        module.add_arguments(command)
        common = command.add_argument_group("answer")
        common.add_argument("--json", action="store_true", help="answer with one JSON document on stdout")
        common.add_argument("--quiet", action="store_true", help="no progress bar on stderr")
        common.add_argument("--traceback", action="store_true", help="show where an error comes from")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; by default those of the process.

    Raises
    ------
    SystemExit
        After ``--help`` and ``--version``, and with code 2 for arguments that do not parse.
    """
    args = build_parser().parse_args(argv)
    for name, value in vars(args).items():
        if isinstance(value, Path):  # no shell expands --model=~/shop
            setattr(args, name, value.expanduser())
    try:
        answer = COMMANDS[args.command].run(args)
        print(answer.as_json() if args.json else answer.text, flush=True)
    except KeyboardInterrupt:
        print(f"{PROGRAM}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader has closed stdout; nothing more may be written to it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except EXPECTED as error:
        if args.traceback:
            raise
        text = " ".join(str(error).split()) or type(error).__name__
        print(f"{PROGRAM}: error: {text}", file=sys.stderr)
        return REFUSED if isinstance(error, (ValueError, TypeError, OSError)) else FAILED
    return FINE


def _version() -> str:
    try:
        return version("spotlight-asars")
    except PackageNotFoundError:  # run from its source
        return "(not installed)"
