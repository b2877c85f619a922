"""Model files: what comes out of one is the model that went in, in any process; and nothing else comes out."""

from __future__ import annotations

import copy
import json
import os
import pickle
import subprocess
import sys
from itertools import product
from pathlib import Path
from uuid import UUID

import narwhals as nw
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from small_models import LATER, TRAIN, quick

from spotlight_asars import ASARSSequenceModel, EventLog, SessionInteractions, to_sessions
from spotlight_asars._spotlight import SPOTLIGHT
from spotlight_asars.evaluation import evaluate
from spotlight_asars.events.vocabulary import Vocabulary
from spotlight_asars.losses import LOSSES
from spotlight_asars.memory.neighbour_terms import Weights
from spotlight_asars.model.files import _vocabulary, _vocabulary_arrays
from spotlight_asars.representations import REPRESENTATIONS, ASARSNet
from spotlight_asars.runtime import tensor_files
from spotlight_asars.runtime.tensor_files import CHECKSUM, CHECKSUMS, HEADER
from spotlight_asars.sampling import SAMPLERS

ROOT = Path(__file__).resolve().parents[2]
KINDS = [*product(REPRESENTATIONS, (True,)), ("gru4rec", False), ("time_dynamics", False)]


def answers(model):
    """All that a model says: before and after it rolls later sessions."""
    found = []
    for _ in range(2):
        best = model.recommend(LATER, k=4)
        report = evaluate(model, LATER, roll_history=True)
        found += [model.predict(LATER.sequences), best.items, best.scores, report.ranks]
        model.update(LATER)
    return found


def answer_files(folder):
    """What the child process does: load each model of a folder, ask it, and write what it says beside it."""
    for path in sorted(Path(folder).glob("*.safetensors")):
        np.savez(path.with_suffix(".npz"), *answers(ASARSSequenceModel.load(path)))
    assert "torch._dynamo" not in sys.modules, "seconds of imports that only a training needs"


@pytest.fixture(scope="module")
def models():
    return {(name, history): quick(representation=name, history=history).fit(TRAIN) for name, history in KINDS}


def run_child(folder, **environment):
    code = f"import test_files; test_files.answer_files({str(folder)!r})"
    path = os.pathsep.join(
        [str(ROOT), str(ROOT / "tests"), str(Path(__file__).parent), *filter(None, [environment.pop("PYTHONPATH", "")])]
    )
    environment = {**os.environ, **environment, "PYTHONPATH": path}
    environment["OMP_NUM_THREADS"] = str(torch.get_num_threads())
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def check_answers(folder, models):
    for (name, history), model in models.items():
        with np.load(folder / f"{name}-{history}.npz") as found:
            for place, expected in enumerate(answers(copy.deepcopy(model))):
                np.testing.assert_array_equal(found[f"arr_{place}"], expected, err_msg=f"{name}, history={history}")


def test_another_process_says_the_same_to_the_bit(models, tmp_path):
    for (name, history), model in models.items():
        model.save(tmp_path / f"{name}-{history}.safetensors")
    run_child(tmp_path)
    check_answers(tmp_path, models)


@pytest.mark.skipif(SPOTLIGHT != "builtin", reason="upstream is here already")
def test_the_other_spotlight_says_the_same_to_the_bit(models, tmp_path):
    upstream = os.environ.get("SPOTLIGHT_UPSTREAM")
    if not upstream:
        pytest.skip("SPOTLIGHT_UPSTREAM names no folder of upstream Spotlight")
    for (name, history), model in models.items():
        model.save(tmp_path / f"{name}-{history}.safetensors")
    run_child(tmp_path, PYTHONPATH=upstream)
    check_answers(tmp_path, models)


