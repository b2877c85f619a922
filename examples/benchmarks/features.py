"""What features of items add to a training step."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import pandas as pd
from data import click_sessions
from harness import Comparison

from spotlight_asars import ASARSSequenceModel, ItemFeatures
from spotlight_asars.events import Vocabulary

CATEGORIES, LENGTH = (30, 1_000), 32  # of two columns of categories; of a vector of text


def features(sessions: int = 10_240, num_items: int = 30_000, epochs: int = 3) -> Iterator[Comparison]:
    """What do two categories, a price and a vector of each item add to the training of the model as it comes?"""
    log, random = click_sessions(sessions, num_items), np.random.RandomState(0)
    log = log.named(Vocabulary(np.arange(log.num_users), 0), Vocabulary(np.arange(1, num_items), 1))
    columns = {f"of {size}": random.randint(size, size=num_items - 1) for size in CATEGORIES}
    table = pd.DataFrame({"item_id": np.arange(1, num_items), "price": random.rand(num_items - 1), **columns})
    table["text"] = list(random.rand(num_items - 1, LENGTH))
    known = ItemFeatures.from_frame(table, categorical=list(columns), numerical=["price"], vectors=["text"])
    options = {"n_iter": epochs, "random_state": 0}
    fits = {
        name: (partial(lambda given: ASARSSequenceModel(**options).fit(log, item_features=given), given), epochs)
        for name, given in (("with features", known), ("without", None))
    }
    what = f"epoch, {num_items:,} items, {sessions:,} sessions"
    yield Comparison(what, "ms", fits, {("with features", "without"): "<= 1.2"})
