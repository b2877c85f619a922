"""A small log with odd names, and models that train on it in a blink."""

from __future__ import annotations

import numpy as np
import pandas as pd

from spotlight_asars import ASARSSequenceModel, EventLog, to_sessions
from spotlight_asars.model.building import build_for
from spotlight_asars.recommending.requests import Catalogue


def make_log(seed=0, first=0, items=("ä", "b", "", "dd", "日本", "🐙")):
    """Thirty sessions of four users, with names that UTF-8 finds hard."""
    draw = np.random.RandomState(seed)
    rows = [
        (f"user {draw.randint(4)}", items[draw.randint(len(items))], first + 9000 * session + 60 * step)
        for session in range(30)
        for step in range(3)
    ]
    return EventLog.from_frame(pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]))


def quick(**changes):
    options = {"n_iter": 1, "batch_size": 8, "embedding_dim": 4, "hidden_dim": 5, "user_dim": 3, "time_dim": 3}
    return ASARSSequenceModel(**{**options, "random_state": 0, **changes})


def build(model, sessions):
    """Give a model the fresh net that the first ``fit`` on these sessions would train."""
    model._take(build_for(sessions, model._options), Catalogue.of(sessions))


TRAIN = to_sessions(make_log())
LATER = to_sessions(make_log(seed=1, first=10**6).encode_like(TRAIN)).take(np.arange(12))
