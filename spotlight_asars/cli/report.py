"""``report``: train and test events become one page to look at."""

from __future__ import annotations

import argparse
from pathlib import Path

from spotlight_asars import ASARSSequenceModel, to_sessions
from spotlight_asars.analysis import analyse
from spotlight_asars.analysis.plots import plot_analysis
from spotlight_asars.baselines import BASELINES
from spotlight_asars.cli.answers import Answer
from spotlight_asars.cli.arguments import add_cuda, add_events, add_sessions
from spotlight_asars.cli.options import add_options, option_help, read_options
from spotlight_asars.cli.reading import read_log
from spotlight_asars.cli.reporting.contents import OURS, examples, measure
from spotlight_asars.cli.reporting.page import write_page
from spotlight_asars.cli.writing import check_place

PURPOSE = "write one html page: what is in a log, how the model and baselines do on it, and what it recommends"
EPILOG = f"""\
The page is one file that needs nothing else. The model is trained on EVENTS, or read with --model, which was then
trained on them; the baselines are always trained. The test is ranked among all items that are in EVENTS.

{option_help()}

example:
  spotlight-asars report train.parquet test.parquet --output report.html
"""
COMPARED = "most_popular,sequential_rules,vstan"  # a floor, simple counts, and neighbours


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_events(parser)
    parser.add_argument("test", metavar="TEST", help="events after those to train on, in the same columns")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="html file; replaced if it is there")
    parser.add_argument("--model", type=Path, metavar="FILE", help="trained on EVENTS before; by default it is trained")
    parser.add_argument("-k", type=int, default=20, metavar="N", help="cut-off of the metrics; default 20")
    parser.add_argument(
        "--baselines", default=COMPARED, metavar="NAME,NAME", help=f"to compare with; default {COMPARED}"
    )
    parser.add_argument("--category", metavar="COL", help="category of the item; default none")
    parser.add_argument("--title", default="Next items", help="of the page; default 'Next items'")
    add_sessions(parser)
    add_options(parser)
    add_cuda(parser)


def run(args: argparse.Namespace) -> Answer:
    """Run the command."""
    options, names = read_options(args.set, args.cuda), [name for name in args.baselines.split(",") if name]
    check_place(args.output, "--output", (".html", ".htm"))
    unknown = [name for name in names if name not in BASELINES]
    if unknown:
        raise ValueError(f"--baselines must be of {sorted(BASELINES)}; got {unknown[0]!r}")
    train = read_log(args)
    analysis = analyse(train, args.inactivity)
    plot_analysis(analysis)  # it fails before the work starts where matplotlib is missing
    sessions = to_sessions(train, args.inactivity, args.max_length)
    model = (
        ASARSSequenceModel(**options).fit(sessions, verbose=not args.quiet)
        if args.model is None
        else ASARSSequenceModel.load(args.model, use_cuda=args.cuda)
    )
    args.events = args.test
    log = read_log(args, model).encode_like(model)
    test = to_sessions(log, args.inactivity, args.max_length)
    models = {OURS: model, **{name: BASELINES[name]().fit(sessions) for name in names}}
    categories = train if args.category is not None else None
    findings = measure(models, sessions, test, args.k, categories)
    shown = examples(model, test, findings.reports[OURS])
    write_page(args.output, args.title, analysis, findings, model.memory_weights(), shown, log.dropped)
    data = {
        "file": str(args.output),
        "metrics": {name: dict(report) for name, report in findings.reports.items()},
        "comparisons": {name: one._asdict() for name, one in findings.comparisons.items()},
        "targets": findings.targets,
    }
    best = max(findings.reports, key=lambda name: findings.reports[name][f"mrr@{args.k}"])
    return Answer(f"{findings.targets:,} targets of {len(test):,} sessions, best {best}; page in {args.output}", data)
