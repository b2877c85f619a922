"""Speed: training, exact ranking, triangle attention and single recommendations, each beside something plain."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import cycle
from typing import Any

import numpy as np
import torch
from data import click_sessions, padded_rows, targets
from harness import Comparison
from numpy.random import RandomState
from torch import Tensor

from spotlight_asars import ASARSSequenceModel
from spotlight_asars._spotlight import ImplicitSequenceModel, spotlight_sequence_mrr_score
from spotlight_asars.evaluation import evaluate, sequence_mrr_score
from spotlight_asars.representations.attention import triangle_attention

BATCH, DIM = 256, 64
NO_MEMORIES = {"history": False, "transitions": False, "neighbours": False, "item_neighbours": 0}
HINGE = {"loss": "hinge", "dropout": 0.0}
PLAIN = {**HINGE, **NO_MEMORIES, "hidden_dim": DIM}
LSTM, LIKE_FOR_LIKE, GRU4REC = "Spotlight's lstm", "gru4rec, hinge, like for like", "gru4rec, hinge, state of 100"
TRAINED: dict[str, dict[str, Any]] = {
    LIKE_FOR_LIKE: PLAIN,
    GRU4REC: {**PLAIN, "hidden_dim": 100},
    "time_user, hinge, state of 100": {**PLAIN, "hidden_dim": 100, "representation": "time_user"},
    "gru4rec, hinge, history and transitions": {**HINGE, "neighbours": False, "item_neighbours": 0},
    "gru4rec, hinge, all memories and the item graph": HINGE,
    "the defaults": {},
}
LIVE_EVENTS = 20  # of a live session, after which a new one starts


def our_model(**options: Any) -> ASARSSequenceModel:
    """A model that trains one epoch in each call of ``fit``."""
    return ASARSSequenceModel(**{"n_iter": 1, "batch_size": BATCH, "embedding_dim": DIM, "random_state": 0, **options})


def spotlight_lstm() -> ImplicitSequenceModel:
    """The same of Spotlight."""
    options = {"embedding_dim": DIM, "batch_size": BATCH, "n_iter": 1, "random_state": RandomState(0)}
    return ImplicitSequenceModel(loss="hinge", representation="lstm", **options)


def training(sessions: int = 20_480, catalogues: Sequence[int] = (30_000, 3_000)) -> Iterator[Comparison]:
    """How many targets are trained on in a second, beside Spotlight's LSTM, and with channels beside without?

    Spotlight trains on rows padded to 50 positions with a negative each; we on trimmed rows with negatives that a batch
    shares.
    """
    for num_items in catalogues:
        log = click_sessions(sessions, num_items)
        fits = {name: partial(our_model(**options).fit, log) for name, options in TRAINED.items()}
        fits[LSTM] = partial(spotlight_lstm().fit, padded_rows(log))
        work = {name: (fit, targets(log)) for name, fit in fits.items()}
        pairs = {**{(name, LSTM): "" for name in TRAINED}, (list(TRAINED)[2], GRU4REC): ">= 0.8"}
        pairs[LIKE_FOR_LIKE, LSTM] = ">= 10" if num_items >= 30_000 else ">= 6"
        yield Comparison(f"training, {num_items:,} items", "targets/s", work, pairs)


def ranking(rows: int = 2_000, sample: int = 100, num_items: int = 30_000) -> Iterator[Comparison]:
    """How fast is exact ranking, beside Spotlight's ``sequence_mrr_score``, which takes one row at a time?"""
    test, train = click_sessions(rows, num_items, seed=1), click_sessions(rows, num_items)
    few = test.take(np.arange(sample))
    for memories, options in (("no memories", NO_MEMORIES), ("all memories", {})):
        model = our_model(**options).fit(train)
        same = spotlight_sequence_mrr_score(model, few), sequence_mrr_score(model, test)[:sample]
        np.testing.assert_allclose(*same, atol=1e-6, rtol=0)
        ours, every, theirs = "sequence_mrr_score", "evaluate", "Spotlight's sequence_mrr_score, same model"
        product, matrix = "the scores' matrix product alone", torch.from_numpy(model.item_matrix()).T
        queries = torch.randn(128, len(matrix))
        work = {
            ours: (partial(sequence_mrr_score, model, test), rows),
            every: (partial(evaluate, model, test), targets(test)),
            theirs: (partial(spotlight_sequence_mrr_score, model, few), sample),
            product: (partial(torch.mm, queries, matrix, out=torch.empty(128, matrix.shape[1])), 128),
        }
        pairs = {(ours, theirs): ">= 100", (product, theirs): "", (every, theirs): ""}
        yield Comparison(f"ranking, {num_items:,} items, {memories}", "ranks/s", work, pairs)


def triangle(length: int = 4_000) -> Iterator[Comparison]:
    """Is triangle attention linear in the length, and how much faster than the n x n triangle of scores (eq. 18)?"""
    work = {
        "linear": (attention_run(triangle_attention, length), length),
        "n x n": (attention_run(full_triangle, length), length),
        "linear, a tenth": (attention_run(triangle_attention, length // 10), length // 10),
    }
    ours, full, short = work
    what = f"triangle attention forward and backward, length {length:,}"
    yield Comparison(what, "positions/s", work, {(ours, full): ">= 50", (ours, short): ">= 0.83"})


def full_triangle(score: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    """The same by a softmax over each row of a masked matrix (batch, time, time)."""
    seen = torch.ones(score.shape[1], score.shape[1], dtype=torch.bool).tril() & mask.unsqueeze(1)
    return torch.bmm(score.unsqueeze(1).expand_as(seen).masked_fill(~seen, -torch.inf).softmax(dim=2), value)


def attention_run(attention: Callable[..., Tensor], length: int) -> Callable[[], Any]:
    """A run of `attention` on rows without padding, and back through it."""
    score, value = torch.randn(4, length, requires_grad=True), torch.randn(4, length, 100, requires_grad=True)
    mask = torch.ones(4, length, dtype=torch.bool)
    return lambda: torch.autograd.grad(attention(score, value, mask).sum(), (score, value))


def latency(sessions: int = 200_000, catalogues: Sequence[int] = (30_000, 1_000_000)) -> Iterator[Comparison]:
    """How long does one recommendation take (median / 95th percentile), beside the bare product and its top k?"""
    for num_items in catalogues:
        work = {name: (run, 1) for name, run in recommendations(sessions, num_items).items()}
        *ours, bare = work
        yield Comparison(f"recommending, {num_items:,} items", "ms", work, {(name, bare): "" for name in ours})


def recommendations(sessions: int, num_items: int, k: int = 20) -> dict[str, Callable[[], Any]]:
    """Calls that each give one more answer, of a model that is not trained: its weights change no time."""
    log = click_sessions(sessions, num_items)
    model = our_model(n_iter=0).fit(log)
    matrix, query = torch.from_numpy(model.item_matrix()), torch.ones(1, model.item_matrix().shape[1])
    rows, clicks, live = cycle(range(min(1000, len(log)))), cycle(log.items[:10_000].tolist()), [model.start_session(0)]

    def one_session() -> Any:
        row = next(rows)
        return model.recommend(log.items[log.offsets[row] : log.offsets[row + 1]], k, user_ids=int(log.user_ids[row]))

    def one_event() -> Any:
        if len(live[0]) == LIVE_EVENTS:
            live[0] = model.start_session(0)
        return live[0].append(next(clicks)).recommend(k)

    calls = {"one session": one_session, "one event of a live session": one_event}
    return {**calls, "product and top k": lambda: (query @ matrix.T).topk(k)}
