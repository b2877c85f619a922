"""Train on several processes of one machine, or of many: each takes its share of every mini-batch.

    torchrun --standalone --nproc-per-node 2 examples/train_distributed.py
    torchrun --standalone --nproc-per-node 4 examples/train_distributed.py --cuda --checkpoint run1 \
        --events clicks.parquet --user visitor --item sku --timestamp unix_time

Without torchrun it trains on one process, and comes to the same scores but for what dropout leaves to chance. With
``--checkpoint``, a run that was killed goes on from there when the same command is given again. Every process reads
the whole log; it is the work of each mini-batch that is shared out.
"""

from __future__ import annotations

import argparse
import os
import time
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

import spotlight_asars
from spotlight_asars import ASARSSequenceModel, EventLog, to_sessions
from spotlight_asars.datasets.synthetic import generate_sessions
from spotlight_asars.evaluation import evaluate
from spotlight_asars.runtime.distributed import process_group, processes


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", metavar="FILE", help="csv, csv.gz or parquet file of one event a row")
    parser.add_argument("--user", default="user_id", metavar="COL", help="who")
    parser.add_argument("--item", default="item_id", metavar="COL", help="what")
    parser.add_argument("--timestamp", default="timestamp", metavar="COL", help="when: seconds, or dates and times")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=256, help="sessions in a mini-batch, of all processes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cuda", action="store_true", help="each process on a GPU of its own")
    parser.add_argument("--checkpoint", metavar="FOLDER", help="one that all processes see")
    parser.add_argument("--every", type=int, metavar="BATCHES", help="checkpoints within an epoch, too")
    return parser.parse_args(argv)


def joined(cuda: bool) -> AbstractContextManager[Any]:
    """Meet the processes that torchrun has started, if it has."""
    if cuda:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
    return process_group("nccl" if cuda else "gloo") if "WORLD_SIZE" in os.environ else nullcontext()


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    with joined(args.cuda):
        run(args)


def run(args: argparse.Namespace) -> None:
    if args.events is None:
        log = generate_sessions(random_state=args.seed)
    else:
        log = EventLog.read(args.events, args.user, args.item, args.timestamp).collapse_repeats().filter_support()
    train_log, test_log = log.split_by_time(test_fraction=0.15)
    train, test = to_sessions(train_log), to_sessions(test_log)

    start = time.perf_counter()
    model = ASARSSequenceModel(
        n_iter=args.epochs, batch_size=args.batch_size, use_cuda=args.cuda, random_state=args.seed
    ).fit(train, verbose=True, checkpoint=args.checkpoint, every=args.every)
    seconds = time.perf_counter() - start
    if processes().rank == 0:  # the others have the same weights
        report = evaluate(model, test, k=20)
        print(f"{'processes':>9}{'MRR@20':>9}{'Recall@20':>11}{'seconds':>9}")
        print(f"{processes().size:9}{report['mrr@20']:9.4f}{report['recall@20']:11.4f}{seconds:9.1f}")
        print(
            f"{len(train)} sessions, {args.epochs} epochs, {args.batch_size} sessions in a mini-batch, "
            f"seed {args.seed}, {spotlight_asars.SPOTLIGHT} Spotlight, torch {torch.__version__}"
        )


if __name__ == "__main__":
    main()