@pytest.mark.parametrize(
    "options", [{}, {"representation": "dynamics"}, {"time_encoding": "continuous", "loss": "bpr"}]
)
def test_a_loaded_model_is_the_same_all_through(options, tmp_path):
    model = quick(**options, learning_rate=np.float64(0.1), random_state=np.random.RandomState(3)).fit(TRAIN)
    model.update(LATER)
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    model.save(tmp_path / "model")
    twin = ASARSSequenceModel.load(tmp_path / "model")
    assert torch.equal(torch.rand(1), expected), "the caller's generator stays as it was"
    assert [path.name for path in tmp_path.iterdir()] == ["model"], "nothing is left beside it"
    assert twin.epochs == model.epochs
    assert twin.item_vocabulary.raw.tolist() == model.item_vocabulary.raw.tolist()
    assert twin.user_vocabulary.raw.tolist() == model.user_vocabulary.raw.tolist()
    assert twin.get_params() == {**model.get_params(), "random_state": None}
    for name, tensor in model._net.state_dict().items():
        assert torch.equal(twin._net.state_dict()[name], tensor) or tensor.isnan().any(), name
    found, own = (
        twin.recommend(["ä", "日本"], k=3, user_ids="user 1"),
        model.recommend(["ä", "日本"], k=3, user_ids="user 1"),
    )
    assert found.items.tolist() == own.items.tolist()
    assert twin._random_state.randint(10**6, size=3).tolist() == model._random_state.randint(10**6, size=3).tolist()
    twin.save(tmp_path / "again")
    twin.fit(TRAIN)
    assert len(twin.epochs) == 2


FOUND = [
    Weights(0.5, 0.0, 0.0, 0.0),
    Weights(0.0, 3.0, 0.0, 0.0),
    Weights(0.0, 0.0, 0.4, 0.0),
    Weights(0.0, 0.0, 0.0, -0.2),
]


@pytest.mark.parametrize("found", FOUND)
def test_a_file_has_the_sessions_that_any_term_of_neighbours_needs(found, tmp_path):
    model = quick().fit(TRAIN)
    model._fitted.neighbour_terms.take(found)
    model._fitted.neighbours = None
    model._fitted.remember_neighbours(TRAIN)
    model.save(tmp_path / "model.safetensors")
    loaded = ASARSSequenceModel.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(loaded.predict([1, 2]), model.predict([1, 2]))


def test_a_model_without_raw_ids_and_one_of_integers_are_kept(tmp_path):
    plain = quick().fit(SessionInteractions([[1, 2, 3]]))
    events = {"user_id": [7, 7, 7], "item_id": [-2, 2**62, -2], "timestamp": [0, 1, 2]}
    integers = quick().fit(to_sessions(EventLog.from_frame(pa.table(events))))
    for model in (plain, integers):
        model.save(tmp_path / "model")
        twin = ASARSSequenceModel.load(tmp_path / "model")
        np.testing.assert_array_equal(twin.predict([1, 2]), model.predict([1, 2]))
    assert ASARSSequenceModel.load(tmp_path / "model").item_vocabulary.raw.tolist() == [-2, 2**62]
    plain.save(tmp_path / "model")
    assert ASARSSequenceModel.load(tmp_path / "model").item_vocabulary is None


def test_pickles_copies_and_torchs_files_keep_working(models, tmp_path):
    model = models["time_user", True]
    torch.save(model, tmp_path / "model.pt")
    for twin in (
        torch.load(tmp_path / "model.pt", weights_only=False),
        pickle.loads(pickle.dumps(model)),
        copy.deepcopy(model),
    ):
        np.testing.assert_array_equal(twin.predict(LATER.sequences), model.predict(LATER.sequences))
        assert twin.item_vocabulary.raw.tolist() == model.item_vocabulary.raw.tolist()


def test_strings_of_any_kind_are_kept():
    raw = np.array(["", "a", "\u00e4", "\U0001f419", "\ud800", "a\0b"])
    arrays = _vocabulary_arrays("item_vocabulary", Vocabulary(raw, first=1))
    assert _vocabulary("item_vocabulary", arrays, first=1).raw.tolist() == raw.tolist()
    arrays = _vocabulary_arrays("item_vocabulary", Vocabulary(raw[:0], first=1))
    assert len(_vocabulary("item_vocabulary", arrays, first=1)) == 0


def test_only_a_fitted_model_is_saved(tmp_path):
    with pytest.raises(RuntimeError, match=r"^save needs a fitted model; call fit first$"):
        quick().save(tmp_path / "model")


def test_a_file_that_cannot_be_written_leaves_the_old_one(models, tmp_path, monkeypatch):
    path = tmp_path / "model"
    models["gru4rec", True].save(path)
    before = path.read_bytes()
    monkeypatch.setattr(
        "spotlight_asars.runtime.tensor_files.os.replace", lambda *_: (_ for _ in ()).throw(OSError("full"))
    )
    with pytest.raises(OSError, match=r"^path must be in a folder that is there, .*; got '.*model': full\. What was"):
        models["time_user", True].save(path)
    with pytest.raises(OSError, match=r"^path must be in a folder that is there, .*; got '.*no.model': .*No such file"):
        models["time_user", True].save(tmp_path / "no" / "model")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


