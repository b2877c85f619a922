"""How fast is exact evaluation, which ranks every item, beside Spotlight's ``sequence_mrr_score``?

Our model is scored by both, and both give the same numbers; Spotlight's takes one row at a time. Spotlight's own LSTM
is scored by Spotlight's for comparison. In processor time of one thread, per row or target that is ranked.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from click_sessions import click_sessions, padded_rows, targets
from results import Result, per_second, print_results, threads
from timing import interleaved
from training import our_model, spotlight_model

from spotlight_asars._spotlight import spotlight_sequence_mrr_score
from spotlight_asars.evaluation import evaluate, sequence_mrr_score

CLOSE = 1e-6
SMALL = {"rows": 40, "sample": 10, "num_items": 60, "repeats": 1}
MODELS = {"no memories": {"history": False, "transitions": False}, "both memories": {}}


def measure(rows: int = 2_000, sample: int = 100, num_items: int = 30_000, repeats: int = 3) -> list[Result]:
    """Results for models without and with memories; Spotlight's function is asked for the first rows only.

    Raises
    ------
    AssertionError
        If the two give different numbers.
    """
    test, train = click_sessions(rows, num_items, random_state=1), click_sessions(rows, num_items)
    few = test.take(np.arange(sample))
    spotlight, its_rows = spotlight_model(), padded_rows(few)
    spotlight.fit(padded_rows(train.take(np.arange(sample))))
    results = []
    for name, options in MODELS.items():
        model = our_model(**options).fit(train)
        one, all_at_once = spotlight_sequence_mrr_score(model, few), sequence_mrr_score(model, test)
        np.testing.assert_allclose(one, all_at_once[:sample], atol=CLOSE, rtol=0)
        work: dict[str, Callable[[], Any]] = {
            "ours": partial(sequence_mrr_score, model, test),
            "every": partial(evaluate, model, test),
            "theirs": partial(spotlight_sequence_mrr_score, model, few),
            "lstm": partial(spotlight_sequence_mrr_score, spotlight, its_rows),
        }
        with threads(1):
            seconds = {key: run.cpu for key, run in interleaved(work, repeats).items()}
        counts = {"ours": rows, "every": targets(test), "theirs": sample, "lstm": sample}
        rate = {key: counts[key] / seconds[key] for key in seconds}
        what = f"{{}}, gru4rec, {name}; {num_items:,} items, {{:,}} ranked".format
        last, every = what("sequence_mrr_score", rows), what("evaluate", counts["every"])
        for text, against, key, other, target in (
            (last, "Spotlight's function, same model and numbers", "ours", "theirs", ">= 100"),
            (last, "Spotlight's function and lstm", "ours", "lstm", ""),
            (every, "Spotlight's function, same model", "every", "theirs", ""),
        ):
            shown = per_second(rate[key], 1), per_second(rate[other], 1)
            results.append(Result(text, against, *shown, rate[key] / rate[other], target))
    return results


def main(argv: Sequence[str] | None = None) -> None:
    """Print rows per second of both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000)
    parser.add_argument("--sample", type=int, default=100, help="rows that Spotlight's function is asked for")
    parser.add_argument("--items", type=int, default=30_000, dest="num_items")
    parser.add_argument("--repeats", type=int, default=3)
    print_results(measure(**vars(parser.parse_args(argv))), "scipy")


if __name__ == "__main__":
    main()
