"""Logs, sessions and models from the files that the arguments name."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from spotlight_asars import ASARSSequenceModel, EventLog, SessionInteractions, to_sessions
from spotlight_asars._checks import require
from spotlight_asars.cli.arguments import DWELL, SESSION, UsageError
from spotlight_asars.datasets import DATASETS, fetch
from spotlight_asars.events.reading import read_frame
from spotlight_asars.events.vocabulary import Vocabulary
from spotlight_asars.preparation import SessionShards
from spotlight_asars.preparation.manifest import MANIFEST

RULES = ("candidates", "exclude", "boosts")


def read_log(args: argparse.Namespace, model: ASARSSequenceModel | None = None) -> EventLog:
    """The log of EVENTS or ``--dataset``; ids of a csv file stay text with ``--text-ids`` or where the model's are."""
    dataset = getattr(args, "dataset", None)
    if dataset is not None:
        path = args.events or fetch(dataset, progress=not args.quiet)
        return DATASETS[dataset](path, partial=args.partial)
    if args.events is None:
        raise UsageError("EVENTS must name a file")
    text = [args.user, args.item] if args.text_ids else []
    if model is not None:
        text += [args.user] if is_text(model.user_vocabulary) else []
        text += [args.item] if is_text(model.item_vocabulary) else []
    columns = {"user": args.user, "item": args.item, "timestamp": args.timestamp}
    columns |= {"dwell": args.dwell or DWELL, "session": args.session or SESSION}
    columns |= {"category": getattr(args, "category", None), "kind": args.kind}
    context = {f"context {place}": name for place, name in enumerate(args.context)}
    frame = read_frame(args.events, {**columns, **context}, text)
    asked = {name for name in columns if getattr(args, name, None) is not None}
    found = {name: column for name, column in columns.items() if name in asked or column in frame.columns}
    return EventLog.from_frame(frame, **found, unit=args.unit, context=args.context)


def read_training_sessions(args: argparse.Namespace) -> SessionInteractions:
    """The sessions of EVENTS, files of events or a folder that ``prepare --sessions`` wrote."""
    if (Path(args.events).expanduser() / MANIFEST).is_file():
        return SessionShards(args.events).read()
    return to_sessions(read_log(args), args.inactivity, args.max_length)


def read_model(args: argparse.Namespace) -> ASARSSequenceModel:
    """The model of the file ``--model``, on the GPU with ``--cuda``."""
    return ASARSSequenceModel.load(args.model, use_cuda=getattr(args, "cuda", False))


def is_text(vocabulary: Vocabulary | None) -> bool:
    """Whether raw ids are strings."""
    return vocabulary is not None and vocabulary.raw.dtype.kind not in "iu"


def read_ids(texts: list[str], vocabulary: Vocabulary | None, argument: str) -> list[Any]:
    """Ids of the command line in the type of those in the vocabulary."""
    if is_text(vocabulary):
        return list(texts)
    try:
        return [int(text) for text in texts]
    except ValueError:
        raise TypeError(f"{argument} must be integers, as in training; got {','.join(texts)!r}") from None


def read_rules(args: argparse.Namespace, vocabulary: Vocabulary | None) -> dict[str, Any]:
    """``candidates``, ``exclude`` and ``boosts`` of the command line, as ``recommend`` takes them."""
    texts = {name: getattr(args, name) for name in RULES if getattr(args, name) is not None}
    if args.rules is not None:
        require(not texts, "--rules must stand without --candidates, --exclude and --boosts", ",".join(texts))
        return _rules_of_file(args.rules, vocabulary)
    rules: dict[str, Any] = {
        name: read_ids(text.split(","), vocabulary, f"--{name}") for name, text in texts.items() if name != "boosts"
    }
    if "boosts" in texts:
        pairs = [text.rpartition("=") for text in texts["boosts"].split(",")]
        try:
            values = [float(value) for _, _, value in pairs]
        except ValueError:
            raise UsageError(f"--boosts must be ID=X,ID=X with numbers X; got {texts['boosts']!r}") from None
        rules["boosts"] = dict(
            zip(read_ids([item for item, _, _ in pairs], vocabulary, "--boosts"), values, strict=True)
        )
    return rules


def _rules_of_file(path: Path, vocabulary: Vocabulary | None) -> dict[str, Any]:
    try:
        rules = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"--rules must be a json file; got {str(path)!r}: {error}") from None
    require(isinstance(rules, dict), "--rules must have an object", type(rules).__name__)
    require(set(rules) <= set(RULES), f"--rules must have an object of {list(RULES)}", sorted(rules))
    boosts = rules.get("boosts")
    if isinstance(boosts, dict):  # whose names are strings in json, whatever the ids are
        rules["boosts"] = dict(zip(read_ids(list(boosts), vocabulary, "--rules"), boosts.values(), strict=True))
    return {name: rule for name, rule in rules.items() if rule is not None}