# Functions


def own_loss(positive, negative, mask):
    return LOSSES["bpr"](positive, negative, mask)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"loss": own_loss},
            r"loss must be one of \[.*\] for a model file, .*no code; got <function own_loss .*LOSSES .*",
        ),
        (
            {"representation": lambda _: ASARSNet(7)},
            r"representation must be one of .*; got <function .*REPRESENTATIONS .*",
        ),
        ({"representation": ASARSNet(7)}, r"representation must be one of .*; got ASARSNet.*REPRESENTATIONS .*"),
        (
            {"loss": "bpr", "negative_sampling": lambda sessions, device: SAMPLERS["uniform"](sessions, device)},
            r"negative_sampling must be one of .*; got <function .*SAMPLERS .*",
        ),
        ({"optimizer_func": torch.optim.Adam}, r"optimizer_func must be None .*; got <class .*Adam'>. torch.save.*"),
    ],
)
def test_what_no_text_can_hold_is_refused_by_name(options, message, tmp_path):
    model = quick(**options).fit(TRAIN)
    with pytest.raises(ValueError, match=f"(?s)^{message}$"):
        model.save(tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_functions_of_the_tables_are_saved_by_name_also_ones_own(monkeypatch, tmp_path):
    monkeypatch.setitem(LOSSES, "mine", own_loss)
    for loss, name in ((LOSSES["top1"], "top1"), (own_loss, "mine")):
        quick(loss=loss).fit(TRAIN).save(tmp_path / "model")
        assert ASARSSequenceModel.load(tmp_path / "model").get_params()["loss"] == name
    monkeypatch.delitem(LOSSES, "mine")
    with pytest.raises(
        ValueError, match=r"^path must hold options .*: loss must be a callable or one of .*; got 'mine'$"
    ):
        ASARSSequenceModel.load(tmp_path / "model")


# Files that are none


@pytest.fixture(scope="module")
def saved(models, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "model"
    models["time_user", True].save(path)
    return path


def rewritten(saved, path, tensors=(), drop=(), **header):
    """The file with some of its tensors and header changed, and the checksum made to fit."""
    with safe_open(saved, framework="np") as file:
        text = json.loads(file.metadata()[HEADER])
    arrays = {name: array for name, array in {**load_file(saved), **dict(tensors)}.items() if name not in drop}
    text = json.dumps({**text, **header})
    save_file(arrays, path, {HEADER: text, CHECKSUM: CHECKSUMS[CHECKSUM](text, arrays)})
    return path


class Trap:
    """What a pickle may do to whoever loads it."""

    def __reduce__(self):
        return os._exit, (77,)


def test_a_pickle_is_not_run(tmp_path):
    for name, write in (
        ("pickle", lambda path: path.write_bytes(pickle.dumps(Trap()))),
        ("zip", lambda path: torch.save(Trap(), path)),
    ):
        write(tmp_path / name)
        with pytest.raises(ValueError, match=r"^path must be a whole file of ASARSSequenceModel.save; got '.*': .*$"):
            ASARSSequenceModel.load(tmp_path / name)


def test_other_peoples_tensors_are_no_model(tmp_path):
    weight = {"weight": np.zeros(3)}
    for metadata in (None, {HEADER: "no json"}):
        save_file(weight, tmp_path / "other", metadata)
        with pytest.raises(
            ValueError, match=r"^path must be a whole file .*; got '.*other': it is a file of something"
        ):
            ASARSSequenceModel.load(tmp_path / "other")
    for header in ([], {"format": "x"}):
        tensor_files.write(tmp_path / "other", header, weight)
        with pytest.raises(ValueError, match=r"^path must be a file of ASARSSequenceModel.save; got '.*other'$"):
            ASARSSequenceModel.load(tmp_path / "other")
    with pytest.raises(FileNotFoundError, match=r"^path must name an existing file; got '.*none'$"):
        ASARSSequenceModel.load(tmp_path / "none")


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (1, r"got 1\. spotlight_asars 0\.2, whose memories were others, wrote it, and reads it"),
        (2, r"got 2\. An earlier version of spotlight_asars 0\.3 wrote it, and reads it"),
        (4, r"got 4\. A newer version of spotlight_asars wrote it, and reads it"),
    ],
)
def test_a_file_of_another_version_is_refused(number, told, saved, tmp_path):
    with pytest.raises(ValueError, match=rf"^path must be a model file of format 3; {told}$"):
        ASARSSequenceModel.load(rewritten(saved, tmp_path / "model", format=number))


