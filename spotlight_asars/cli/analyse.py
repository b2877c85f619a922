"""``analyse``: what a log looks like before any model."""

from __future__ import annotations

import argparse
from pathlib import Path

from spotlight_asars.analysis import analyse
from spotlight_asars.analysis.plots import plot_analysis
from spotlight_asars.cli.answers import Answer
from spotlight_asars.cli.arguments import add_events, add_inactivity
from spotlight_asars.cli.reading import read_log
from spotlight_asars.cli.writing import check_place

PURPOSE = "tell what is in a log: sizes, repeats within and across sessions, and dwell times"
EPILOG = """\
example:
  spotlight-asars analyse clicks.csv.gz --category department --plot analysis.png
"""
FIGURES = (".png", ".pdf", ".svg")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_events(parser, datasets=True)
    add_inactivity(parser)
    parser.add_argument(
        "--earlier", type=int, default=1, metavar="N", help="repeats of sessions with N before them; default 1"
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the figure: png, pdf, svg; default none")


def run(args: argparse.Namespace) -> Answer:
    """Run the command."""
    check_place(args.plot, "--plot", FIGURES)
    analysis = analyse(read_log(args), args.inactivity, earlier=args.earlier)
    text = str(analysis)
    if args.plot is not None:
        plot_analysis(analysis).savefig(args.plot)
        text += f"\n\nfigure in {args.plot}"
    return Answer(text, vars(analysis))
