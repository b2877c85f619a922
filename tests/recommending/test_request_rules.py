"""Rules of a request against a naive filter of all scores."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spotlight_asars import ASARSSequenceModel, EventLog, SessionInteractions, to_sessions
from spotlight_asars.baselines import BASELINES
from spotlight_asars.memory.neighbour_terms import Weights
from spotlight_asars.recommending import NEVER
from spotlight_asars.recommending import rules as rules_module
from spotlight_asars.recommending.catalogue import Catalogue
from spotlight_asars.recommending.rules import read_rules

ITEMS, USERS = 13, 4
ANIMALS = ["ant", "bee", "cat", "dog", "eel", "fox"]


def train():
    draw = np.random.RandomState(0)
    return SessionInteractions(
        draw.randint(1, ITEMS, (60, 5)),
        user_ids=draw.randint(0, USERS, 60),
        num_items=ITEMS,
        num_users=USERS,
        started=np.arange(60) * 1e5,
    )


def asars(**options):
    options = {"n_iter": 2, "embedding_dim": 8, "hidden_dim": 8, "user_dim": 4, "time_dim": 4, **options}
    model = ASARSSequenceModel(random_state=0, **options).fit(train())
    if model._fitted.neighbour_terms is not None:
        model._fitted.neighbour_terms.take(Weights(0.4, 1.5, 0.6, 0.3))
        model._fitted.remember_neighbours(train())
    return model


PLAIN = {"history": False, "transitions": False, "neighbours": False, "item_neighbours": 0}
MODELS = {
    "default": asars,
    "ASARS": lambda: asars(representation="time_user"),
    "mixture": lambda: asars(representation="mixture"),
    "no memories": lambda: asars(**PLAIN),
    "STAN": lambda: BASELINES["stan"]().fit(train()),
    "popularity": lambda: BASELINES["most_popular"]().fit(train()),
}
_made = {}


def model_of(name):
    if name not in _made:
        _made[name] = MODELS[name]()
    return _made[name]


IDS = st.lists(st.integers(1, ITEMS - 1), max_size=ITEMS)
SESSIONS = st.lists(st.lists(st.integers(1, ITEMS - 1), min_size=1, max_size=6), min_size=1, max_size=5)


@st.composite
def requests(draw):
    """Sessions and rules: candidates and exclusions of all rows or of each."""
    sessions = draw(SESSIONS)
    rows = st.lists(IDS, min_size=len(sessions), max_size=len(sessions)).filter(any)
    boosts = st.dictionaries(st.integers(1, ITEMS - 1), st.floats(-5, 5, width=32), max_size=4)
    rules = {
        "candidates": draw(st.none() | IDS.filter(bool) | rows),
        "exclude": draw(st.none() | IDS | rows),
        "boosts": draw(st.none() | boosts),
    }
    return sessions, rules, draw(st.sampled_from([False, "session"])), draw(st.integers(1, ITEMS))


def nested(rule):
    return isinstance(rule, list) and bool(rule) and isinstance(rule[0], list)


def filtered(scores, session, row, rules, seen):
    """{item: score} of what may be recommended after one session."""

    def own(rule):
        return rules[rule][row] if nested(rules[rule]) else rules[rule]

    allowed = range(1, ITEMS) if own("candidates") is None else own("candidates")
    kept = set(allowed) - set(own("exclude") or ()) - (set(session) if seen else set())
    boosts = rules["boosts"] or {}
    return {item: scores[item] + boosts.get(item, 0.0) for item in kept if scores[item] > NEVER}


def assert_best(found, wanted, k):
    """Items and scores of one row are the k best of {item: score}, then nothing."""
    best = sorted(wanted.values(), reverse=True)[:k]
    items, scores = (column[: len(best)] for column in found)
    np.testing.assert_allclose(scores, best, rtol=1e-4, atol=1e-4)
    assert len(set(items.tolist())) == len(items)
    np.testing.assert_allclose([wanted[item] for item in items.tolist()], scores, rtol=1e-4, atol=1e-4)
    assert not found[0][len(best) :].any()
    assert (found[1][len(best) :] == NEVER).all()


@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=40, deadline=None)
@given(requests())
def test_rules_are_a_filter_of_all_scores(name, request_):
    sessions, rules, seen, k = request_
    model = model_of(name)
    users = np.arange(len(sessions)) % (USERS + 1) - 1
    best = model.recommend(sessions, k, seen, user_ids=users, **rules)
    assert best.items.shape == best.scores.shape
    assert best.items.shape[1] <= k
    for row, session in enumerate(sessions):
        scores = model.predict(session, user_ids=users[row])
        assert_best((best.items[row], best.scores[row]), filtered(scores, session, row, rules, seen), k)


@settings(max_examples=25, deadline=None)
@given(requests())
def test_a_live_session_has_the_same_rules(request_):
    sessions, rules, seen, k = request_
    model = model_of("default")
    for row, session in enumerate(sessions):
        own = {name: [rule[row]] if nested(rule) else rule for name, rule in rules.items()}
        live = model.start_session(user_ids=1)
        for item in session:
            live.append(item)
        alone = model.recommend([session], k, seen, user_ids=1, **own)
        now = live.recommend(k, seen, **own)
        np.testing.assert_allclose(now.scores, alone.scores, rtol=1e-4, atol=1e-4)


def test_history_is_excluded_among_the_candidates_of_each_row():
    model, users = model_of("default"), [0, 1, 2]
    rows = [[1, 2], [3], [4, 5, 6]]
    own = [list(range(1, 8)), [], list(range(5, ITEMS))]
    found = model.recommend(rows, ITEMS, "history", own, user_ids=users)
    every = model.recommend(rows, ITEMS, "history", user_ids=users)
    for row in range(3):
        left = [item for item in every.items[row].tolist() if item in own[row]]
        assert [item for item in found.items[row].tolist() if item] == left


def test_masks_arrays_columns_and_sets_say_the_same():
    model, rows, own = model_of("default"), [[1, 2], [3]], [[4, 7, 9], [2, 4]]
    wanted = model.recommend(rows, 3, candidates=own)
    mask = np.zeros((2, ITEMS), bool)
    for row, ids in enumerate(own):
        mask[row, ids] = True
    padded = np.array([[4, 7, 9], [4, 0, 2]])
    for same in (mask, padded, pl.Series(own), pd.Series(own), np.array(own, dtype=object), tuple(map(tuple, own))):
        np.testing.assert_array_equal(model.recommend(rows, 3, candidates=same).items, wanted.items)
    common = np.isin(np.arange(ITEMS), [4, 7, 9])
    some = model.recommend(rows, 3, candidates=[4, 7, 9])
    for same in (common, {4, 7, 9}, np.array([9, 7, 4, 4]), [[4, 7, 9]] * 2):
        found = model.recommend(rows, 3, candidates=same)
        np.testing.assert_array_equal(found.items, some.items)
        np.testing.assert_allclose(found.scores, some.scores, rtol=1e-4)
    gains = np.linspace(-2, 2, ITEMS)
    by_id = model.recommend(rows, 3, boosts={item: float(gains[item]) for item in range(1, ITEMS)})
    np.testing.assert_allclose(model.recommend(rows, 3, boosts=gains).scores, by_id.scores, rtol=1e-6)


@pytest.fixture(scope="module")
def shop():
    rows = [
        (user, ANIMALS[(3 * place + session + step) % 6], 100_000 * session + 20 * step)
        for place, user in enumerate(("ann", "bob", "cem"))
        for session in range(3)
        for step in range(4)
    ]
    log = EventLog.from_frame(pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]))
    return asars_of(to_sessions(log))


def asars_of(sessions):
    return ASARSSequenceModel(n_iter=2, embedding_dim=8, hidden_dim=8, random_state=0).fit(sessions)


def test_raw_ids_that_the_model_does_not_know_are_counted(shop):
    rules = {
        "candidates": [["fox", "yak", "cat", None], ["gnu", "yak"]],
        "exclude": ["emu", "cat"],
        "boosts": {"fox": 2.0, "owl": 1.0, "hen": 1.0},
    }
    found = shop.recommend([["ant", "pig"], ["bee"]], 3, **rules)
    assert found.items.tolist() == [["fox", None], [None, None]]
    assert found.unknown == (1, 1, 0)
    assert found.unknown_in_rules == (2, 1, 2)
    assert found.unknown_in_rules._asdict() == {"candidates": 2, "exclude": 1, "boosts": 2}
    assert len(found.columns()["session"]) == 1
    plain = shop.recommend([["ant"]], 6)
    assert plain.unknown_in_rules == (0, 0, 0)
    alone = shop.recommend([["ant"]], 1, candidates=["fox"])
    np.testing.assert_allclose(found.scores[0, 0], alone.scores[0, 0] + 2, rtol=1e-5)
    live = shop.start_session(raw=True).append("ant").recommend(2, candidates=["fox", "yak"], boosts={"fox": 2.0})
    np.testing.assert_allclose(live.scores[0], found.scores[0, :1], rtol=1e-4)
    assert live.unknown_in_rules == (1, 0, 0)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"candidates": [[1], [2], [3]]}, "candidates must be ids, or a list of ids for each of 2 sessions; got 3"),
        ({"exclude": [[1], 2]}, r"exclude must be ids, or lists of ids only; got \[\[1\], 2\]"),
        ({"exclude": [[1], np.array(2)]}, r"exclude must be ids, or lists of ids only; got \[\[1\], array\(2\)\]"),
        ({"exclude": [13]}, r"exclude must lie in 1\.\.12; got 13 at 0"),
        ({"exclude": [0]}, r"exclude must lie in 1\.\.12; got 0 at 0"),
        ({"candidates": [[1], [-1]]}, r"candidates must lie in 1\.\.12; got -1 at 1"),
        ({"candidates": []}, "candidates must name at least one item that the model knows; got 0"),
        ({"candidates": np.ones(4, bool)}, r"candidates must have shape \(13,\) or \(2, 13\) as a mask .*; got \(4,\)"),
        ({"boosts": {1: np.nan}}, r"boosts must lie within -1e\+30\.\.1e\+30; got nan at 0"),
        ({"boosts": {1: 1e31}}, r"boosts must lie within -1e\+30\.\.1e\+30; got 1e\+31 at 0"),
        ({"boosts": {1: [2.0]}}, r"boosts must be one number for each id; got \(1, 1\)"),
        ({"boosts": {1: "x"}}, "boosts must be numbers; got dtype <U1"),
        ({"boosts": {99: 1.0}}, r"boosts must lie in 1\.\.12; got 99 at 0"),
        ({"boosts": np.ones(3)}, r"boosts must be a dict, or numbers of shape \(13,\) .*; got \(3,\)"),
    ],
)
def test_rules_that_are_none_are_refused(rules, message):
    with pytest.raises((ValueError, TypeError), match=f"^{message}"):
        model_of("default").recommend([[1], [2]], **rules)


@pytest.mark.parametrize("argument", ["candidates", "exclude", "boosts"])
def test_raw_ids_of_another_type_are_refused(shop, argument):
    with pytest.raises(TypeError, match=f"^{argument} must be strings, as in training; got integers, like 7"):
        shop.recommend(["ant"], **{argument: {7: 1.0} if argument == "boosts" else [7]})


def test_lists_of_each_row_are_scored_in_parts_of_like_size(monkeypatch):
    monkeypatch.setattr(rules_module, "rows_at_once", lambda device, numbers: 3)
    lists = [[], [1], [1, 2], list(range(1, 10)), [3], [1, 2, 3], [2], [5], [6]]
    rules = read_rules(Catalogue(ITEMS, 0, np.zeros(ITEMS, np.int64)), len(lists), False, lists)
    parts = [part.tolist() for part in rules.candidates.parts(np.arange(len(lists)), torch.device("cpu"))]
    assert sorted(row for part in parts for row in part) == list(range(1, len(lists)))
    for part in parts:
        lengths = [len(lists[row]) for row in part]
        assert len(part) <= 3
        assert max(lengths) <= 2 * min(lengths)


def test_own_lists_never_score_the_catalogue(monkeypatch):
    model = model_of("default")
    refuse = pytest.fail
    monkeypatch.setattr(type(model), "score_catalogue", lambda *_: refuse("the catalogue was scored"))
    monkeypatch.setattr(
        "spotlight_asars.memory.neighbour_sessions.NeighbourSessions.votes", lambda *_: refuse("so were votes")
    )
    best = model.recommend([[1, 2], [3]], 2, candidates=[[4, 7, 9], [2, 4]])
    assert (best.scores > NEVER).all()