def test_a_history_of_before_kinds_is_one_of_unknown_kinds(saved, tmp_path):
    """Drop the one column that older files of this format lack."""
    older = ASARSSequenceModel.load(rewritten(saved, tmp_path / "model", drop=["users.kind"]))
    assert not older._fitted.users.memory.arrays()["kind"].any()
    np.testing.assert_array_equal(
        older.predict([1, 2], user_ids=1), ASARSSequenceModel.load(saved).predict([1, 2], user_ids=1)
    )


def test_tensors_that_do_not_fit_the_options_are_refused(saved, tmp_path):
    path, name = tmp_path / "model", "net.net.output.weight"
    assert ASARSSequenceModel.load(rewritten(saved, path)).num_items == 7
    cases = [
        ({"drop": [name]}, f"path must hold a tensor '{name}'; got '.*model'"),
        ({"drop": ["users.item"]}, "path must hold a tensor 'users.item'; got '.*model'"),
        (
            {"tensors": {name: np.zeros((2, 3), "f4")}},
            r"path must hold net\.output\.weight .* \(4, 8\), .*and \(2, 3\)'",
        ),
        (
            {"tensors": {name: np.zeros((4, 8), "f8")}},
            r"path must hold net\.output\.weight of torch\.float32.*float64 .*",
        ),
        ({"tensors": {"more": np.zeros(1)}}, r"path must hold no tensors but those of its options; got \['more'\]"),
        ({"options": {"hidden": 3}}, "path must hold options that this version knows; got '.*model': .*'hidden'"),
    ]
    for change, message in cases:
        with pytest.raises(ValueError, match=f"^{message}$"):
            ASARSSequenceModel.load(rewritten(saved, path, **change))


@settings(max_examples=150)
@given(st.data())
def test_no_damaged_file_is_loaded(saved, tmp_path_factory, data):
    """Cut anywhere, or changed in any byte: one documented error, never a model."""
    whole = saved.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    place = data.draw(st.one_of(st.integers(0, header - 1), st.integers(0, len(whole) - 1)))
    if data.draw(st.booleans()):
        damaged = whole[:place]
    else:
        changed = bytes([whole[place] ^ data.draw(st.integers(1, 255))])
        damaged = whole[:place] + changed + whole[place + 1 :]
    path = tmp_path_factory.mktemp("damaged") / "model"
    path.write_bytes(damaged)
    try:
        model = ASARSSequenceModel.load(path)
    except ValueError as error:
        assert str(error).startswith("path must ")  # noqa: PT017  # a load that succeeds is judged below
    else:  # blank space after the header's JSON means nothing
        twin = ASARSSequenceModel.load(saved)
        np.testing.assert_array_equal(model.predict(LATER.sequences), twin.predict(LATER.sequences))


@pytest.mark.parametrize(
    "ids",
    [[5, 2**63 - 1, 2**63], ["a\0", "", "x" * 2000], [UUID(int=n) for n in (7, 8, 9)]],
    ids=["uint64", "text", "uuid"],
)
def test_raw_ids_of_any_kind_come_back_from_a_file_and_from_recommend(tmp_path, ids):
    columns = {"user_id": ids * 2, "item_id": ids[::-1] + ids, "timestamp": [0] * 6}
    table = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()})
    table = table.astype({"timestamp": int})
    model = quick().fit(to_sessions(EventLog.from_frame(table)))
    model.save(tmp_path / "model")
    texts = [str(one) if isinstance(one, UUID) else one for one in ids]
    for one in (model, ASARSSequenceModel.load(tmp_path / "model")):
        assert one.item_vocabulary.raw.tolist() == one.user_vocabulary.raw.tolist() == sorted(texts)
        assert one.item_vocabulary.raw.nbytes == 8 * 3
        best = one.recommend([[ids[0]], [ids[1]]], k=3, raw=True, user_ids=[None, ids[2]])
        assert sorted(best.items[0].tolist()) == sorted(texts)
        for backend in ("pandas", "polars", "pyarrow"):
            found = best.to_frame(backend)
            users = nw.from_native(found)["user_id"].to_list()
            assert users == [None] * 3 + [texts[2]] * 3
            assert nw.from_native(found)["item_id"].to_list() == best.items.ravel().tolist()
