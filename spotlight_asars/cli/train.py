"""``train``: events become a model file."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from spotlight_asars import ASARSSequenceModel
from spotlight_asars.cli.answers import Answer
from spotlight_asars.cli.arguments import add_cuda, add_events, add_model, add_sessions
from spotlight_asars.cli.options import add_options, option_help, read_options
from spotlight_asars.cli.reading import read_training_sessions
from spotlight_asars.cli.writing import check_place

PURPOSE = "train a model on a log, and write it to one file"
EPILOG = f"""\
EVENTS may also be a folder that prepare --sessions wrote.

{option_help()}

examples:
  spotlight-asars train train.parquet --model shop.safetensors
  spotlight-asars train train.parquet --model shop.safetensors --validation 0.1 --set patience=3 --set n_iter=50
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_events(parser)
    add_model(parser, "to write; replaced if it is there")
    add_sessions(parser)
    parser.add_argument(
        "--validation",
        type=float,
        metavar="SHARE",
        help="of the sessions, the latest, held out to keep the best epoch by; default none",
    )
    add_options(parser)
    add_cuda(parser)


def run(args: argparse.Namespace) -> Answer:
    """Run the command."""
    options = read_options(args.set, args.cuda)
    check_place(args.model, "--model")
    sessions = read_training_sessions(args)
    start = time.perf_counter()
    model = ASARSSequenceModel(**options).fit(sessions, verbose=not args.quiet, validation=args.validation)
    seconds = time.perf_counter() - start
    _save(model, args.model)
    losses = [epoch.loss for epoch in model.epochs]
    validation = [epoch.validation for epoch in model.epochs]
    last = f", loss {losses[-1]:.4f} in the last" if losses else ""
    text = f"{len(sessions):,} sessions, {len(losses)} epochs in {seconds:.1f} s{last}; model in {args.model}"
    data = {
        "model": str(args.model),
        "sessions": len(sessions),
        "events": len(sessions.items),
        "items": sessions.num_items - 1,
        "users": sessions.num_users,
        "loss": losses,
        "validation": validation,
        "seconds": seconds,
    }
    return Answer(text, data)


def _save(model: ASARSSequenceModel, path: Path) -> None:
    """Write the model; where that fails, write it to a temporary place, so that the training is not lost."""
    try:
        model.save(path)
    except OSError as error:
        saved = Path(tempfile.mkdtemp(prefix="spotlight-asars-")) / path.name
        model.save(saved)
        raise OSError(f"{error}. The model is in {str(saved)!r}") from error
