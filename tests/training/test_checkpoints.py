"""A fit that is killed, at any line or as it writes, ends as one that was not; damaged and foreign files are told."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.random import RandomState
from safetensors import SafetensorError
from safetensors.numpy import save_file
from small_models import build

from spotlight_asars import ASARSSequenceModel, SessionInteractions
from spotlight_asars.losses import LOSSES
from spotlight_asars.runtime import tensor_files
from spotlight_asars.training import loop as training
from spotlight_asars.training.checkpoints import LATEST, PREVIOUS

ROOT = Path(__file__).resolve().parents[2]
TRACED = ("loop.py", "checkpoints.py", "tensor_files.py", "progress.py", "asars_model.py")
FITS = ("sampled", "catalogue", "drift")
KILLED_FITS = 2  # of each kind: one as it writes, one at any line
EVERY = 2


def log(sessions=25, seed=0):
    draw = RandomState(seed)
    return SessionInteractions(
        draw.randint(1, 30, (sessions, 4)),
        user_ids=np.arange(sessions) % 7,
        dwell_times=draw.rand(sessions, 4) * 100,
        started=draw.randint(0, 10**6, sessions).astype(float),
    )


def make(kind="sampled", **changes):
    """A small model with randomness of every kind, and how it is fitted."""
    options = {"n_iter": 3, "batch_size": 7, "embedding_dim": 4, "hidden_dim": 5, "user_dim": 3, "time_dim": 3}
    special = {
        "sampled": {"loss": "bpr", "event_dropout": 0.2, "patience": 2},
        "catalogue": {"optimizer_func": partial(torch.optim.Adam, lr=0.01)},
        "drift": {"representation": "dynamics", "patience": 1, "monitor": "mrr@5"},
    }[kind]
    return ASARSSequenceModel(**{**options, "random_state": 0, **special, **changes})


def fit(model, folder=None, every=EVERY, validation=0.2):
    if folder is None:
        return model.fit(log(), validation=validation)
    return model.fit(log(), validation=validation, checkpoint=folder, every=every)


def state_of(model):
    """All that a fit leaves behind, as text."""
    digest = hashlib.sha256()
    packed, tensors = tensor_files.pack((model._net.state_dict(), model._optimizer.state_dict()))
    for name, tensor in tensors.items():
        digest.update(name.encode() + tensor.tobytes())
    generator = model._random_state.get_state()
    return json.dumps([packed, digest.hexdigest(), model.epochs, generator[1].tolist(), generator[2]])


# Killed


def kill_at_line(number):
    """SIGKILL this process when it comes to the line `number` of the package, counted from now."""
    counter = iter(range(number))

    def trace(frame, event, argument):
        if not frame.f_code.co_filename.endswith(TRACED):
            return None
        if event == "line" and next(counter, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)


def kill_while_writing(number):
    """SIGKILL this process when half of the checkpoint `number` is written, counted from now."""
    counter = iter(range(number))

    def half(tensors, path, metadata):
        save_file(tensors, path, metadata)
        if next(counter, None) is None:
            os.truncate(path, os.path.getsize(path) // 2)
            os.kill(os.getpid(), signal.SIGKILL)

    tensor_files.save_file = half


def in_a_fork(work):
    """Whether a child that did the work lived to its end."""
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


def killed_fits(folder):
    """What the child process does: fits that are killed again and again until they come to their end."""
    folder, report = Path(folder), {}
    fit(make(n_iter=1))  # what torch loads on its first fit, no fork has to load again
    for kind in FITS:
        alone = folder / f"{kind}.json"
        assert in_a_fork(lambda kind=kind, alone=alone: alone.write_text(state_of(fit(make(kind)))))
        for seed in range(KILLED_FITS):
            draw, place, runs = RandomState(seed), folder / f"{kind}-{seed}", 1

            def run(kind=kind, draw=draw, place=place, seed=seed):
                if seed == 0:
                    kill_while_writing(draw.randint(1, 4))
                else:
                    kill_at_line(draw.randint(2000, 25000))
                model = fit(make(kind), place)
                sys.settrace(None)
                (place / "end.json").write_text(state_of(model))

            while not in_a_fork(run):
                draw.rand()  # the child's draws are not ours: another moment next time
                runs += 1
                assert runs < 100
            same = (place / "end.json").read_text() == alone.read_text()
            report[f"{kind} {seed}"] = runs if same else "other weights"
    (folder / "report.json").write_text(json.dumps(report))


def full_for_real(folder):
    """What the child process does: a limit to the size of files stands for a full disk."""
    import resource

    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, limit))
    try:
        fit(make(), folder)
    except OSError as error:
        message = str(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    (Path(folder) / "told").write_text(message)


def run_child(code):
    path = os.pathsep.join(
        [str(ROOT), str(ROOT / "tests"), str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    )
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", f"import test_checkpoints as here; {code}"],
        env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def child(tmp_path_factory):
    """The folder of a child process that has been killed and refused room."""
    folder = tmp_path_factory.mktemp("child")
    (folder / "full").mkdir()
    run_child(f"here.killed_fits({str(folder)!r}); here.full_for_real({str(folder / 'full')!r})")
    return folder


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fit_that_is_killed_at_any_moment_ends_in_the_same_weights_to_the_bit(child):
    report = json.loads((child / "report.json").read_text())
    assert len(report) == len(FITS) * KILLED_FITS
    assert all(isinstance(runs, int) for runs in report.values()), report
    assert all(runs > 1 for runs in report.values()), "each was killed"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork, and limits to the size of files")
def test_what_the_system_refuses_in_the_midst_of_writing_is_told(child):
    folder = child / "full"
    told = (folder / "told").read_text()
    assert told.startswith(f"checkpoint must be a folder with room to write to; got {str(folder)!r}: ")
    assert "too large" in told
    assert [path.name for path in folder.iterdir()] == ["told"]


class Stop(Exception):
    """Stands for the end of the process."""


def stopping_at(number, value=None):
    """BPR that stops the process at a call, or spoils its value there."""
    calls = []

    def stopped(positive, negative, mask=None):
        calls.append(0)
        if len(calls) == number and value is None:
            raise Stop
        return LOSSES["bpr"](positive, negative, mask=mask) * (value if len(calls) == number else 1)

    return stopped


@pytest.mark.parametrize("every", [None, 1, 2])
@pytest.mark.parametrize("number", [1, 4, 8])
def test_a_fit_that_stops_at_any_batch_ends_the_same(number, every, tmp_path):
    expected = fit(make(loss=stopping_at(0), patience=None, n_iter=2), validation=None)
    with pytest.raises(Stop):
        fit(make(loss=stopping_at(number), patience=None, n_iter=2), tmp_path, every, validation=None)
    went_on = fit(make(loss=stopping_at(0), patience=None, n_iter=2), tmp_path, every, validation=None)
    assert state_of(went_on) == state_of(expected)


@pytest.mark.parametrize("averaging", [True, False])
@pytest.mark.parametrize(("stop", "place", "epochs"), [(2, "epoch 1, batch 3", 0), (7, "epoch 2, batch 4", 1)])
def test_after_a_stop_divergence_still_keeps_the_weights_from_before_the_epoch(
    stop, place, epochs, averaging, tmp_path
):
    options = {"patience": None, "n_iter": 3, "neighbours": False, "averaging": averaging}
    with pytest.raises(Stop):
        fit(make(loss=stopping_at(stop), **options), tmp_path, 1, validation=None)
    model = make(loss=stopping_at(2, np.nan), **options)  # of what is left
    with pytest.raises(ValueError, match=f"loss must stay finite; got nan in {place}"):
        fit(model, tmp_path, 1, validation=None)
    good = fit(make(loss=stopping_at(0), **{**options, "n_iter": epochs}), validation=None)
    weights, expected = model._net.state_dict(), good._net.state_dict()
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


@pytest.mark.parametrize("averaging", [True, False])
def test_what_is_the_same_at_the_start_of_an_epoch_is_written_once(averaging, tmp_path):
    with pytest.raises(Stop):
        fit(make(loss=stopping_at(1), averaging=averaging, patience=None), tmp_path, None, validation=None)
    parts = dict(tensor_files.read(tmp_path / LATEST)[0]["content"]["dict"])
    now, good = (parts[name]["tuple"] for name in ("now", "good"))
    assert now[1] == good[1], "optimizer"
    assert averaging or now[0] == good[0], "weights"


def test_a_fit_that_has_ended_is_not_run_again(tmp_path, monkeypatch):
    expected = state_of(fit(make(), tmp_path))
    monkeypatch.setattr(training, "_step", None)
    again = fit(make(), tmp_path)
    assert state_of(again) == expected
    assert np.isfinite(again.predict([1, 2])).all()


def test_a_checkpoint_changes_nothing_about_a_fit_that_is_not_killed(tmp_path):
    assert state_of(fit(make(), tmp_path / "new" / "folder")) == state_of(fit(make()))
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == [LATEST, PREVIOUS]


def test_a_second_call_with_a_folder_of_its_own_goes_on(tmp_path):
    expected = fit(fit(make()))
    fit(fit(make(), tmp_path / "one"), tmp_path / "two")
    assert state_of(fit(fit(make(), tmp_path / "one"), tmp_path / "two")) == state_of(expected)


@pytest.mark.parametrize("generator", [np.random.MT19937, np.random.PCG64, np.random.Philox])
def test_every_kind_of_random_state_is_kept(generator, tmp_path):
    expected = fit(make(random_state=RandomState(generator(3))))
    following = expected._random_state.rand()
    for _ in range(2):
        model = fit(make(random_state=RandomState(generator(3))), tmp_path)
        assert model.epochs == expected.epochs
        assert model._random_state.rand() == following


# Refused


@pytest.fixture
def stopped(tmp_path):
    """A folder with two checkpoints of a fit that was stopped."""
    with pytest.raises(Stop):
        fit(make(loss=stopping_at(8)), tmp_path)
    return tmp_path


def go_on(folder, **changes):
    return fit(make(**{"loss": stopping_at(0), **changes}), folder)


@pytest.mark.parametrize("damage", ["truncated", "emptied", "flipped", "text"])
def test_a_damaged_checkpoint_is_refused_and_the_one_before_it_serves(damage, stopped):
    expected, latest = state_of(fit(make(loss=stopping_at(0)))), stopped / LATEST
    whole, before = latest.read_bytes(), (stopped / PREVIOUS).read_bytes()
    damaged = {
        "truncated": whole[:-9],
        "emptied": b"",
        "flipped": whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:],
        "text": b"buy milk",
    }[damage]
    latest.write_bytes(damaged)
    with pytest.raises(ValueError, match=r"^checkpoint must be whole; got '.*latest\.safetensors': it") as error:
        go_on(stopped)
    assert str(error.value).endswith("Without it, fit goes on from previous.safetensors")
    assert (stopped / PREVIOUS).read_bytes() == before
    latest.unlink()
    assert state_of(go_on(stopped)) == expected


def test_a_file_of_something_else_is_refused(tmp_path):
    save_file({"weight": np.ones(1)}, tmp_path / LATEST)
    with pytest.raises(ValueError, match=r"checkpoint must be whole; got '.*': it is a file of something else$"):
        fit(make(), tmp_path)


@pytest.mark.parametrize(
    ("number", "version"), [(2, "An earlier version of spotlight_asars"), (99, "A newer version of spotlight_asars")]
)
def test_a_checkpoint_of_another_version_is_refused(number, version, tmp_path):
    tensor_files.write(tmp_path / LATEST, {"checkpoint": number}, {"weight": np.ones(1)})
    told = rf"^checkpoint must be of format 4, in '.*'; got {number}\. {version} wrote it, and goes on from it$"
    with pytest.raises(ValueError, match=told):
        fit(make(), tmp_path)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"learning_rate": 0.5}, r"learning_rate 0\.5, in '.*'; got '0\.05'"),
        ({"loss": "hinge"}, r"loss hinge, in '.*'; got 'test_checkpoints\.stopping_at\.<locals>\.stopped'"),
        ({"random_state": RandomState(0)}, r"random_state numpy\.random\.mtrand\.RandomState, in '.*'; got '0'"),
    ],
)
def test_a_checkpoint_of_other_options_is_refused(changes, told, stopped):
    with pytest.raises(ValueError, match=f"checkpoint must be of a fit with {told}. Give every fit a folder"):
        go_on(stopped, **changes)


def test_a_checkpoint_of_other_sessions_or_another_call_is_refused(stopped):
    model = make(loss=stopping_at(0))
    with pytest.raises(ValueError, match=r"a fit with sessions [0-9a-f]{16}, in '.*'; got '[0-9a-f]{16}'"):
        model.fit(log(seed=1), validation=log(seed=2), checkpoint=stopped)
    with pytest.raises(ValueError, match=r"a fit with epochs before 3, in '.*'; got '0'"):
        fit(fit(make(loss=stopping_at(0))), stopped)


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), SafetensorError("No space left")])
def test_a_full_disk_is_told_and_the_last_checkpoint_is_kept(error, stopped, monkeypatch):
    expected, before = state_of(fit(make(loss=stopping_at(0)))), (stopped / LATEST).read_bytes()

    def full(tensors, path, metadata):
        Path(path).write_bytes(b"some of it")
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(tensor_files, "save_file", full)
        with pytest.raises(
            OSError, match=r"^checkpoint must be a folder with room to write to; got '.*': No space left"
        ):
            go_on(stopped)
    assert (stopped / LATEST).read_bytes() == before
    assert sorted(path.name for path in stopped.iterdir()) == [LATEST, PREVIOUS]
    assert state_of(go_on(stopped)) == expected


def test_a_folder_that_is_none_or_may_not_be_written_to_is_told_before_training(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("here")
    with pytest.raises(OSError, match=r"checkpoint must be a folder with room to write to; got '.*file': File exists"):
        fit(make(loss=stopping_at(1)), tmp_path / "file")

    def denied(dir):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", denied)  # as the superuser no mode of a folder would keep us out
    with pytest.raises(OSError, match=r"checkpoint must be a folder .*: Permission denied"):
        fit(make(loss=stopping_at(1)), tmp_path)


def test_every_is_one_or_more_and_comes_with_a_folder(tmp_path):
    with pytest.raises(ValueError, match="every must be 1 or more; got 0"):
        fit(make(), tmp_path, every=0)
    with pytest.raises(ValueError, match="every must come with a folder, checkpoint; got 5"):
        make().fit(log(), validation=0.2, every=5)


class Odd(torch.optim.SGD):
    """An optimizer that remembers a function."""

    def __init__(self, weights):
        super().__init__(weights, lr=0.1)
        self.param_groups[0]["schedule"] = print


def test_an_optimizer_that_no_file_can_hold_is_refused(tmp_path):
    rule = "optimizer_func must make an optimizer whose state is of tensors, numbers and strings; got <built-in"
    with pytest.raises(TypeError, match=rule):
        fit(make(optimizer_func=Odd), tmp_path)


def test_a_net_of_another_shape_is_refused(stopped):
    model = make(loss=stopping_at(0))
    build(model, log())
    model._net.gates = torch.nn.Linear(5, 2, bias=False)
    with pytest.raises(ValueError, match=r"checkpoint must fit the net; got '.*latest.safetensors': Error"):
        fit(model, stopped)


def test_weights_that_are_shared_are_kept(tmp_path):
    one = torch.arange(3.0)
    tensor_files.write(tmp_path / "file", {"a": 1}, {"one": one, "two": one, "part": one[:2]})
    header, tensors = tensor_files.read(tmp_path / "file")
    assert header == {"a": 1}
    assert {name: tensor.tolist() for name, tensor in tensors.items()} == {
        "one": [0, 1, 2], "two": [0, 1, 2], "part": [0, 1]
    }  # fmt: skip
