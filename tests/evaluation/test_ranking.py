"""Ranks against naive loops with scipy, and against Spotlight's own evaluator, whose numbers ours are."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from spotlight_asars import ASARSSequenceModel, SessionInteractions
from spotlight_asars._spotlight import ImplicitSequenceModel, SequenceInteractions, spotlight_sequence_mrr_score
from spotlight_asars.evaluation import METRICS, Report, evaluate, sequence_mrr_score
from spotlight_asars.representations import REPRESENTATIONS
from spotlight_asars.runtime import devices

ITEMS, USERS, WIDTH = 13, 5, 6
ROUNDING = 1e-6  # upstream may rank in float32; two ranks of so few items are further apart
SPOTLIGHTS = ("pooling", "cnn", "lstm", "mixture")
OURS = [name for name in REPRESENTATIONS if name not in SPOTLIGHTS]


def log(sessions=23, seed=0, shortest=0):
    """Sessions of 0 to 6 events, the first of them full, with users and dwell some of which are unknown."""
    draw = np.random.RandomState(seed)
    rows = draw.randint(1, ITEMS, (sessions, WIDTH))
    padding = WIDTH - draw.randint(shortest, WIDTH + 1, sessions)[:, None]
    rows[1:] = np.where(np.arange(WIDTH) < padding, 0, rows)[1:]
    dwell = np.where(draw.rand(sessions, WIDTH) < 0.8, draw.rand(sessions, WIDTH) * 100, np.nan)
    users = draw.randint(-1, USERS, sessions)
    return SessionInteractions(rows, users, ITEMS, dwell_times=dwell, num_users=USERS)


TRAIN, TEST = log(60), log(seed=1)


@cache
def fitted(representation, **options):
    model = ASARSSequenceModel(
        representation=representation, n_iter=2, embedding_dim=8, hidden_dim=8, random_state=0, **options
    ).fit(TRAIN)
    with torch.no_grad():
        for weights in model._net.parameters():
            weights *= 4  # so that every channel matters
    return model


@cache
def fitted_by_spotlight(representation="pooling"):
    model = ImplicitSequenceModel(
        representation=representation, n_iter=1, embedding_dim=8, random_state=np.random.RandomState(0)
    )
    model.fit(SequenceInteractions(np.asarray(TRAIN.sequences), num_items=ITEMS))
    return model


class Foreign:
    """Nothing but ``predict``: whole numbers that depend on the prefix, so that there are ties."""

    def __init__(self, scores=None):
        self.scores = scores

    def predict(self, sequence):
        if self.scores is not None:
            return self.scores
        seed = int((np.asarray(sequence) * np.arange(1, len(sequence) + 1)).sum())
        return np.random.RandomState(seed).randint(-3, 3, ITEMS)


def targets_by_hand(sessions, positions):
    """(session, column of the padded matrix, item) of each target."""
    for row, items in enumerate(np.asarray(sessions.sequences)):
        columns = np.flatnonzero(items)[1:]
        for column in columns[-1:] if positions == "last" else columns:
            yield row, column, items[column]


def rank_by_hand(scores, item):
    costs = -np.array(scores, dtype=np.float64)
    costs[0] = np.inf
    return rankdata(costs)[item]


def ranks_by_hand(sessions, positions, predict):
    targets = list(targets_by_hand(sessions, positions))
    ranks = [rank_by_hand(predict(row, column), item) for row, column, item in targets]
    return ranks, [row for row, _, _ in targets]


def check_report(report, ranks, rows, k):
    np.testing.assert_array_equal(report.ranks, ranks)
    np.testing.assert_array_equal(report.sessions, rows)
    assert report.ranks.dtype == np.float64
    assert set(report) == {f"{name}@{place}" for name in METRICS for place in k}
    for place in k:
        assert report[f"mrr@{place}"] == pytest.approx(np.mean([rank <= place and 1 / rank for rank in ranks]))
        assert report[f"recall@{place}"] == pytest.approx(np.mean([rank <= place for rank in ranks]))
        gains = [1 / np.log2(1 + rank) if rank <= place else 0 for rank in ranks]
        assert report[f"ndcg@{place}"] == pytest.approx(np.mean(gains))


# --- evaluate


@pytest.mark.parametrize("positions", ["every", "last"])
@pytest.mark.parametrize("name", OURS)
def test_evaluate_is_the_loop_over_prefixes(name, positions):
    """Each prefix alone, without padding, with its own user and dwell."""
    model = fitted(name)

    def predict(row, column):
        prefix = slice(WIDTH - TEST.lengths[row], column)
        return model.predict(
            np.asarray(TEST.sequences)[row, prefix], None, TEST.user_ids[row], TEST.dwell_times[row, prefix]
        )

    expected = ranks_by_hand(TEST, positions, predict)
    check_report(evaluate(model, TEST, k=(1, 3, 10), positions=positions), *expected, (1, 3, 10))


@pytest.mark.parametrize("positions", ["every", "last"])
@pytest.mark.parametrize("name", SPOTLIGHTS)
def test_evaluate_ranks_spotlights_nets_by_the_prefixes(name, positions):
    model = fitted(name)
    expected = ranks_by_hand(TEST, positions, lambda row, column: model.predict(TEST.sequences[row, :column]))
    check_report(evaluate(model, TEST, k=(2, 5), positions=positions), *expected, (2, 5))


@pytest.mark.parametrize("positions", ["every", "last"])
@pytest.mark.parametrize("model", [Foreign, fitted_by_spotlight], ids=["foreign", "spotlight"])
def test_evaluate_asks_any_other_model_for_one_prefix_after_the_other(model, positions):
    model = model()
    expected = ranks_by_hand(TEST, positions, lambda row, column: model.predict(TEST.sequences[row, :column]))
    check_report(evaluate(model, TEST, positions=positions), *expected, (10, 20))


def test_plain_sequences_are_evaluated_with_their_users_and_no_dwell():
    plain = SequenceInteractions(np.asarray(TEST.sequences), user_ids=TEST.user_ids, num_items=ITEMS)
    without = SessionInteractions(np.asarray(TEST.sequences), user_ids=TEST.user_ids, num_items=ITEMS)
    model = fitted("time_user")
    np.testing.assert_array_equal(evaluate(model, plain).ranks, evaluate(model, without).ranks)
    assert (evaluate(model, plain).ranks != evaluate(model, TEST).ranks).any()


@pytest.mark.parametrize("representation", ["time_user", "mixture"])
def test_the_order_of_the_sessions_does_not_matter(representation):
    order = np.random.RandomState(0).permutation(len(TEST))
    shuffled = SessionInteractions(TEST.sequences[order], num_items=ITEMS, num_users=USERS)
    model = fitted(representation)
    straight, report = evaluate(model, TEST), evaluate(model, shuffled)
    for place, row in enumerate(order):
        np.testing.assert_array_equal(report.ranks[report.sessions == place], straight.ranks[straight.sessions == row])


@pytest.mark.parametrize("representation", ["time_user", "pooling"])
def test_any_number_of_sessions_without_a_target_is_passed_over(representation):
    """More of them than fit in one batch, which then has nothing to predict from."""
    rows = np.zeros((700, WIDTH), dtype=int)
    rows[:300, -1] = 3  # the next 300 are empty
    rows[600:] = log(100, shortest=2).sequences
    report = evaluate(fitted(representation), SessionInteractions(rows, num_items=ITEMS))
    assert report.sessions.min() == 600
    assert len(report.ranks) == (rows[600:] > 0).sum() - 100


@pytest.mark.parametrize("name", REPRESENTATIONS)
def test_how_much_is_scored_at_once_changes_nothing(name, monkeypatch):
    model = fitted(name)
    ranks = evaluate(model, TEST).ranks
    scores = [sequence_mrr_score(model, TEST, exclude) for exclude in (False, True)]
    for at_once in (1, 3 * ITEMS):
        monkeypatch.setattr(devices, "SCORES_AT_ONCE", at_once)
        np.testing.assert_array_equal(evaluate(model, TEST).ranks, ranks)
        for exclude in (False, True):
            np.testing.assert_array_equal(sequence_mrr_score(model, TEST, exclude), scores[exclude])


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("positions", ["every", "last"])
def test_no_rank_knows_the_time_of_its_target(name, positions):
    """That is the dwell of the event before; nor, of course, the dwell on the target itself."""
    model = fitted(name, last_dwell="unknown")
    expected = evaluate(model, TEST, positions=positions)
    for place, (row, column, _) in enumerate(targets_by_hand(TEST, positions)):
        dwell = np.array(TEST.dwell_times)
        dwell[row, column - 1 :] = np.where(dwell[row, column - 1 :] < 50, 95, 0)
        moved = SessionInteractions(TEST.sequences, num_items=ITEMS, dwell_times=dwell, num_users=USERS)
        assert evaluate(model, moved, positions=positions).ranks[place] == expected.ranks[place]


def test_an_observed_last_dwell_is_seen():
    dwell = np.where(np.array(TEST.dwell_times) < 50, 95, 0)
    moved = SessionInteractions(TEST.sequences, num_items=ITEMS, dwell_times=dwell, num_users=USERS)
    model = fitted("time_att", last_dwell="observed")
    assert (evaluate(model, moved).ranks != evaluate(model, TEST).ranks).any()


def test_a_constant_scorer_gets_chance():
    """The mean of all ranks that there are; padding has none."""
    for model in (Foreign(np.zeros(ITEMS)), constant_model()):
        report = evaluate(model, TEST, k=(1, 6, 7))
        assert set(report.ranks) == {np.arange(1, ITEMS).mean()} == {6.5}
        assert report["mrr@7"] == pytest.approx(1 / 6.5)
        assert report["mrr@6"] == report["recall@6"] == report["mrr@1"] == 0


def constant_model():
    model = ASARSSequenceModel(n_iter=0, random_state=0).fit(TRAIN)
    with torch.no_grad():
        for weights in model._net.parameters():
            weights.zero_()
    return model


@given(
    scores=st.lists(st.integers(0, 7), min_size=ITEMS, max_size=ITEMS),
    images=st.lists(st.floats(-1e6, 1e6), min_size=8, max_size=8, unique=True).map(sorted),
)
def test_no_rank_changes_with_an_increasing_map_of_the_scores(scores, images):
    before = evaluate(Foreign(np.array(scores)), TEST)
    after = evaluate(Foreign(np.array([images[score] for score in scores])), TEST)
    np.testing.assert_array_equal(before.ranks, after.ranks)
    assert before == after


def test_the_best_rank_is_the_highest_score():
    report = evaluate(Foreign(np.arange(ITEMS)), TEST, k=ITEMS)
    np.testing.assert_array_equal(report.ranks, [ITEMS - item for _, _, item in targets_by_hand(TEST, "every")])
    assert report["recall@13"] == 1


def test_evaluating_changes_no_scores_of_the_model_and_no_sessions():
    model = Foreign(np.arange(ITEMS, dtype=np.float64))
    before = np.array(TEST.sequences)
    evaluate(model, TEST)
    for exclude in (False, True):
        sequence_mrr_score(model, TEST, exclude)
    np.testing.assert_array_equal(model.scores, np.arange(ITEMS))
    np.testing.assert_array_equal(TEST.sequences, before)


def test_a_score_that_is_no_number_gets_no_rank():
    scores = np.arange(ITEMS, dtype=np.float64)
    scores[4] = np.nan
    with pytest.raises(ValueError, match="model must give scores that are numbers; got nan at 0"):
        evaluate(Foreign(scores), TEST)
    for representation in ("time_user", "mixture"):
        model = ASARSSequenceModel(representation=representation, n_iter=0, random_state=0).fit(TRAIN)
        for weights in model._net.parameters():
            if weights.dim():  # a single number is of all items
                weights.data[-1] = torch.nan  # of the last item only
        with pytest.raises(ValueError, match="model must give scores that are numbers; got nan at 0"):
            evaluate(model, TEST)


# --- k, errors, the report


@pytest.mark.parametrize("k", [5, np.int64(5), [5], (5,), np.array([5]), np.array(5), range(5, 6)], ids=repr)
def test_k_is_one_place_or_several(k):
    assert evaluate(Foreign(), TEST, k=k) == evaluate(Foreign(), TEST, k=(5,))
    assert list(evaluate(Foreign(), TEST, k=k)) == ["mrr@5", "recall@5", "ndcg@5"]


def test_every_metric_is_there_for_every_k():
    report = evaluate(Foreign(), TEST, k=(1, 10))
    assert list(report) == ["mrr@1", "mrr@10", "recall@1", "recall@10", "ndcg@1", "ndcg@10"]
    assert all(type(value) is float for value in report.values())
    assert report["mrr@1"] == report["recall@1"] <= report["mrr@10"] <= report["recall@10"]


@pytest.mark.parametrize(
    ("k", "error", "message"),
    [
        (0, ValueError, "k must be 1 or more; got 0 at 0"),
        ([5, -3], ValueError, "k must be 1 or more; got -3 at 1"),
        (2.5, ValueError, "k must be whole numbers.*; got 2.5 at 0"),
        ([], ValueError, r"k must be an integer or a sequence of them; got \[\]"),
        ([[1, 2]], ValueError, r"k must be an integer or a sequence of them; got \[\[1, 2\]\]"),
        ("10", TypeError, "k must be an array of integers; got dtype <U2"),
        (None, TypeError, "k must be an array of integers; got dtype object"),
    ],
    ids=repr,
)
def test_k_is_checked(k, error, message):
    with pytest.raises(error, match=message):
        evaluate(Foreign(), TEST, k=k)


def test_positions_are_checked():
    with pytest.raises(ValueError, match=r"positions must be one of \['every', 'last'\]; got 'first'"):
        evaluate(Foreign(), TEST, positions="first")


def test_a_test_without_a_target_is_refused():
    for rows in ([[0, 3], [0, 0]], [[4]], [[0, 0]]):
        longest = max(sum(item > 0 for item in row) for row in rows)
        with pytest.raises(ValueError, match=f"two events or more; the longest has; got {longest}"):
            evaluate(fitted("gru4rec"), SessionInteractions(rows, num_items=ITEMS))


@pytest.mark.parametrize("model", [lambda: fitted("time_user"), fitted_by_spotlight], ids=["ours", "spotlight"])
def test_unknown_items_are_refused(model):
    test = SessionInteractions([[0, 3, 4], [2, 17, 5]])
    with pytest.raises(ValueError, match="test must have item ids below 13, as in training; got 17 at 3"):
        evaluate(model(), test)


@pytest.mark.parametrize("kind", [ASARSSequenceModel, ImplicitSequenceModel])
def test_a_model_is_fitted_first(kind):
    with pytest.raises(RuntimeError, match="evaluate needs a fitted model; call fit first"):
        evaluate(kind(), TEST)


def test_scoring_needs_a_fitted_model():
    with pytest.raises(RuntimeError, match="call fit first"):
        sequence_mrr_score(ASARSSequenceModel(), TEST)


def test_a_test_is_sessions():
    with pytest.raises(TypeError, match=r"must be SessionInteractions or Spotlight's SequenceInteractions; got list"):
        evaluate(Foreign(), [[1, 2]])


RANKS = np.array([1.0, 1.5, 2.0, 3.0, 10.0, 10.5, 4000.0])


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_keeps_the_contract(name):
    """From 0 to 1, no better at a worse rank, no worse at a larger k, 0 beyond k."""
    before = RANKS.copy()
    values = np.array([METRICS[name](RANKS, k) for k in range(1, 20)])
    np.testing.assert_array_equal(RANKS, before)
    assert values.dtype == np.float64
    assert values.shape == (19, len(RANKS))
    assert ((values >= 0) & (values <= 1)).all()
    assert (np.diff(values, axis=1) <= 0).all()
    assert (np.diff(values, axis=0) >= 0).all()
    assert (values[:, 0] == 1).all()
    for k, row in enumerate(values, start=1):
        assert not row[k < RANKS].any()
        assert row[k >= RANKS].all()


def test_metrics_have_their_values():
    np.testing.assert_allclose(METRICS["mrr"](RANKS, 10), [1, 2 / 3, 1 / 2, 1 / 3, 1 / 10, 0, 0])
    np.testing.assert_array_equal(METRICS["recall"](RANKS, 10), [1, 1, 1, 1, 1, 0, 0])
    by_hand = [1, 1 / np.log2(2.5), 1 / np.log2(3), 1 / 2, 1 / np.log2(11), 0, 0]
    np.testing.assert_allclose(METRICS["ndcg"](RANKS, 10), by_hand)
    assert METRICS.keys() == {"mrr", "recall", "ndcg"}  # another one needs its values here


def test_a_report_has_the_means_of_its_metrics():
    report = Report(RANKS, np.arange(len(RANKS)), [2])
    gains = (1 + 1 / np.log2(2.5) + 1 / np.log2(3)) / 7
    assert report == pytest.approx({"mrr@2": (1 + 2 / 3 + 1 / 2) / 7, "recall@2": 3 / 7, "ndcg@2": gains})
    assert report.lists is None


# --- sequence_mrr_score


@pytest.mark.parametrize("exclude_preceding", [False, True])
@pytest.mark.parametrize("name", REPRESENTATIONS)
def test_scores_of_our_model_are_spotlights(name, exclude_preceding):
    model, test = fitted(name), log(seed=2, shortest=1)
    expected = spotlight_sequence_mrr_score(model, test, exclude_preceding=exclude_preceding)
    scores = sequence_mrr_score(model, test, exclude_preceding=exclude_preceding)
    assert scores.shape == (len(test),)
    assert scores.dtype == np.float64
    np.testing.assert_allclose(scores, expected, rtol=ROUNDING)


@pytest.mark.parametrize("exclude_preceding", [False, True])
@pytest.mark.parametrize("name", SPOTLIGHTS)
def test_scores_of_spotlights_model_are_spotlights(name, exclude_preceding):
    """Number for number, rows of nothing but padding included."""
    model = fitted_by_spotlight(name)
    expected = spotlight_sequence_mrr_score(model, TEST, exclude_preceding=exclude_preceding)
    np.testing.assert_allclose(sequence_mrr_score(model, TEST, exclude_preceding), expected, rtol=ROUNDING)


@pytest.mark.parametrize("exclude_preceding", [False, True])
def test_scores_with_ties_and_with_what_is_no_number_are_spotlights(exclude_preceding):
    scores = np.random.RandomState(0).randint(0, 4, ITEMS).astype(np.float32)
    for model in (Foreign(scores), Foreign(np.where(np.arange(ITEMS) == 5, np.nan, scores)), Foreign(0 * scores)):
        expected = spotlight_sequence_mrr_score(model, TEST, exclude_preceding=exclude_preceding)
        np.testing.assert_allclose(sequence_mrr_score(model, TEST, exclude_preceding), expected, rtol=ROUNDING)


def test_excluding_what_precedes_ranks_it_last():
    test = SessionInteractions([[5, 3, 4], [5, 3, 3]], num_items=ITEMS)
    model = Foreign(np.array([0.0, 1, 2, 8, 7, 9, 3, 0, 0, 0, 0, 0, 0]))
    np.testing.assert_array_equal(sequence_mrr_score(model, test), [1 / 3, 1 / 2])
    np.testing.assert_array_equal(sequence_mrr_score(model, test, exclude_preceding=True), [1, 1 / 12.5])


class Notes:
    """A model that keeps what ``predict`` is given."""

    def __init__(self):
        self.asked = []

    def predict(self, sequence):
        self.asked.append((np.array(sequence), sequence.user_ids, np.array(sequence.dwell_times)))
        return np.zeros(ITEMS)


@pytest.mark.parametrize("score", [spotlight_sequence_mrr_score, sequence_mrr_score])
def test_users_and_dwell_reach_predict_through_an_evaluator(score):
    model = Notes()
    score(model, TEST)
    assert len(model.asked) == len(TEST)
    for row, (items, user, dwell) in enumerate(model.asked):
        np.testing.assert_array_equal(items, np.asarray(TEST.sequences)[row, :-1])
        np.testing.assert_array_equal(dwell, TEST.dwell_times[row, :-1])
        assert user == TEST.user_ids[row]


def test_users_and_dwell_reach_predict_through_evaluate():
    model = Notes()
    evaluate(model, TEST)
    targets = list(targets_by_hand(TEST, "every"))
    for (items, user, dwell), (row, column, _) in zip(model.asked, targets, strict=True):
        np.testing.assert_array_equal(items, np.asarray(TEST.sequences)[row, :column])
        np.testing.assert_array_equal(dwell, TEST.dwell_times[row, :column])
        assert user == TEST.user_ids[row]


@pytest.mark.parametrize(("name", "channel"), [("user_cat", "users"), ("time_att", "dwell"), ("time_user", "both")])
@pytest.mark.parametrize("score", [spotlight_sequence_mrr_score, sequence_mrr_score])
def test_scores_differ_without_the_channels(score, name, channel):
    model = fitted(name)
    users = None if channel == "users" else TEST.user_ids
    dwell = None if channel == "dwell" else TEST.dwell_times
    if channel == "both":
        users = dwell = None
    without = SessionInteractions(np.asarray(TEST.sequences), users, ITEMS, dwell_times=dwell, num_users=USERS)
    assert (score(model, without) != score(model, TEST)).any()


def test_scores_of_our_model_do_not_depend_on_what_else_is_scored():
    scores, rows = sequence_mrr_score(fitted("time_user"), TEST), TEST.sequences
    for row in range(len(TEST)):
        alone = SessionInteractions(rows[row : row + 1], num_items=ITEMS, num_users=USERS)
        np.testing.assert_array_equal(sequence_mrr_score(fitted("time_user"), alone), scores[row : row + 1])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", REPRESENTATIONS)
def test_ranks_are_the_same_on_a_gpu(name):
    model = fitted(name)
    ranks, scores = evaluate(model, TEST).ranks, sequence_mrr_score(model, TEST, exclude_preceding=True)
    model._use_cuda = True
    model._net.cuda()
    np.testing.assert_array_equal(evaluate(model, TEST).ranks, ranks)
    np.testing.assert_array_equal(sequence_mrr_score(model, TEST, exclude_preceding=True), scores)
    model._use_cuda = False
    model._net.cpu()
