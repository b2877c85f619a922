"""Models on a simulated device: none mixes devices, and none makes a GPU wait more often than the tables here say."""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from contracts_baselines import random_sessions
from simulated_device import SIMULATED, Wait, simulated_device
from small_models import make_log, quick
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.utils._python_dispatch import _disable_current_modes

from spotlight_asars import ASARSSequenceModel, ItemFeatures, SessionInteractions, to_sessions
from spotlight_asars.baselines import BASELINES
from spotlight_asars.evaluation import evaluate, sequence_mrr_score
from spotlight_asars.losses import LOSSES
from spotlight_asars.representations import REPRESENTATIONS
from spotlight_asars.runtime.devices import moved
from spotlight_asars.sampling import SAMPLERS

TRAIN, LATER = random_sessions(sessions=25), random_sessions(seed=1, sessions=7)
DRIFTING = ("dynamics", "time_dynamics")  # representations whose users drift
NETS_OF_BASELINES = [name for name, make in BASELINES.items() if getattr(make, "func", None) is ASARSSequenceModel]

# Waits by module and function; their number may only go down. A training step between two looks at the losses has none.
SPARSE = {"loop._step": 4, "adagrad._step_rows": 2}  # where the caller wants sparse gradients
WEIGHING = {"weight_search._ranks_of_pairs": 2, "weight_search.best": 1}  # of a part, once in a fit
RECOMMEND = {"top_items.top_k": 2}  # of a batch
EXCLUDE = {"user_history._narrow": 2, "channels.padded": 2}  # of a batch, where all that was ever viewed is left out
EVALUATE = {"ranking._rank_states": 1}  # of a batch
PREDICT = {"recommender.predict": 1}  # of a batch


@pytest.fixture
def waits(monkeypatch):
    """A model that is built in the test is on the device; the waits so far."""
    for module in ("building", "asars_model"):
        monkeypatch.setattr(f"spotlight_asars.model.{module}.chosen_device", lambda use_cuda: SIMULATED)
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # which is not for every device
    with simulated_device() as waits:
        yield waits


def check_waits(waits, *allowed):
    """No waits but those that the tables have."""
    allowed = sum(map(Counter, allowed), Counter())
    found = Counter()
    for wait, times in waits.items():
        found[f"{Path(wait.file).stem}.{wait.function}"] += times
    new = [str(wait) for wait in waits if f"{Path(wait.file).stem}.{wait.function}" in found - allowed]
    assert not new, f"{dict(found - allowed)} more waits than before, among these lines: " + "; ".join(new)


def fit(waits, allowed=None, sessions=TRAIN, item_features=None, **options):
    """A model on the device, whose training steps wait for nothing, or each for what is allowed."""
    moments = []
    hook = register_optimizer_step_post_hook(lambda *_: moments.append(waits.copy()))
    try:
        model = quick(**{"num_negative_samples": 5, "n_iter": 2, **options})
        model.fit(sessions, item_features=item_features)
    finally:
        hook.remove()
    assert model.device == SIMULATED
    steps = [after - before for before, after in pairwise(moments)]
    steps = [
        step for step in steps if not any(wait.function == "end_epoch" for wait in step)
    ]  # there losses are looked at
    assert steps
    if allowed is None:
        check_waits(sum(steps, Counter()), WEIGHING)
    else:
        check_waits(max(steps, key=Counter.total), allowed)
    return model


def waits_of(waits, call):
    before = waits.copy()
    call()
    return waits - before


