"""What does a training step cost beyond its bare parts?

The bare parts are a look-up of embeddings, ``nn.LSTM`` forth and back, one matrix product of states and negatives, the
hinge, and a step of Adagrad on weights of the same sizes: with mini-batches and negatives that are made beforehand.
They are the same mini-batches, once packed by ``pack_padded_sequence``, once padded to the longest of the batch.
Ours is an epoch of ``fit``, which also makes the batches, draws, and sets up. In processor time of one thread.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from click_sessions import click_sessions
from numpy.random import RandomState
from results import Result, print_results, threads
from timing import interleaved
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence
from training import BATCH, DIM, PLAIN, our_model

from spotlight_asars import SessionInteractions
from spotlight_asars.sessions.batching import training_batches

NEGATIVES = 256
SMALL = {"sessions": 60, "num_items": 40, "repeats": 1}


class Prepared(NamedTuple):
    """A mini-batch, ready to be read.

    viewed : int64 (batch, time), padded with 0 from the right
    packed : the same, packed
    real : bool (batch, time)
    next_items, next_packed : int64 (targets,), what follows each event, in the order of `viewed` and of `packed`
    negatives : int64 (neg,)
    """

    viewed: Tensor
    packed: PackedSequence
    real: Tensor
    next_items: Tensor
    next_packed: Tensor
    negatives: Tensor


class BareNet(nn.Module):
    """The weights of ``gru4rec``."""

    def __init__(self, num_items: int) -> None:
        super().__init__()
        self.items, self.biases = nn.Embedding(num_items, DIM), nn.Embedding(num_items, 1)
        self.rnn, self.output = nn.LSTM(DIM, DIM, batch_first=True), nn.Linear(DIM, DIM)

    def loss(self, batch: Prepared, packed: bool) -> Tensor:
        """Hinge of each target against all negatives."""
        if packed:
            hidden = self.rnn(batch.packed._replace(data=self.items(batch.packed.data)))[0].data
            following = batch.next_packed
        else:
            hidden = self.rnn(self.items(batch.viewed))[0][batch.real]
            following = batch.next_items
        query = self.output(hidden)  # (targets, dim)
        positive = (query * self.items(following)).sum(1) + self.biases(following).squeeze(1)
        negative = F.linear(query, self.items(batch.negatives), self.biases(batch.negatives).squeeze(1))
        return F.relu(1 - positive.unsqueeze(1) + negative).mean()


def prepared(log: SessionInteractions, random_state: RandomState) -> list[Prepared]:
    """The mini-batches of an epoch."""
    batches = []
    for batch in training_batches(log, BATCH, random_state, torch.device("cpu")):
        lengths = torch.from_numpy(log.lengths[batch.rows])
        from_left = torch.arange(batch.items.shape[1]).expand(batch.items.shape)
        place = (from_left + batch.items.shape[1] - lengths.unsqueeze(1)).clamp(max=batch.items.shape[1] - 1)
        items = batch.items.gather(1, place)  # events first
        viewed, following, real = items[:, :-1], items[:, 1:], from_left[:, 1:] < lengths.unsqueeze(1)

        def pack(rows: Tensor, lengths: Tensor = lengths - 1) -> PackedSequence:
            return pack_padded_sequence(rows, lengths, batch_first=True, enforce_sorted=False)

        viewed = viewed.masked_fill(~real, 0)
        drawn = torch.from_numpy(random_state.randint(1, log.num_items, NEGATIVES))
        batches.append(Prepared(viewed, pack(viewed), real, following[real], pack(following).data, drawn))
    return batches


def measure(sessions: int = 10_240, num_items: int = 30_000, repeats: int = 5) -> list[Result]:
    """A result for each form of the mini-batches."""
    log = click_sessions(sessions, num_items)
    batches = prepared(log, RandomState(0))
    model = our_model(num_negative_samples=NEGATIVES, **PLAIN)
    nets = {form: BareNet(num_items) for form in ("packed", "padded")}

    def epoch(form: str, optimizer: torch.optim.Optimizer) -> None:
        for batch in batches:
            optimizer.zero_grad()
            nets[form].loss(batch, form == "packed").backward()
            optimizer.step()

    optimizers = {form: torch.optim.Adagrad(net.parameters(), lr=0.05) for form, net in nets.items()}
    work: dict[str, Callable[[], Any]] = {form: partial(epoch, form, optimizers[form]) for form in nets}
    work["ours"] = partial(model.fit, log)
    with threads(1):
        for run in work.values():
            run()
        seconds = {name: run.cpu / len(batches) for name, run in interleaved(work, repeats).items()}
    return [
        Result(
            f"a training step; {num_items:,} items, {len(batches)} batches of {BATCH}",
            f"its bare parts, {form}",
            f"{1e3 * seconds['ours']:.1f} ms",
            f"{1e3 * seconds[form]:.1f} ms",
            seconds["ours"] / seconds[form],
            "<= 1.25",
        )
        for form in nets
    ]


def main(argv: Sequence[str] | None = None) -> None:
    """Print the time of a step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=10_240)
    parser.add_argument("--items", type=int, default=30_000, dest="num_items")
    parser.add_argument("--repeats", type=int, default=5)
    print_results(measure(**vars(parser.parse_args(argv))))


if __name__ == "__main__":
    main()
