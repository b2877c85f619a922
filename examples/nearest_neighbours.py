"""Retrieve, then rank: an index of nearest neighbours proposes items, the model with its memory ranks them.

    pip install 'spotlight-asars[neighbours]'
    python examples/nearest_neighbours.py --events clicks.csv.gz

A score is the dot product of a session's query and an item's vector, but for the memory's terms. So an index finds the
best items without scoring the catalogue, which pays where it has a million items. Without ``--events`` the log is
synthetic, and small: here the index is to be seen working, not winning.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from usearch.index import Index

from spotlight_asars import ASARSSequenceModel, to_sessions
from spotlight_asars.datasets.synthetic import generate_sessions
from spotlight_asars.events import EventLog

SEED = 0
ONE_BY_ONE = 100  # sessions that are ranked one by one, as when serving


def overlap(near: np.ndarray, exact: np.ndarray) -> float:
    """Mean share of the exact items that are among the near ones."""
    shares = [len(np.intersect1d(ours, theirs)) / len(theirs) for ours, theirs in zip(near, exact, strict=True)]
    return float(np.mean(shares))


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", metavar="FILE", help="csv, csv.gz or parquet file of one event a row")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--candidates", type=int, default=100, help="items that the index proposes for a session")
    parser.add_argument("--top", type=int, default=20, help="items that are recommended in the end")
    args = parser.parse_args(argv)

    if args.events is None:
        log = generate_sessions(num_items=1000, repeat_effect=0.1, random_state=SEED)
    else:
        log = EventLog.read(args.events).collapse_repeats().filter_support(item=5, session=2)
    train_log, test_log = log.split_by_time(test_fraction=0.15)
    test = to_sessions(test_log)
    model = ASARSSequenceModel(n_iter=args.epochs, random_state=SEED).fit(to_sessions(train_log))
    print(f"train {train_log}\ntest  {test_log}, {len(test)} sessions")
    print(f"seed {SEED}, torch {torch.__version__}\n")

    vectors = model.item_matrix()
    index = Index(ndim=vectors.shape[1], metric="ip", dtype="f32")
    index.add(np.arange(1, len(vectors)), vectors[1:])  # 0 is padding
    queries = model.queries(test)

    start = time.perf_counter()
    proposed = np.atleast_2d(index.search(queries, args.candidates).keys).astype(np.int64)
    by_index = time.perf_counter() - start
    start = time.perf_counter()
    by_product = np.argsort(-(queries @ vectors[1:].T), axis=1)[:, : args.top] + 1
    exactly = time.perf_counter() - start
    near = overlap(proposed[:, : args.top], by_product)
    print(f"{near:6.1%} of the {args.top} nearest items are the first {args.top} that the index proposes")
    print(f"       {by_index * 1e3:.0f} ms by the index, {exactly * 1e3:.0f} ms by all products\n")

    alone = test.take(np.arange(min(ONE_BY_ONE, len(test))))
    whole = model.recommend(alone, k=args.top).items
    ranked = np.zeros_like(whole)
    for row, items in enumerate(proposed[: len(alone)]):
        viewed = alone.take(np.array([row]))
        candidates = np.union1d(items, model.remembered(viewed)[0])  # the memory may raise what no product does
        best = model.recommend(viewed, k=args.top, candidates=candidates).items[0]
        ranked[row, : len(best)] = best
    print(
        f"{overlap(ranked, whole):6.1%} of the {args.top} recommendations are found among {args.candidates} candidates"
    )


if __name__ == "__main__":
    main()