def use_everywhere(model, tmp_path, history):
    """Predict, recommend, evaluate, go on live, update and save: all on the device."""
    seen = "history" if history else "session"
    first = LATER.sequences[:3]
    model.predict(first, [3, 1, 2])  # rows that bring their channels
    model.predict([[1, 2], [0, 3]], user_ids=[0, -1])
    model.predict([1, 2])
    model.recommend(LATER, k=3, exclude_seen=seen)
    model.recommend(LATER, k=3, exclude_seen=seen, candidates=[2, 5, 7])
    model.recommend(LATER, k=3, exclude_seen=seen, candidates=[[2, 5, 7]] * len(LATER), exclude=[7], boosts={2: 1.0})
    model.recommend(LATER, k=3, exclude=[[7]] * len(LATER), boosts={2: 1.0})
    evaluate(model, LATER, positions="last", roll_history=True)
    sequence_mrr_score(model, LATER, exclude_preceding=True)
    live = model.start_session(0, started=1e6).append(1).append(2, dwell_times=3.0)
    live.scores()
    live.recommend(2, exclude_seen=seen, candidates=[2, 5, 7])
    model.update(LATER)
    model.memory_weights()
    model.remembered(LATER)
    model.save(tmp_path / "model")
    loaded = ASARSSequenceModel.load(tmp_path / "model")
    assert loaded.device == SIMULATED
    np.testing.assert_array_equal(loaded.predict(first), model.predict(first))


def without_memories():
    return {"history": False, "transitions": False, "neighbours": False, "item_neighbours": 0}


@pytest.mark.parametrize(
    ("representation", "memories"), [*((name, True) for name in REPRESENTATIONS), ("time_dynamics", False)]
)
def test_every_representation_stays_on_its_device(waits, representation, memories, tmp_path):
    model = fit(waits, representation=representation, **({} if memories else without_memories()))
    check_waits(waits_of(waits, lambda: model.recommend(LATER, k=3)), RECOMMEND)
    some = {"k": 3, "exclude_seen": True, "candidates": [2, 5, 7]}
    check_waits(waits_of(waits, lambda: model.recommend(LATER, **some)), RECOMMEND)
    if memories:
        check_waits(waits_of(waits, lambda: model.recommend(LATER, k=3, exclude_seen="history")), RECOMMEND, EXCLUDE)
    for positions in ("every", "last"):
        check_waits(waits_of(waits, lambda positions=positions: evaluate(model, LATER, positions=positions)), EVALUATE)
    for item_ids in (None, [3, 0]):
        check_waits(waits_of(waits, lambda ids=item_ids: model.predict(LATER.sequences, ids)), PREDICT)
    use_everywhere(model, tmp_path, history=memories)


def test_features_of_items_make_a_step_wait_for_nothing(waits, tmp_path):
    log = to_sessions(make_log())
    table = pd.DataFrame({"item_id": [*log.item_vocabulary.raw, "new"], "shelf": list("abcabca"), "price": range(7)})
    features = ItemFeatures.from_frame(table, categorical=["shelf"], numerical=["price"])
    for loss in ("cross_entropy", "sampled_softmax", "bpr"):
        model = fit(waits, loss=loss, sessions=log, item_features=features)
        check_waits(waits_of(waits, lambda model=model: model.recommend(log, k=3)), RECOMMEND)
    model.add_items(
        ItemFeatures.from_frame(table.assign(item_id=list("pqrstuv")), categorical=["shelf"], numerical=["price"])
    )
    model.update(log)
    model.save(tmp_path / "model")
    loaded = ASARSSequenceModel.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict(log.sequences), model.predict(log.sequences))


@pytest.mark.parametrize("representation", ["gru4rec", "time_dynamics", "time_transformer"])
def test_kinds_and_context_make_a_step_wait_for_nothing(waits, representation, tmp_path):
    places = np.arange(len(TRAIN.items))
    labels = {"kinds": places % 4, "context": np.arange(2 * len(TRAIN)).reshape(-1, 2) % 3}
    log = SessionInteractions.from_ragged(
        TRAIN.items, TRAIN.offsets, TRAIN.user_ids, dwell_times=TRAIN.flat_dwell_times, started=TRAIN.started, **labels
    )
    weights = {1: 1.0, 2: 0.0, 3: 5.0}
    for loss in ("cross_entropy", "bpr"):
        model = fit(waits, loss=loss, sessions=log, representation=representation, kind_weights=weights)
        check_waits(waits_of(waits, lambda model=model: model.recommend(log, k=3, kind=3)), RECOMMEND)
    live = model.start_session(context=[1, 2]).append(1, kind=3).append(2, kind=1, dwell_times=3.0)
    live.recommend(2, kind=1)
    evaluate(model, log, by="kind", ask_kinds=True)
    model.save(tmp_path / "model")
    loaded = ASARSSequenceModel.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict(log.sequences[:3]), model.predict(log.sequences[:3]))


