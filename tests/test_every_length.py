"""From fit to export at session lengths around multiples of 32, where attention joins chunks of events."""

from __future__ import annotations

from importlib.util import find_spec
from itertools import product

import numpy as np
import pytest
import torch
from small_models import quick

from spotlight_asars import SessionInteractions
from spotlight_asars.evaluation import evaluate
from spotlight_asars.representations import REPRESENTATIONS
from spotlight_asars.representations.time_attention import LAST_DWELL, READINGS

ITEMS = 11
LENGTHS = [1, 2, *(near for multiple in (32, 64, 96, 256) for near in (multiple - 1, multiple, multiple + 1)), 200]
OF_SPOTLIGHT = ("pooling", "cnn", "lstm", "mixture")
WITH_TIME_ATTENTION = ("time_att", "time_user", "time_dynamics")
WITH_LAST_DWELL = (*WITH_TIME_ATTENTION, "time_transformer")

needs_a_scan = pytest.mark.skipif(
    find_spec("torch._higher_order_ops.scan") is None, reason="this torch is too old to trace a loop"
)


def make_sessions(lengths, seed=0, channels=True):
    """Two sessions of each length, both of one user."""
    draw = np.random.RandomState(seed)
    users, lengths = np.repeat(np.arange(len(lengths)), 2), np.repeat(lengths, 2)
    events = int(lengths.sum())
    known = {
        "user_ids": users,
        "dwell_times": np.where(draw.rand(events) < 0.1, np.nan, draw.rand(events) * 400),
        "started": 1e5 * np.arange(len(lengths)),
    }
    items, offsets = draw.randint(1, ITEMS, events), np.r_[0, lengths.cumsum()]
    return SessionInteractions.from_ragged(items, offsets, num_items=ITEMS, **(known if channels else {}))


def fit(channels=True, **options):
    """A model trained on batches of two that are as long as each of the lengths, and an event longer."""
    longer = {length + more for length in LENGTHS for more in (0, 1)} - {1}
    model = quick(batch_size=2, **options).fit(make_sessions(sorted(longer), channels=channels))
    assert np.isfinite(model.epochs[0].loss)
    return model


LONGEST = make_sessions([max(LENGTHS)], seed=1)
ROW, DWELL = np.array(LONGEST.sequences[0], dtype=np.int64), np.array(LONGEST.dwell_times[0])
CHANNELS = {"user_ids": 3, "started": 1e9}


def check_predictions(model):
    """At each length ``predict`` and ``evaluate`` agree, with channels and without; so does a live session."""
    session = model.start_session(**CHANNELS)
    for length, (item, dwell) in enumerate(zip(ROW, [None, *DWELL], strict=False), start=1):
        session.append(item, dwell)
        if length not in LENGTHS:
            continue
        so_far = np.append(DWELL[: length - 1], np.nan)  # the dwell of the latest event is still to come
        scores = model.predict(ROW[:length], dwell_times=so_far, **CHANNELS)
        np.testing.assert_allclose(session.scores(), scores, rtol=1e-3, atol=1e-4, err_msg=f"{length} events")
        known = {name: [value] for name, value in CHANNELS.items()}
        check_rank(model, length, scores, dwell_times=[np.append(so_far, np.nan)], num_users=4, **known)
        check_rank(model, length, model.predict(ROW[:length]))


def check_rank(model, length, scores, **channels):
    """``evaluate`` ranks the item after the first `length` events as their scores do, but for rounding."""
    target = ROW[length % len(ROW)]
    test = SessionInteractions([[*ROW[:length], target]], num_items=ITEMS, **channels)
    rank = evaluate(model, test, k=1, positions="last").ranks[0]
    others, margin = np.delete(scores, [0, target]), 1e-4 * np.abs(scores[1:]).max()
    above, not_below = (others > scores[target] + margin).sum(), (others >= scores[target] - margin).sum()
    assert 1 + above <= rank <= 1 + not_below, f"{length} events"


def check_export(model, path):
    """At each length the exported graph and the model agree."""
    model.export(path, format="torch", output="query")
    graph = torch.export.load(path).module()
    users, started = np.array([CHANNELS["user_ids"]]), np.array([CHANNELS["started"]])
    for length in LENGTHS:
        items, dwell = ROW[None, :length], DWELL[None, :length]
        query = graph(*map(torch.from_numpy, (items, dwell, users, started))).numpy()
        expected = model.queries(items, dwell_times=dwell, user_ids=users, started=started)
        np.testing.assert_allclose(query, expected, rtol=1e-3, atol=1e-4, err_msg=f"{length} events")


@pytest.mark.parametrize("representation", REPRESENTATIONS)
def test_sessions_of_every_length_are_fitted_and_predicted(representation):
    check_predictions(fit(representation=representation))


@needs_a_scan
@pytest.mark.parametrize("representation", ["time_user", "time_transformer"])
def test_sessions_of_every_length_are_exported(representation, tmp_path):
    check_export(fit(representation=representation), tmp_path / "model.pt2")


def variants():
    """Options of every representation: with the memories and without, in every reading of the time attention."""
    for representation, memories in product(REPRESENTATIONS, (True, False)):
        options = {"representation": representation, "history": memories, "transitions": memories}
        readings = READINGS if representation in WITH_TIME_ATTENTION else ("prefix",)
        dwells = LAST_DWELL if representation in WITH_LAST_DWELL else ("unknown",)
        for attention, last_dwell in product(readings, dwells):
            yield {**options, "attention": attention, "last_dwell": last_dwell}


@pytest.mark.slow
@pytest.mark.parametrize("channels", [True, False], ids=["channels", "items alone"])
@pytest.mark.parametrize("options", list(variants()), ids=lambda options: "-".join(map(str, options.values())))
def test_every_variant_goes_through_every_length(options, channels, tmp_path):
    model = fit(channels, **options)
    check_predictions(model)
    exportable = options["representation"] not in OF_SPOTLIGHT and options["attention"] == "prefix"
    if exportable and find_spec("torch._higher_order_ops.scan"):
        check_export(model, tmp_path / "model.pt2")
