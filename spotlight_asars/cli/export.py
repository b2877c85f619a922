"""``export``: a model file becomes a graph for other programs."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from spotlight_asars._checks import require
from spotlight_asars.cli.answers import Answer
from spotlight_asars.cli.arguments import add_model
from spotlight_asars.cli.reading import read_model
from spotlight_asars.cli.writing import TABLES, check_place, write_table

PURPOSE = "write the scores of a model as a graph that needs neither this package nor, as ONNX, torch"
EPILOG = """\
The graph speaks contiguous ids, items from 1; --ids writes which raw id each of them is. Its scores are those of the
model, with all memories; what a user viewed before is an input, which the model's history_inputs fills.

example:
  spotlight-asars export --model shop.safetensors --output shop.onnx --ids items.csv
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_model(parser, "to read")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="the graph; replaced if it is there")
    parser.add_argument("--format", default="onnx", help="onnx, for an ONNX runtime, or torch; default onnx")
    parser.add_argument("--gives", default="scores", help="scores, or query, for an index of items; default scores")
    parser.add_argument("--top-k", type=int, metavar="K", help="give the K best items alone; default all scores")
    memories = "comma-separated, of history, transitions, neighbours, or none; default all"
    parser.add_argument("--memories", metavar="NAMES", help=memories)
    parser.add_argument("--ids", type=Path, metavar="FILE", help="csv, parquet or json of the items' ids; default none")


def run(args: argparse.Namespace) -> Answer:
    """Run the command."""
    check_place(args.output, "--output")
    check_place(args.ids, "--ids", (*TABLES, ".json"))
    model = read_model(args)
    vocabulary = model.item_vocabulary
    knows = args.ids is None or vocabulary is not None
    require(knows, "--ids must come with a model that knows raw ids, as one that train wrote", str(args.model))
    memories = args.memories is None or [name for name in args.memories.split(",") if name != "none"]
    model.export(args.output, args.format, args.gives, top_k=args.top_k, memories=memories)
    text = f"{args.gives} of {model.num_items - 1:,} items as {args.format} in {args.output}"
    if args.ids is not None and vocabulary is not None:
        numbers = np.arange(vocabulary.first, vocabulary.first + len(vocabulary))
        write_table({"number": numbers, "item_id": vocabulary.raw}, args.ids)
        text += f", ids in {args.ids}"
    data = {"file": str(args.output), "format": args.format, "gives": args.gives, "items": model.num_items - 1}
    return Answer(text, data)