def test_a_model_grows_where_it_is(waits):
    model = fit(waits)
    last = LATER.num_items
    wider = SessionInteractions([[1, last, 2], [last, 3, last + 1]], user_ids=[0, 1])
    model.update(wider)
    model.fit(wider)
    assert model.device == SIMULATED
    assert model.predict([1, last]).shape == (last + 2,)


@pytest.mark.parametrize("memories", [False, True])
@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_stays_on_the_device_of_the_model(waits, loss, memories):
    fit(waits, loss=loss, representation="gru4rec", **({} if memories else without_memories()))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_stays_on_the_device_of_the_model(waits, sampler):
    fit(waits, loss="sampled_softmax", negative_sampling=sampler, representation="gru4rec")


@pytest.mark.parametrize("sparse", [False, True])
def test_gradients_are_sparse_on_a_device_only_where_the_caller_wants_it(waits, sparse):
    model = fit(waits, SPARSE if sparse else None, loss="bpr", sparse=sparse, **without_memories())
    assert model._net.item_embeddings.sparse == sparse


@pytest.mark.parametrize(
    "options",
    [
        {"attention": "causal", "last_dwell": "observed", "time_encoding": "continuous", "residual": False},
        {"cell": "gru", "time_encoding": "quantile", "dropout": 0.2, "event_dropout": 0.2, "user_dropout": 0.2},
        {"loss": "top1", "representation": "time_dynamics", "sparse": True, "averaging": True, "monitor": "mrr@5"},
        {"loss": "bpr", "negative_sampling": "in_batch", "l2": 0.1, "monitor": "loss", "patience": 1},
    ],
    ids=str,
)
def test_all_options_stay_on_the_device(waits, options, tmp_path):
    model = quick(**{"representation": "time_user", "history": True, "n_iter": 2, **options})
    model.fit(TRAIN, validation=LATER, checkpoint=tmp_path / "checkpoints", every=2)
    use_everywhere(model, tmp_path, history=True)


@pytest.mark.parametrize("name", NETS_OF_BASELINES)
def test_nets_of_baselines_stay_on_the_device(waits, name):
    model = BASELINES[name](n_iter=1, batch_size=8, embedding_dim=4, hidden_dim=5, random_state=0).fit(TRAIN)
    assert model.device == SIMULATED
    model.recommend(LATER, k=3, exclude_seen=True, candidates=[2, 5, 7])
    evaluate(model, LATER)


def test_vectors_and_exported_graphs_leave_the_device(waits, monkeypatch, tmp_path):
    pytest.importorskip("torch._higher_order_ops.scan")  # an older torch exports nothing
    model = fit(waits, representation="dynamics")
    vectors, wanted = model.queries(LATER) @ model.item_matrix().T, model.predict(LATER.sequences)
    for row, remembered in enumerate(model.remembered(LATER)):
        others = np.setdiff1d(np.arange(1, LATER.num_items), remembered)
        np.testing.assert_allclose(vectors[row, others], wanted[row, others], rtol=1e-4, atol=1e-5)
    inputs = [LATER.sequences, LATER.dwell_times.astype(np.float32)]
    inputs += model.history_inputs(LATER.user_ids, LATER.started).values()
    outside = _disable_current_modes()  # export and graph have modes of their own
    monkeypatch.setattr(torch.export, "export", outside(torch.export.export))
    model.export(tmp_path / "graph.pt2", format="torch")
    graph = torch.export.load(tmp_path / "graph.pt2").module()
    scores = outside(graph)(*map(torch.tensor, inputs))
    np.testing.assert_allclose(wanted[:, 1:], scores.detach().numpy()[:, 1:], rtol=1e-4, atol=1e-5)


