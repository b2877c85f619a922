"""SASRec against the lists of RecTools itself, and the error where RecTools is not installed."""

from __future__ import annotations

import logging
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from contracts_baselines import ITEMS, random_sessions

from spotlight_asars import SessionInteractions
from spotlight_asars.baselines import SASRec
from spotlight_asars.evaluation import evaluate
from spotlight_asars.recommending import NEVER

SMALL = {"embedding_dim": 8, "num_heads": 2, "n_iter": 2, "batch_size": 16, "random_state": 0}

needs_rectools = pytest.mark.skipif(not find_spec("rectools"), reason="needs rectools")


@pytest.fixture(scope="module")
def model():
    return SASRec(**SMALL, max_sequence_length=4).fit(random_sessions())


@needs_rectools
def test_its_lists_are_those_of_rectools(model):
    import pandas as pd
    from rectools import Columns
    from rectools.dataset import Dataset

    rows = [row[row > 0] for row in random_sessions(seed=3).sequences]
    events = pd.DataFrame(
        [(user, item, 1.0, step) for user, row in enumerate(rows) for step, item in enumerate(row)],
        columns=[Columns.User, Columns.Item, Columns.Weight, Columns.Datetime],
    )
    events[Columns.Datetime] = events[Columns.Datetime].astype("datetime64[s]")
    theirs = model.sasrec.recommend(np.arange(len(rows)), Dataset.construct(events), k=5, filter_viewed=False)
    ours = model.recommend([row.tolist() for row in rows], k=5)
    np.testing.assert_array_equal(ours.items.ravel(), theirs[Columns.Item])
    np.testing.assert_allclose(ours.scores.ravel(), theirs[Columns.Score], rtol=1e-4, atol=1e-5)


@needs_rectools
def test_only_the_latest_events_count(model):
    np.testing.assert_array_equal(model.predict([9, 5, 3, 1, 2]), model.predict([7, 5, 3, 1, 2]))
    assert not np.array_equal(model.predict([9, 3, 1, 2]), model.predict([7, 3, 1, 2]))


@needs_rectools
def test_the_default_length_is_that_of_99_in_100_sessions():
    rows = [[1, 2, 3]] * 99 + [[1, 2, 3, 4, 5]]
    sessions = SessionInteractions.from_ragged(np.concatenate(rows), np.cumsum([0, *map(len, rows)]), None, ITEMS)
    assert SASRec(**SMALL).fit(sessions).sasrec.session_max_len == 3
    assert SASRec(**SMALL, max_sequence_length=9).fit(sessions).sasrec.session_max_len == 5


@needs_rectools
def test_items_without_a_session_of_two_are_excluded():
    model = SASRec(**SMALL).fit(SessionInteractions([[1, 2], [2, 3], [0, 4]]))
    assert model.predict([1])[4] == np.float32(NEVER)
    for viewed, known in (([4, 1], [1]), ([1, 4], [1]), ([3, 4, 1], [3, 1])):
        np.testing.assert_array_equal(model.predict(viewed), model.predict(known))


@needs_rectools
def test_it_learns_a_cycle():
    rows = (np.arange(200)[:, None] + np.arange(6)) % (ITEMS - 1) + 1
    model = SASRec(embedding_dim=16, n_iter=20, learning_rate=0.01, random_state=0).fit(SessionInteractions(rows))
    assert evaluate(model, SessionInteractions(rows[:20]), k=1)["recall@1"] > 0.9


@needs_rectools
def test_the_callers_generator_and_loggers_stay_as_they_were(monkeypatch):
    torch.manual_seed(7)
    wanted, logger = torch.rand(3), logging.getLogger("pytorch_lightning")
    torch.manual_seed(7)
    monkeypatch.setattr(logger, "level", logging.DEBUG)
    SASRec(**SMALL).fit(random_sessions())
    assert torch.equal(torch.rand(3), wanted)
    assert logger.level == logging.DEBUG


@needs_rectools
def test_sessions_of_one_event_are_refused():
    with pytest.raises(
        ValueError, match="interactions must have a session of two events or more; the longest has; got 1"
    ):
        SASRec(**SMALL).fit(SessionInteractions([[1], [2]]))


@pytest.mark.skipif(bool(find_spec("rectools")), reason="rectools is installed")
def test_without_rectools_the_message_says_how_to_install_it():
    with pytest.raises(ImportError, match=r"SASRec needs rectools; pip install 'spotlight-asars\[sasrec\]' brings it"):
        SASRec().fit(random_sessions())
