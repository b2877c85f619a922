"""What is refused: one line that names the value, and exit code 2."""

from __future__ import annotations

import errno
import gzip
import os
import re
import subprocess
import sys

import pandas as pd
import polars as pl
import pytest
from commands import SMALL, call, raw_frame, refused

from spotlight_asars import ASARSSequenceModel, SessionInteractions
from spotlight_asars.cli import COMMANDS, build_parser, main, train
from spotlight_asars.runtime import tensor_files


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a prepared log, and a model of strings."""
    place = tmp_path_factory.mktemp("shop")
    raw_frame().set_axis(["user_id", "item_id", "timestamp", "shelf"], axis=1).to_parquet(place / "log.parquet")
    assert main(["train", str(place / "log.parquet"), "--model", str(place / "model"), *SMALL]) == 0
    return place


WRONG = {
    "no command": ([], "the following arguments are required: COMMAND"),
    "another command": (["fly"], "invalid choice: 'fly'"),
    "no model": (["train", "log.parquet"], "the following arguments are required: --model"),
    "an option of no command": (["train", "log.parquet", "--model", "m", "--fly"], "unrecognized arguments: --fly"),
    "a shortened option": (["train", "log.parquet", "--mod", "m"], "required: --model"),
    "no number": (["train", "log.parquet", "--model", "m", "--inactivity", "hour"], "invalid float value: 'hour'"),
    "a setting without value": (["train", "log.parquet", "--model", "m", "--set", "loss"], "NAME=VALUE; got 'loss'"),
    "an unknown setting": (["train", "log.parquet", "--model", "m", "--set", "a=1"], "--set must name .*; got 'a'"),
    "a setting of another type": (
        ["train", "log.parquet", "--model", "m", "--set", "history=1"],
        "history must be True or False; got '1'",
    ),
    "a setting that is no number": (
        ["train", "log.parquet", "--model", "m", "--set", "n_iter=two"],
        "n_iter must be a whole number; got 'two'",
    ),
    "a setting out of range": (
        ["train", "log.parquet", "--model", "m", "--set", "dropout=1.5"],
        "dropout must be a share .*; got 1.5",
    ),
    "an unknown loss": (["train", "log.parquet", "--model", "m", "--set", "loss=joy"], "loss must be .*; got 'joy'"),
    "no cut-offs": (["evaluate", "log.parquet", "--model", "m", "-k", "ten"], "must be whole numbers .*; got 'ten'"),
    "targets by kind without kinds": (
        ["evaluate", "log.parquet", "--model", "m", "--by", "kind"],
        "must come with --kind",
    ),
    "neither events nor items": (["recommend", "--model", "m"], "must have either EVENTS or --items"),
    "events and items": (["recommend", "a.csv", "--model", "m", "--items", "a"], "must have either EVENTS or --items"),
    "no place to write": (
        ["prepare", "log.parquet", "--train", "a.csv"],
        "must have --train and --test, or --sessions",
    ),
    "a split of a folder": (
        ["prepare", "a.csv", "--sessions", "x", "--test", "b.csv"],
        "--sessions must stand without",
    ),
    "a folder of a data set": (
        ["prepare", "--sessions", "x", "--dataset", "otto"],
        "--sessions must come with EVENTS and without --dataset",
    ),
    "no log": (["analyse"], "EVENTS must name a file"),
    "a try of the unknown": (["tune", "log.parquet", "--try", "a=1"], "--try must name .*; got 'a'"),
    "a try out of range": (["tune", "log.parquet", "--try", "dropout=0,2"], "dropout must be .*; got 2.0"),
    "a sampler without a number of trials": (
        ["tune", "log.parquet", "--try", "dropout=0", "--sampler", "tpe"],
        "--sampler must come with --trials, unless it is grid; got tpe",
    ),
    "a try of what is set": (
        ["tune", "log.parquet", "--try", "dropout=0", "--set", "dropout=0.1"],
        "must not name the same option; got dropout",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_usage_is_told_before_any_file_is_read(capsys, case):
    argv, message = WRONG[case]
    assert re.search(message, refused(capsys, *argv))


ALL = ["--item-support=1", "--test-fraction=0.5", "--unknown-users=keep"]
REFUSED = {
    "a file that is not there": (["train", "none.csv", "--model", "{tmp}/m"], "existing file; got 'none.csv'"),
    "a file of another kind": (["train", "log.txt", "--model", "{tmp}/m"], "end in .csv.*; got 'log.txt'"),
    "a column that is not there": (
        ["train", "{log}", "--model", "{tmp}/m", "--user", "who"],
        "user must name one of the columns .*; got 'who'",
    ),
    "a folder that is no folder of sessions": (
        ["train", "{tmp}", "--model", "{tmp}/m"],
        "files of one kind",
    ),
    "a folder that is not there": (["train", "{tmp}/none", "--model", "{tmp}/m"], "existing file; got '.*none'"),
    "a file cut off": (["train", "{cut}", "--model", "{tmp}/m"], "'cut.csv.gz' must be a whole file; got one cut off"),
    "a file cut off, read by polars": (
        ["prepare", "{cut}", "--sessions", "{tmp}/new"],
        "path must be a whole csv or parquet file; got '.*cut.csv.gz'",
    ),
    "integers of 128 bits": (
        ["train", "{huge}", "--model", "{tmp}/m"],
        "path must be a whole csv or parquet file; got '.*huge.parquet': Integers with more than 64 bits",
    ),
    "integers of 128 bits, for a folder": (
        ["prepare", "{huge}", "--sessions", "{tmp}/new"],
        "item column 'item_id' must hold integers of 64 bits or strings; got 'Int128'",
    ),
    "sessions in no folder": (
        ["prepare", "{log}", "--sessions", "{tmp}/no/x"],
        "path must stand in an existing folder",
    ),
    "a model where no folder is": (["train", "{log}", "--model", "{tmp}/no/m"], "--model must stand in an existing"),
    "a model where a folder is": (["train", "{log}", "--model", "{tmp}"], "--model must be a file"),
    "a share of nothing": (
        ["train", "{log}", "--model", "{tmp}/m", "--validation", "2"],
        "validation must be .*; got 2",
    ),
    "a model that is not there": (["evaluate", "{log}", "--model", "{tmp}/none"], "existing file; got .*none"),
    "a model that is none": (["evaluate", "{log}", "--model", "{log}"], "must be a whole file of ASARSSequenceModel"),
    "integers for a model of strings": (
        ["evaluate", "{integers}", "--model", "{model}"],
        "user ids of the log must be strings, as in training; got integers, like 7",
    ),
    "nothing that the model knows": (["evaluate", "{strangers}", "--model", "{model}"], "must leave events of known"),
    "a cut-off of none": (["evaluate", "{log}", "--model", "{model}", "-k", "0"], "k must be 1 or more; got 0"),
    "no items at all": (["recommend", "--model", "{model}", "--items", "a", "-k", "0"], "k must be 1 or more; got 0"),
    "unknown candidates": (
        ["recommend", "--model", "{model}", "--items", "a", "--candidates", "b"],
        "candidates must name at least one item that the model knows; got 1",
    ),
    "a list of another kind": (
        ["recommend", "--model", "{model}", "--items", "a", "--output", "{tmp}/next.txt"],
        "--output must end in .*; got '.*next.txt'",
    ),
    "more support than there is": (
        ["prepare", "{log}", "--item-support", "999", "--train", "{tmp}/a.csv", "--test", "{tmp}/b.csv"],
        "filter_support must leave events",
    ),
    "numbers that are text, in csv": (
        ["prepare", "{digits}", *ALL, "--train", "{tmp}/a.csv", "--test", "{tmp}/b.parquet"],
        "a csv file must not have item ids of text that are all written as integers, or blank; got \\['1'\\]",
    ),
    "a folder that is there": (["prepare", "{log}", "--sessions", "{tmp}"], "path must not exist yet"),
    "a metric of another name": (["tune", "{log}", "--try", "dropout=0", "--metric", "joy"], "metric must be .*'joy'"),
    "a sampler of another name": (
        ["tune", "{log}", "--try", "dropout=0", "--sampler", "cma", "--trials", "2"],
        "sampler must be one of .*; got 'cma'",
    ),
    "a graph of another format": (
        ["export", "--model", "{model}", "--output", "{tmp}/graph", "--format", "dot"],
        "format must be one of .*; got 'dot'",
    ),
    "a figure of another kind": (["analyse", "{log}", "--plot", "{tmp}/a.txt"], "--plot must end in .*; got"),
    "a graph where no folder is": (
        ["export", "--model", "{model}", "--output", "{tmp}/no/graph"],
        "--output must stand in an existing folder",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_is_told_in_one_line(folder, tmp_path, capsys, case):
    pd.DataFrame({"user_id": [7, 7], "item_id": [1, 2], "timestamp": [0, 1]}).to_parquet(tmp_path / "integers.parquet")
    (tmp_path / "strangers.csv").write_text("user_id,item_id,timestamp\na,x,0\na,y,1\n")
    table = pd.DataFrame({"user_id": list("aabb"), "item_id": list("1212"), "timestamp": [0, 1, 9000, 9001]})
    table.to_parquet(tmp_path / "digits.parquet")
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(table.to_csv().encode())[:60])
    huge = pl.DataFrame(
        {"user_id": [1, 2], "item_id": [1, 2**70], "timestamp": [0, 1]}, schema_overrides={"item_id": pl.Int128}
    )
    huge.write_parquet(tmp_path / "huge.parquet")
    files = {name: tmp_path / f"{name}.parquet" for name in ("digits", "huge")} | {"cut": tmp_path / "cut.csv.gz"}
    files |= {"log": folder / "log.parquet", "model": folder / "model", "tmp": tmp_path}
    files |= {"integers": tmp_path / "integers.parquet", "strangers": tmp_path / "strangers.csv"}
    argv, message = REFUSED[case]
    before = sorted(tmp_path.iterdir())
    assert re.search(message, refused(capsys, *(part.format(**files) for part in argv)))
    assert sorted(tmp_path.iterdir()) == before, "nothing is written"


def test_a_model_of_integers_refuses_text(tmp_path, capsys):
    pd.DataFrame({"user_id": [7, 7], "item_id": [1, 2], "timestamp": [0, 1]}).to_csv(tmp_path / "log.csv", index=False)
    call(capsys, "train", tmp_path / "log.csv", "--model", tmp_path / "model", *SMALL)
    given = ["recommend", "--model", tmp_path / "model", "--items"]
    assert refused(capsys, *given, "1,pear") == "--items must be integers, as in training; got '1,pear'"
    assert refused(capsys, *given, "1", "--user", "ann") == "--user must be integers, as in training; got 'ann'"


def test_a_model_without_raw_ids_says_so(tmp_path, capsys):
    model = ASARSSequenceModel(n_iter=0, embedding_dim=2, hidden_dim=2).fit(SessionInteractions([[1, 2]]))
    model.save(tmp_path / "model")
    given = ["--model", tmp_path / "model"]
    assert "--model must know raw ids" in refused(capsys, "recommend", *given, "--items", "1")
    graph = ["--output", tmp_path / "graph", "--ids", tmp_path / "ids.csv"]
    assert "--ids must come with a model that knows raw ids" in refused(capsys, "export", *given, *graph)


@pytest.mark.parametrize("command", [["--sessions", "new"], ["--train", "a.csv", "--test", "b.csv"]])
def test_a_full_disk_is_named(folder, tmp_path, capsys, monkeypatch, command):
    def fail(*args, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "rename", fail)
    monkeypatch.setattr(os, "replace", fail)
    name = command[1] if "new" in command else r".*a\.csv"
    message = (
        rf"^path must stand where there is room for all of it; got '{name}': \[Errno 28\] No space left on device$"
    )
    assert re.search(message, refused(capsys, "prepare", folder / "log.parquet", *command))
    assert list(tmp_path.iterdir()) == [], "nothing is left"


def test_what_is_not_given_but_missing_has_another_code(capsys, monkeypatch):
    def fail(args):
        raise ImportError("parquet needs pyarrow")

    monkeypatch.setattr(train, "run", fail)
    assert refused(capsys, "train", "log.csv", "--model", "m", code=1) == "parquet needs pyarrow"


def test_an_interruption_has_a_code_of_its_own(capsys, monkeypatch):
    def interrupt(args):
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "run", interrupt)
    assert main(["train", "log.csv", "--model", "m"]) == 130
    assert capsys.readouterr().err == "spotlight-asars: interrupted\n"


def test_the_traceback_is_there_for_who_asks(capsys):
    with pytest.raises(FileNotFoundError, match=r"none\.csv"):
        main(["analyse", "none.csv", "--traceback"])


def test_what_nobody_expected_is_not_hidden(monkeypatch):
    monkeypatch.setattr(train, "run", lambda args: {}["a mistake of ours"])
    with pytest.raises(KeyError):
        main(["train", "log.csv", "--model", "m"])


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_has_a_purpose_defaults_and_an_example(capsys, command):
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    out = capsys.readouterr().out
    assert stopped.value.code == 0
    text = " ".join(out.split())
    assert COMMANDS[command].PURPOSE[1:] in text
    assert "default" in text
    assert f"spotlight-asars {command}" in out.partition("example")[2]


@pytest.mark.parametrize("command", ["train", "tune"])
def test_the_help_lists_every_option_of_the_model_that_a_text_can_give(command):
    help_text = COMMANDS[command].EPILOG
    names = set(ASARSSequenceModel().get_params())
    assert names - {name for name in names if f"\n  {name}=" in help_text} == {
        "optimizer_func",
        "use_cuda",
        "kind_weights",
    }
    assert "\n    gru, lstm\n" in help_text, "and the values of those that have a list"


def test_examples_in_the_help_parse():
    parser = build_parser()
    text = " ".join([parser.epilog, *(module.EPILOG for module in COMMANDS.values())]).replace("\\\n", " ")
    calls = [line.split()[1:] for line in text.splitlines() if line.startswith("  spotlight-asars ")]
    assert {argv[0] for argv in calls} == set(COMMANDS)
    for argv in calls:
        parser.parse_args(argv)


def test_the_program_runs_as_a_module():
    command = [sys.executable, "-m", "spotlight_asars", "train", "none.csv", "--model", "model"]
    wrong = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr == "spotlight-asars: error: path must name an existing file; got 'none.csv'\n"


def test_a_trained_model_is_not_lost_where_its_file_cannot_be_written(folder, tmp_path, capsys, monkeypatch):
    move, moves = tensor_files._move, []

    def full_at_first(beside, path, earlier):
        moves.append(path)
        if len(moves) == 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        move(beside, path, earlier)

    monkeypatch.setattr(tensor_files, "_move", full_at_first)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    text = refused(capsys, "train", folder / "log.parquet", "--model", tmp_path / "m", *SMALL)
    saved = re.search(r"got '.*m': No space left on device\. .* The model is in '(.*)'", text)[1]
    assert ASARSSequenceModel.load(saved).epochs
