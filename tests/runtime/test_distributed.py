"""Two processes learn what one does from the same mini-batches, and agree with each other to the bit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.random import RandomState

from spotlight_asars import ASARSSequenceModel, SessionInteractions
from spotlight_asars.losses import LOSSES
from spotlight_asars.runtime.distributed import (
    ALONE,
    Processes,
    add_up,
    gathered,
    process_group,
    processes,
    share_weights,
    summed,
)
from spotlight_asars.sessions.batching import SessionsOnDevice
from spotlight_asars.sessions.passes import training_batches, user_parallel_batches

ROOT = Path(__file__).resolve().parents[2]
SIZE = 2
CPU = torch.device("cpu")
TASKS = Path("/proc/self/task")  # of this process' threads
EXACT = {"dropout": 0.0, "user_dropout": 0.0, "dwell_dropout": 0.0}
WEIGHTS = {1: 1.0, 2: 0.0, 3: 4.0}
CASES = {
    "catalogue": EXACT,
    "pairs": {**EXACT, "loss": "bpr"},
    "targets": {**EXACT, "loss": "top1_max", "negative_sampling": "popularity"},
    "log q": {**EXACT, "loss": "sampled_softmax", "history": False},
    "users in order": {**EXACT, "representation": "dynamics", "loss": "hinge"},
    "sparse": {**EXACT, "loss": "bpr", "sparse": True, "negative_sampling": "uniform"},
    "more ranks than sessions": {**EXACT, "loss": "bpr", "batch_size": 1, "n_iter": 1},
    "sparse, more ranks": {**EXACT, "loss": "bpr", "batch_size": 1, "n_iter": 1, "sparse": True},
    "own loss": {**EXACT, "loss": lambda positive, negative, mask: ((negative - positive) ** 2)[mask].mean()},
    "kinds": {**EXACT, "kind_weights": WEIGHTS},
    "kinds of pairs": {**EXACT, "kind_weights": WEIGHTS, "loss": "bpr"},
    "kinds of targets": {**EXACT, "kind_weights": WEIGHTS, "loss": "top1_max", "negative_sampling": "popularity"},
    "kinds, more ranks": {**EXACT, "kind_weights": WEIGHTS, "loss": "bpr", "batch_size": 1, "n_iter": 1},
    "kinds validated": {**EXACT, "kind_weights": WEIGHTS, "patience": 1},
    "validated": {**EXACT, "patience": 1},
    "validated by a metric": {**EXACT, "loss": "bpr", "patience": 1, "monitor": "mrr@5"},
}


def log(sessions=25, items=30):
    """Sessions of 1 to 5 events: the pool of each batch, its targets and its sessions all differ in number."""
    draw = RandomState(0)
    rows = draw.randint(1, items, (sessions, 5))
    rows[np.arange(5) < draw.randint(0, 5, sessions)[:, None]] = 0
    users = draw.randint(-1, 6, sessions)
    channels = {"dwell_times": draw.rand(sessions, 5) * 100, "started": np.arange(sessions) * 1e5}
    return SessionInteractions(rows, users, **channels, kinds=draw.randint(4, size=rows.shape))


def fitted(checkpoint=None, **changes):
    options = {"n_iter": 3, "batch_size": 8, "embedding_dim": 4, "hidden_dim": 5, "user_dim": 3, "time_dim": 3}
    model = ASARSSequenceModel(**{**options, "random_state": 0, **changes})
    return model.fit(
        log(), validation=0.2 if "patience" in changes else None, checkpoint=checkpoint, every=checkpoint and 1
    )


def grown():
    """A model that has learned, met new items without learning, and learned again with more of them."""
    model = fitted(**EXACT, representation="time_user")
    model.update(log(items=34))
    return model.fit(log(items=37))


def arrays(model):
    weights = {name: tensor.numpy() for name, tensor in model._net.state_dict().items()}
    return weights | {"epochs": np.array([epoch.loss for epoch in model.epochs])}


class Stop(Exception):
    """Stands for the end of the process."""


class Stopping:
    """BPR that stops the process at a call."""

    def __init__(self, number):
        self.left = number

    def __call__(self, positive, negative, mask=None):
        self.left -= 1
        if self.left == 0:
            raise Stop
        return LOSSES["bpr"](positive, negative, mask=mask)


def work(rank, folder):
    """What each process does."""
    with process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=SIZE):
        learn(rank, folder)
    Path(f"{folder}/left-{rank}").write_text(" ".join(thread.read_text() for thread in TASKS.glob("*/comm")))


def learn(rank, folder):
    """Fit in all sorts of ways, and put down what comes out."""
    for name, options in CASES.items():
        np.savez(f"{folder}/{name}-{rank}.npz", **arrays(fitted(**options)))
    np.savez(f"{folder}/dropout-{rank}.npz", **arrays(fitted(dropout=0.5)))
    np.savez(f"{folder}/grown-{rank}.npz", **arrays(grown()))
    np.savez(f"{folder}/unseeded-{rank}.npz", **arrays(fitted(random_state=None)))
    stops = {"dropout": 0.5, "neighbours": False}  # each rank has a part of every batch, and so stops at the same one
    np.savez(f"{folder}/unbroken-{rank}.npz", **arrays(fitted(loss=Stopping(0), **stops)))
    try:
        fitted(loss=Stopping(6), checkpoint=f"{folder}/checkpoint", **stops)
    except Stop:
        again = fitted(loss=Stopping(0), checkpoint=f"{folder}/checkpoint", **stops)
        np.savez(f"{folder}/broken-{rank}.npz", **arrays(again))
    try:
        fitted(loss=Stopping(0), checkpoint=f"{folder}/checkpoint" if rank == 0 else f"{folder}/elsewhere", **stops)
    except ValueError as error:
        Path(f"{folder}/apart-{rank}").write_text(str(error))
    probe = {"sum": summed(torch.tensor(rank + 1)), "all": gathered(torch.tensor([rank, 7]))}
    np.savez(f"{folder}/probe-{rank}.npz", **probe)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where two processes have put what came out."""
    folder = tmp_path_factory.mktemp("ranks")
    path = os.pathsep.join(
        [str(ROOT), str(ROOT / "tests"), str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    )
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    processes, errors = [], [folder / f"stderr-{rank}" for rank in range(SIZE)]
    try:
        for rank in range(SIZE):
            code = f"import test_distributed as here; here.work({rank}, {str(folder)!r})"
            with errors[rank].open("w") as file:
                processes.append(subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=file))
        codes = [process.wait(timeout=600) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert codes == [0] * SIZE, "".join(file.read_text() for file in errors)
    return folder


def load(folder, name):
    found = []
    for rank in range(SIZE):
        with np.load(folder / f"{name}-{rank}.npz") as file:
            found.append(dict(file))
    return found


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


@pytest.mark.parametrize("name", CASES)
def test_two_processes_learn_what_one_does(name, folder):
    one, other = load(folder, name)
    assert_same(one, other)
    alone = arrays(fitted(**CASES[name]))
    assert alone.keys() == one.keys()
    for what, expected in alone.items():
        np.testing.assert_allclose(one[what], expected, atol=1e-5, rtol=1e-5, err_msg=what)


def test_two_processes_grow_as_one_does(folder):
    one, other = load(folder, "grown")
    assert_same(one, other)
    for what, expected in arrays(grown()).items():
        np.testing.assert_allclose(one[what], expected, atol=1e-5, rtol=1e-5, err_msg=what)


@pytest.mark.parametrize("name", ["dropout", "unseeded", "broken"])
def test_ranks_agree_with_dropout_without_a_seed_and_after_a_stop(name, folder):
    assert_same(*load(folder, name))


def test_processes_that_were_stopped_go_on_as_if_they_had_not_been(folder):
    for broken, unbroken in zip(load(folder, "broken"), load(folder, "unbroken"), strict=True):
        assert_same(broken, unbroken)


def test_ranks_that_do_not_see_the_same_checkpoint_are_told(folder):
    for rank in range(SIZE):
        told = (folder / f"apart-{rank}").read_text()
        assert told.startswith("checkpoint must be a folder that all ranks see, with the same epochs and batches; '")
        assert told.endswith("; got [[3, 0, 1], [0, 0, 0]]")


def test_values_are_summed_and_gathered_over_ranks(folder):
    for found in load(folder, "probe"):
        assert found["sum"] == 3
        assert found["all"].tolist() == [[0, 7], [1, 7]]


@pytest.mark.skipif(not TASKS.exists(), reason="the system does not list its threads there")
@pytest.mark.parametrize("rank", range(SIZE))
def test_no_thread_outlives_the_group_and_could_abort_the_process_at_its_end(rank, folder):
    threads = (folder / f"left-{rank}").read_text()
    assert "python" in threads
    assert "gloo" not in threads


def test_a_process_without_a_group_is_alone():
    net, value = torch.nn.Linear(1, 1), torch.tensor([2.0])
    assert processes() == ALONE == Processes(0, 1)
    assert summed(value) is value
    assert gathered(value).tolist() == [[2.0]]
    torch.manual_seed(0)
    before = torch.get_rng_state()
    share_weights(net)
    assert torch.equal(torch.get_rng_state(), before)
    assert add_up(net, value) is value


@pytest.mark.parametrize("size", [1, 2, 3, 11])
def test_shares_make_up_the_whole_and_users_stay_together(size):
    sessions = log()
    for make_batches in (training_batches, user_parallel_batches):

        def batches(part, make_batches=make_batches):
            return make_batches(sessions, 8, SessionsOnDevice(sessions, CPU), RandomState(3), 1, part)

        shares = [list(batches(Processes(rank, size))) for rank in range(size)]
        for whole, *parts in zip(batches(ALONE), *shares, strict=True):
            assert sorted(np.concatenate([part.rows for part in parts])) == sorted(whole.rows)
            assert whole.whole.sessions == len(whole.rows)
            assert whole.whole.targets == (whole.items[:, :-1] != 0).sum()
            for part in parts:
                np.testing.assert_array_equal(part.whole.events, whole.items[whole.items != 0])
                assert part.whole[1:] == whole.whole[1:]
            owners = [set(sessions.owners()[part.rows]) for part in parts]
            if whole.channels.chain is not None:
                assert sum(map(len, owners)) == len(set.union(*owners))


@pytest.mark.parametrize("name", LOSSES)
def test_a_mean_is_over_targets_or_over_pairs(name):
    """Of two targets, one with one item to be compared with and one with two, the weights are 1 : 1 or 1 : 2."""
    positive, negative = torch.tensor([0.0, 0.7]), torch.tensor([[0.5, 0.5], [0.5, 0.5]])
    mask = torch.tensor([[True, True], [False, True]])
    first = LOSSES[name](positive, negative, mask=mask & torch.tensor([True, False]))
    second = LOSSES[name](positive, negative, mask=mask & torch.tensor([False, True]))
    weight = (LOSSES[name](positive, negative, mask=mask) - second) / (first - second)
    assert weight.item() == pytest.approx(1 / 2 if LOSSES[name].mean_over == "targets" else 1 / 3, abs=1e-5)
