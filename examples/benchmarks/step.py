"""A training step beside its bare parts: embeddings, ``nn.LSTM``, one product, the hinge, a step of Adagrad."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
import torch.nn.functional as F
from data import click_sessions
from harness import Comparison
from numpy.random import RandomState
from speed import BATCH, DIM, PLAIN, our_model
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from spotlight_asars.sessions.batching import SessionsOnDevice
from spotlight_asars.sessions.passes import training_batches

NEGATIVES = 256


class BareNet(nn.Module):
    """The weights of ``gru4rec``, and the hinge loss of a mini-batch whose rows are padded from the right."""

    def __init__(self, num_items: int) -> None:
        super().__init__()
        self.items, self.biases = nn.Embedding(num_items, DIM), nn.Embedding(num_items, 1)
        self.rnn, self.output = nn.LSTM(DIM, DIM, batch_first=True), nn.Linear(DIM, DIM)

    def forward(self, items: Tensor, negatives: Tensor, packed: bool) -> Tensor:
        viewed, following, real = items[:, :-1], items[:, 1:], items[:, 1:] != 0
        if packed:
            rows, ids = (pack_padded_sequence(i, real.sum(1), True, enforce_sorted=False) for i in (viewed, following))
            hidden, following = self.rnn(rows._replace(data=self.items(rows.data)))[0].data, ids.data
        else:
            hidden, following = self.rnn(self.items(viewed))[0][real], following[real]
        query = self.output(hidden)  # (targets, dim)
        positive = (query * self.items(following)).sum(1) + self.biases(following).squeeze(1)
        negative = F.linear(query, self.items(negatives), self.biases(negatives).squeeze(1))
        return F.relu(1 - positive.unsqueeze(1) + negative).mean()


def step(sessions: int = 10_240, num_items: int = 30_000) -> Iterator[Comparison]:
    """What does a training step cost beyond its bare parts?

    These have mini-batches and negatives ready; ours makes the batches, draws, and sets up in every epoch.
    """
    log, random = click_sessions(sessions, num_items), RandomState(0)
    on_device = SessionsOnDevice(log, torch.device("cpu"))
    batches = [batch.items for batch in training_batches(log, BATCH, on_device, random)]
    batches = [items.gather(1, (items == 0).int().argsort(dim=1, stable=True)) for items in batches]  # events first
    drawn = torch.from_numpy(random.randint(1, num_items, (len(batches), NEGATIVES)))

    def epoch(net: BareNet, optimizer: torch.optim.Optimizer, packed: bool) -> None:
        for items, negatives in zip(batches, drawn, strict=True):
            optimizer.zero_grad()
            net(items, negatives, packed).backward()
            optimizer.step()

    fits = {"ours": partial(our_model(num_negative_samples=NEGATIVES, **PLAIN).fit, log)}
    for name, packed in (("bare parts, packed", True), ("bare parts, padded", False)):
        net = BareNet(num_items)
        fits[name] = partial(epoch, net, torch.optim.Adagrad(net.parameters(), lr=0.05), packed)
    work = {name: (fit, len(batches)) for name, fit in fits.items()}
    pairs = {("ours", name): "<= 1.25" for name in list(work)[1:]}
    yield Comparison(f"training step, {num_items:,} items, batches of {BATCH}", "ms", work, pairs)
