"""The terms of neighbour sessions, of items that the session itself has viewed, and of what is in demand."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from spotlight_asars import ASARSSequenceModel, SessionInteractions
from spotlight_asars.evaluation import evaluate
from spotlight_asars.memory.neighbour_terms import SCALE, VIEWED_TWICE, CommonTerms, NeighbourTerms, Weights
from spotlight_asars.memory.score_terms import Columns, touched_items
from spotlight_asars.memory.weight_search import USUAL
from spotlight_asars.sessions.channels import Channels, Votes

ITEMS = 6
VOTES = Votes(
    torch.tensor([[2, 3, 2, 0], [5, 0, 0, 0]]),
    torch.tensor([[0.5, 0.1, 0.5, 0.0], [2.0, 0.0, 0.0, 0.0]]),
    torch.tensor([[2.0, 1.0, 2.0, 1.0], [1.0, 3.0, 3.0, 3.0]]),
)
VIEWED = torch.tensor([[1, 0, 4, 1], [0, 3, 2, 4]])
STATES = torch.tensor([0, 1]), torch.tensor([3, 2])  # the last row's next event, 4, is yet to come


class Query:
    demand = torch.tensor([[0.0, 0.5, -1.0, 0.25, 0.0, -0.5], [0.0, 2.0, 0.5, 1.0, 3.0, 0.5]])

    def votes(self, rows, steps):
        return VOTES


def dense(weight, repeats, trend, popularity):
    terms = (trend * Query.demand[0] + popularity * Query.demand[1]).repeat(2, 1)
    terms[[0, 0, 1], [2, 3, 5]] += weight * torch.log1p(SCALE * torch.tensor([0.5, 0.1, 2.0]))
    views = torch.tensor([[0, 1.5, 0, 0, 2, 0], [0, 0, 0.5, 2, 0, 0]])  # the last one is half, the one before it twice
    terms += torch.where(views > 0, repeats * (1 + VIEWED_TWICE * torch.log2(views)), 0.0)
    return terms


def added(parts):
    """All terms on scores of 0."""
    scores = torch.zeros(2, ITEMS)
    for part in parts:
        scores = part.added_to(scores)
    return scores


def test_every_item_has_the_terms_of_the_formula_once_but_not_in_training():
    module = NeighbourTerms().eval()
    module.take(Weights(0.7, 1.5, 0.6, -0.4))
    recalled = module.recall(VIEWED, Channels(neighbours=Query()))
    torch.testing.assert_close(added(module(recalled, torch.zeros(2, 3), *STATES)), dense(0.7, 1.5, 0.6, -0.4))
    assert module.recall(VIEWED, Channels()) is None
    assert module(None, torch.zeros(2, 3), *STATES) == []
    assert module.train()(recalled, torch.zeros(2, 3), *STATES) == []
    assert module.recall(VIEWED, Channels(neighbours=Query())) is None
    assert module.weights() == pytest.approx({"neighbours": 0.7, "again": 1.5, "trend": 0.6, "popularity": -0.4})


def test_terms_of_demand_follow_their_weights_and_the_sessions():
    module, (trend, popularity) = NeighbourTerms(), Query.demand
    assert not module.is_worth_something
    module.take(Weights(0.0, 0.0, 0.5, -0.5))
    assert module.is_worth_something
    assert module.of_demand(Query.demand).equal(0.5 * trend - 0.5 * popularity)
    assert module.of_demand(Query.demand) is module.of_demand(Query.demand), "they are made once"
    assert module.of_demand(-Query.demand).equal(0.5 * popularity - 0.5 * trend)
    module.take(Weights(0.0, 0.0, 0.0, -2.0))
    assert module.is_worth_something
    assert module.of_demand(Query.demand).equal(-2 * popularity)
    assert copy.deepcopy(module).of_demand(Query.demand).equal(-2 * popularity)


def test_what_all_states_have_alike_is_the_same_in_every_form_it_is_asked_for_in():
    values = Query.demand[0]
    common = CommonTerms(values, 2)
    scores = torch.ones(2, ITEMS)
    assert common.added_to(scores).data_ptr() == scores.data_ptr()
    assert scores.equal(1 + values.repeat(2, 1))
    wanted = torch.tensor([[5, 0, 5], [2, 1, 3]])
    assert common.of(wanted).equal(values[wanted])
    for item_ids in ([3, 1, 5], [2, 4, 2], []):
        columns = Columns(torch.tensor(item_ids, dtype=torch.int64), ITEMS)
        assert columns.terms([common]).equal(values[item_ids].repeat(2, 1))
    assert touched_items([common], torch.arange(2))[0].tolist() == [], "it does not set states apart"


def twin_sessions():
    """Sessions of random items, each of which comes again later."""
    draw = np.random.RandomState(0)
    rows = draw.randint(1, 400, (300, 4))
    rows = np.concatenate([rows, rows[draw.permutation(300)]])
    return SessionInteractions(rows, num_items=400, started=np.arange(600) * 1e4)


def plain(**options):
    """A model that knows of other sessions through neighbours alone."""
    options = {"transitions": False, "item_neighbours": 0, "embedding_dim": 8, "hidden_dim": 8, **options}
    return ASARSSequenceModel(random_state=0, **{"n_iter": 1, **options})


def test_neighbours_find_sessions_that_come_again():
    train, test = twin_sessions().split_latest(0.2)
    model, without = plain().fit(train), plain(neighbours=False).fit(train)
    assert model.memory_weights()["neighbours"] > 0
    assert evaluate(model, test)["recall@10"] > 0.5 > 0.2 > evaluate(without, test)["recall@10"]


def found(model):
    return [model.memory_weights()[name] for name in ("neighbours", "again", "trend", "popularity")]


def test_a_second_fit_keeps_the_weights():
    train = twin_sessions()
    model = plain().fit(train)
    weights = found(model)
    assert found(model.fit(train)) == weights


def test_items_that_come_again_in_sessions_to_come_rank_higher_than_the_net_alone_has_them():
    draw = np.random.RandomState(0)
    rows = draw.randint(1, 300, (400, 3))
    log = SessionInteractions(np.c_[rows, rows[:, 0]], num_items=300, started=np.arange(400) * 1e4)  # as they began
    train, test = log.split_latest(0.2)
    model, without = plain(history=False).fit(train), plain(history=False, neighbours=False).fit(train)
    assert found(model)[1] >= USUAL.repeats
    last = {"positions": "last", "k": 3}
    assert evaluate(model, test, **last)["recall@3"] > 0.9 > 0.5 > evaluate(without, test, **last)["recall@3"]


def test_items_that_are_viewed_no_more_rank_behind_those_that_are():
    draw = np.random.RandomState(1)
    rows = draw.randint(1, 100, (1500, 4))
    rows[1050:] = draw.randint(1, 25, (450, 4))  # from then on, most items are out of stock
    train, test = SessionInteractions(rows, num_items=100, started=np.arange(1500) * 1e4).split_latest(0.2)
    model = plain(history=False).fit(train)
    assert found(model)[2] >= USUAL.trend
    recall = []
    for trend in (0.0, USUAL.trend):
        model._fitted.neighbour_terms.take(Weights(0.0, 0.0, trend, 0.0))
        recall.append(evaluate(model, test)["recall@20"])
    assert recall[1] > recall[0] + 0.05


def test_popularity_counts_for_more_where_the_net_has_too_little_of_it():
    draw = np.random.RandomState(2)
    rows = (60 * draw.rand(2000, 4) ** 6).astype(int) + 1  # few items have most of the views, whatever came before
    train, test = SessionInteractions(rows, num_items=61, started=np.arange(2000) * 1e4).split_latest(0.2)
    model = plain(history=False, n_iter=1, learning_rate=1e-4, loss="cross_entropy").fit(train)
    assert found(model)[3] >= 0.4
    mrr = evaluate(model, test)["mrr@20"]
    model._fitted.neighbour_terms.demand[1] = 0.0
    assert mrr > evaluate(model, test)["mrr@20"] + 0.05