def test_numbers_are_those_of_the_cpu(request):
    options = {"representation": "time_dynamics", "dropout": 0.2, "event_dropout": 0.2}
    wanted = quick(**options).fit(TRAIN).predict(LATER.sequences, user_ids=LATER.user_ids)
    request.getfixturevalue("waits")
    found = quick(**options).fit(TRAIN).predict(LATER.sequences, user_ids=LATER.user_ids)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_an_operation_on_two_devices_is_refused():
    with simulated_device():
        vector, weight = torch.ones(3, device=SIMULATED), torch.ones(2, 3)
        with pytest.raises(RuntimeError, match=r"mm must have tensors of one device; got one \(2, 3\) on the CPU"):
            torch.mm(weight, vector.unsqueeze(1))
        with pytest.raises(RuntimeError, match=r"index must have tensors of one device; got one \(2, 3\) on the CPU"):
            weight[torch.zeros(1, dtype=torch.int64, device=SIMULATED)]
        assert (vector * torch.tensor(2.0)).tolist() == [2.0, 2.0, 2.0]  # a number may be anywhere
    with pytest.raises(RuntimeError, match="needs simulated_device"):
        vector + 1


WAITING = {
    "item": lambda x: x[0].item(),
    "int": lambda x: int(x[0]),
    "bool": lambda x: bool((x > 0).any()),
    "cpu": lambda x: x.cpu(),
    "tolist": lambda x: x.tolist(),
    "nonzero": lambda x: x.nonzero(),
    "boolean index": lambda x: x[x > 1],
    "writing by a boolean index": lambda x: x.__setitem__(x > 1, 0),
    "index on the CPU": lambda x: x[torch.tensor([0])],
    "masked_select": lambda x: x.masked_select(x > 1),
    "unique": lambda x: x.unique(),
    "bincount": lambda x: x.bincount(),
    "repeat_interleave": lambda x: x.repeat_interleave(x),
    "equal": lambda x: x.equal(x),
    "from a list": lambda x: torch.tensor([1, 2], device=SIMULATED),
    "from the CPU": lambda x: torch.arange(3).to(SIMULATED),
    "into": lambda x: x.copy_(torch.arange(3)),
}
GOING_ON = {
    "arithmetic": lambda x: (x * 2 + 1).sum(),
    "index": lambda x: x[x.clamp(max=2)],
    "where": lambda x: torch.where(x > 1, x, 0),
    "made there": lambda x: torch.arange(3, device=SIMULATED),
    "to itself": lambda x: x.to(SIMULATED).float(),
    "repeat_interleave": lambda x: x.repeat_interleave(x, output_size=3),
    "a row": lambda x: x[1:].fill_(5),
    "in place": lambda x: x.view(1, 3).transpose_(0, 1).expand(3, 2),
}


@pytest.mark.parametrize("name", WAITING)
def test_what_makes_a_gpu_wait_is_counted_with_its_line(name):
    with simulated_device() as waits:
        numbers = torch.arange(3, device=SIMULATED)
        WAITING[name](numbers)
    (wait,), code = waits, WAITING[name].__code__
    assert (wait.file, wait.line) == ("tests/test_simulated_device.py", code.co_firstlineno)
    assert str(wait).startswith(f"tests/test_simulated_device.py:{code.co_firstlineno} in <lambda>: ")


@pytest.mark.parametrize("name", GOING_ON)
def test_what_goes_on_is_not_counted(name):
    with simulated_device() as waits:
        result = GOING_ON[name](torch.arange(3, device=SIMULATED))
        assert not waits
        assert result.shape == result.cpu().shape


def test_pinned_copies_do_not_wait():
    with simulated_device() as waits:
        assert moved(torch.ones(3), SIMULATED).device == SIMULATED
    assert not waits


def test_a_new_wait_is_named():
    new = Counter({Wait("package/net.py", 7, "states", "nonzero"): 2})
    check_waits(new, {"net.states": 1}, {"net.states": 1})
    with pytest.raises(AssertionError, match=r"1} more waits .*: package/net.py:7 in states: nonzero"):
        check_waits(new, {"net.states": 1})
