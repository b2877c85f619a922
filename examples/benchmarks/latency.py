"""How long does one recommendation take, beside the bare product of one vector with all items and its top k?

Asked is a model of default size with both memories, in one thread of one process: for one whole session, and for one
more event of a live one. What it learned does not change its time, so it is left as it was initialized.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from itertools import cycle
from typing import Any

import numpy as np
import torch
from click_log import EVENTS_PER_USER, MEAN_LENGTH
from numpy.random import RandomState
from results import Result, print_results, threads
from timing import Latency, latencies

from spotlight_asars import ASARSSequenceModel, SessionInteractions
from spotlight_asars.recommending.recommendations import Recommendations

BARE = "product and top k alone"
SMALL = {"items": (50,), "events": 300, "calls": 3}
LONGEST_LIVE = 20  # events of a live session, after which a new one begins


def sessions_of(num_items: int, events: int, random_state: int = 0) -> SessionInteractions:
    """Sessions of geometric length on items of Zipf's popularity, below `num_items`."""
    random = RandomState(random_state)
    lengths = 1 + random.geometric(1 / (MEAN_LENGTH - 1), size=max(events // MEAN_LENGTH, 2))
    items = np.exp(random.rand(lengths.sum()) * np.log(num_items - 1)).astype(np.int64)
    items = 1 + items * 15_485_863 % (num_items - 1)  # ranks of popularity do not stand in the order of the ids
    users = np.sort(random.randint(max(events // EVENTS_PER_USER, 1), size=len(lengths)))
    started = np.arange(len(lengths)) * 3600.0
    return SessionInteractions.from_ragged(items, np.r_[0, lengths.cumsum()], users, num_items, started=started)


def contestants(num_items: int, events: int, k: int) -> dict[str, Callable[[], tuple[Any, Any]]]:
    """What is timed, by name: each call answers one more question."""
    sessions = sessions_of(num_items, events)
    model = ASARSSequenceModel(n_iter=0, random_state=0).fit(sessions)
    matrix, query = torch.from_numpy(model.item_matrix()), torch.ones(1, model.item_matrix().shape[1])
    rows = cycle(range(min(1000, len(sessions))))
    clicks, live = cycle(sessions.items[:10_000].tolist()), [model.start_session(0)]

    def asked() -> Recommendations:
        row = next(rows)
        items = sessions.items[sessions.offsets[row] : sessions.offsets[row + 1]]
        return model.recommend(items, k, user_ids=int(sessions.user_ids[row]))

    def stepped() -> Recommendations:
        if len(live[0]) == LONGEST_LIVE:
            live[0] = model.start_session(0)
        return live[0].append(next(clicks)).recommend(k)

    return {
        BARE: lambda: (query @ matrix.T).topk(k),
        "model.recommend, one session": asked,
        "live session, one event and top k": stepped,
    }


def measure(
    items: Sequence[int] = (30_000, 1_000_000), events: int = 1_000_000, calls: int = 500, k: int = 20
) -> list[Result]:
    """Results for each size of the catalogue; `events` are those that the memories hold."""
    with threads(1):
        return [result for size in items for result in _measure(int(size), int(events), calls, k)]


def _measure(size: int, events: int, calls: int, k: int) -> list[Result]:
    found = latencies(contestants(size + 1, events, k), calls)
    bare = found.pop(BARE)

    def told(one: Latency) -> str:
        return f"{one.p50:.2f} / {one.p95:.2f} ms"

    return [
        Result(f"p50 / p95 of {name}; {size:,} items", BARE, told(one), told(bare), one.p50 / bare.p50)
        for name, one in found.items()
    ]


def main(argv: Sequence[str] | None = None) -> None:
    """Print p50 and p95 of each, for catalogues of several sizes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=float, nargs="+", default=[3e4, 1e6])
    parser.add_argument("--events", type=float, default=1e6, help="of training, which the memories hold")
    parser.add_argument("--calls", type=int, default=500, help="of each in turn, after a tenth as many")
    parser.add_argument("--k", type=int, default=20)
    print_results(measure(**vars(parser.parse_args(argv))), "scipy")


if __name__ == "__main__":
    main()
