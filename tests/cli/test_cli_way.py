"""The whole way from a raw log to recommendations, and that the command line answers what the library does."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from commands import SMALL, call, raw_frame

from spotlight_asars import ASARSSequenceModel, EventLog, to_sessions
from spotlight_asars.cli import main
from spotlight_asars.cli.arguments import DWELL, SESSION
from spotlight_asars.evaluation import evaluate
from spotlight_asars.preparation import SessionShards

COLUMNS = ["--user", "visitor", "--item", "sku", "--timestamp", "t"]


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A folder with the raw log, train and test files, and a model."""
    folder = tmp_path_factory.mktemp("shop")
    raw_frame().to_csv(folder / "clicks.csv.gz", index=False)
    files = ["--train", str(folder / "train.parquet"), "--test", str(folder / "test.parquet")]
    assert main(["prepare", str(folder / "clicks.csv.gz"), *COLUMNS, "--text-ids", *files]) == 0
    assert main(["train", str(folder / "train.parquet"), "--model", str(folder / "model"), *SMALL]) == 0
    return folder


@pytest.fixture(scope="module")
def by_library():
    """Train and test logs, and the model, as the library makes them of the same log."""
    log = EventLog.from_frame(raw_frame(), "visitor", "sku", "t").collapse_repeats().filter_support()
    train, test = log.split_by_time()
    small = {"embedding_dim": 8, "hidden_dim": 8, "user_dim": 8, "time_dim": 8, "n_iter": 1, "random_state": 0}
    return train, test, ASARSSequenceModel(**small).fit(to_sessions(train))


def test_prepared_files_are_the_logs_of_the_library(shop, by_library):
    for name, log in zip(("train", "test"), by_library, strict=False):
        read = EventLog.read(shop / f"{name}.parquet", dwell=DWELL, session=SESSION)
        assert read.item_vocabulary.decode(read.item_ids).tolist() == log.item_vocabulary.decode(log.item_ids).tolist()
        assert read.user_vocabulary.decode(read.user_ids).tolist() == log.user_vocabulary.decode(log.user_ids).tolist()
        np.testing.assert_array_equal(read.dwell_times(), log.dwell_times())
        np.testing.assert_array_equal(read.session_ids(), log.session_ids())


@pytest.mark.parametrize("ending", [".csv", ".csv.gz"])
def test_what_prepare_writes_to_csv_train_reads(tmp_path, capsys, ending):
    ids = ["NA", "null", "nan", "007", "7", 'a "b",\nc', "None", "1.0"]
    times = pd.to_datetime(range(40), unit="h", utc=True).tz_convert("America/New_York")
    items = [ids[(place + place // 8) % 8] for place in range(40)]
    table = pd.DataFrame({"user_id": ids * 5, "item_id": items, "timestamp": times, "shelf": [None, *range(39)]})
    table.to_parquet(tmp_path / "raw.parquet")
    files = ["--train", tmp_path / f"train{ending}", "--test", tmp_path / f"test{ending}", "--category", "shelf"]
    whole = ["--inactivity", 10**6, "--keep-repeats", "--unknown-users", "keep", "--test-fraction", 0.3]
    call(capsys, "prepare", tmp_path / "raw.parquet", *files, *whole)
    call(capsys, "train", tmp_path / f"train{ending}", "--model", tmp_path / "model", *SMALL[:-1])
    known = ASARSSequenceModel.load(tmp_path / "model")
    train = EventLog.read(tmp_path / f"train{ending}", session=SESSION)
    assert known.item_vocabulary.raw.tolist() == train.item_vocabulary.raw.tolist() == sorted(ids)
    test = EventLog.read(tmp_path / f"test{ending}", session=SESSION)
    assert {*train.user_vocabulary.raw, *test.user_vocabulary.raw} == set(ids)


def test_units_are_those_of_the_library(tmp_path, capsys):
    table = raw_frame().astype({"t": int})
    table.assign(t=table.t + 1_717_200_000).to_csv(tmp_path / "s.csv", index=False)
    table.assign(t=(table.t + 1_717_200_000) * 1000).to_csv(tmp_path / "ms.csv", index=False)
    for unit, name in (("s", "s"), ("ms", "ms")):
        files = ["--train", tmp_path / f"{name}.train.csv", "--test", tmp_path / f"{name}.test.csv"]
        call(capsys, "prepare", tmp_path / f"{name}.csv", *COLUMNS, *files, "--unit", unit)
        call(capsys, "prepare", tmp_path / f"{name}.csv", *COLUMNS, "--sessions", tmp_path / name, "--unit", unit)
    seconds, milliseconds = (pd.read_csv(tmp_path / f"{name}.train.csv") for name in ("s", "ms"))
    pd.testing.assert_frame_equal(seconds, milliseconds, check_dtype=False)
    sessions = [SessionShards(tmp_path / name).read() for name in ("s", "ms")]
    assert sessions[0].started.tolist() == sessions[1].started.tolist()


def test_evaluate_looks_at_the_lists_where_it_is_asked_to(shop, by_library, capsys, tmp_path):
    given = ["evaluate", shop / "test.parquet", "--model", shop / "model", "-k", "5"]
    plain = call(capsys, *given)["metrics"]
    with_lists = call(capsys, *given, "--lists", "--category", "item_id")["metrics"]
    assert {name: with_lists[name] for name in plain} == plain
    assert set(with_lists) - set(plain) == {f"{name}@5" for name in ("coverage", "novelty", "tail", "diversity")}
    assert with_lists["diversity@5"] == 1


def test_training_and_evaluation_give_the_librarys_numbers(shop, by_library, capsys):
    _, test, model = by_library
    given = ["evaluate", shop / "test.parquet", "--model", shop / "model", "-k", "5,20"]
    for extra, options in ([], {}), (["--positions", "last", "--roll-history"], {"positions": "last"}):
        report = evaluate(model, to_sessions(test), (5, 20), roll_history=bool(options), **options)
        answer = call(capsys, *given, *extra)
        assert answer["metrics"] == dict(report)
        assert answer["targets"] == len(report.ranks)


def test_csv_files_know_strings_by_the_model(shop, tmp_path, capsys):
    expected = call(capsys, "evaluate", shop / "test.parquet", "--model", shop / "model")
    pd.read_parquet(shop / "test.parquet").to_csv(tmp_path / "test.csv", index=False)
    assert call(capsys, "evaluate", tmp_path / "test.csv", "--model", shop / "model") == expected


def test_recommendations_for_one_session_are_the_librarys(shop, capsys):
    model = ASARSSequenceModel.load(shop / "model")
    given = ["recommend", "--model", shop / "model", "--items", "003,004,999", "--user", "u3", "-k", "3"]
    answer = call(capsys, *given)
    expected = model.recommend([["003", "004", "999"]], k=3, user_ids=["u3"])
    assert [row["item_id"] for row in answer["recommendations"]] == expected.items[0].tolist()
    assert [row["rank"] for row in answer["recommendations"]] == [1, 2, 3]
    assert {row["user_id"] for row in answer["recommendations"]} == {"u3"}
    assert answer["unknown"] == {"events": 1, "items": 1, "users": 0}


def test_an_unknown_user_is_served_like_none(shop, capsys):
    given = ["recommend", "--model", shop / "model", "--items", "003", "-k", "3"]
    nobody, stranger = call(capsys, *given), call(capsys, *given, "--user", "zed")
    assert stranger["unknown"]["users"] == 1
    for rows in (nobody, stranger):
        rows["items"] = [row["item_id"] for row in rows["recommendations"]]
    assert nobody["items"] == stranger["items"]


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet", "json"])
def test_recommendations_for_a_file_have_a_row_for_each_place_of_each_session(shop, tmp_path, capsys, ending):
    events = tmp_path / "today.csv"
    events.write_text("user_id,item_id,timestamp\nu1,003,10\nu1,004,20\nu1,003,9999\nzed,nothing,5\n")
    out = tmp_path / f"next.{ending}"
    answer = call(capsys, "recommend", events, "--model", shop / "model", "-k", 4, "--output", out)
    assert answer["unknown"] == {"events": 1, "items": 1, "users": 1}
    read = {"parquet": pd.read_parquet, "json": lambda path: pd.DataFrame(json.loads(path.read_text()))}
    frame = read.get(ending, lambda path: pd.read_csv(path, dtype={"item_id": str}))(out)
    assert list(frame) == ["user_id", "session", "rank", "item_id", "score"]
    assert frame["session"].tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert frame["user_id"].tolist() == ["u1"] * 8 + ["zed"] * 4
    model = ASARSSequenceModel.load(shop / "model")
    expected = model.recommend(pd.read_csv(events, dtype={"item_id": str}), k=4)
    assert frame["item_id"].tolist() == expected.items.ravel().tolist()
    assert not list(tmp_path.glob(".*")), "nothing is left beside"


def test_recommendations_may_leave_out_what_was_seen_and_keep_to_candidates(shop, capsys):
    given = ["recommend", "--model", shop / "model", "--items", "003,004"]
    answer = call(capsys, *given, "--exclude-seen", "session", "--candidates", "003,005,006")
    assert sorted(row["item_id"] for row in answer["recommendations"]) == ["005", "006"]


def test_rules_are_arguments_or_a_file_with_lists_for_each_session(shop, capsys, tmp_path):
    given = ["recommend", "--model", shop / "model", "--items", "003,004"]
    some = ["--candidates", "003,005,006", "--exclude", "006", "--boosts", "003=-1e6,nothing=2"]
    answer = call(capsys, *given, *some)
    assert [row["item_id"] for row in answer["recommendations"]] == ["005", "003"]
    assert answer["recommendations"][1]["score"] < -1e5
    assert answer["unknown_in_rules"] == {"candidates": 0, "exclude": 0, "boosts": 1}
    file = tmp_path / "rules.json"
    file.write_text('{"candidates": [["003", "005", "006"]], "exclude": ["006"], "boosts": {"003": -1e6}}')
    same = call(capsys, *given, "--rules", file)
    assert [row["item_id"] for row in same["recommendations"]] == ["005", "003"]
    assert main([*map(str, given), *some, "-k", "1"]) == 0
    assert capsys.readouterr().err.endswith("; items in rules: 1 of boosts\n")


def test_recommend_prints_a_table_and_says_what_is_unknown(shop, capsys):
    given = ["recommend", "--model", str(shop / "model"), "--items", "003,nothing", "-k", "2"]
    assert main(given) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[0].split() == ["session", "rank", "item_id", "score"]
    assert len(out.splitlines()) == 3
    assert err == "unknown to the model: 1 events of 1 items; 0 users\n"


def test_a_model_of_integers_takes_integers(tmp_path, capsys):
    frame = raw_frame().assign(visitor=lambda log: log["visitor"].str[1:].astype(int), sku=lambda log: log["sku"])
    frame.assign(sku=frame["sku"].astype(int)).to_csv(tmp_path / "log.csv", index=False)
    call(capsys, "train", tmp_path / "log.csv", *COLUMNS, "--model", tmp_path / "model", *SMALL)
    answer = call(capsys, "recommend", "--model", tmp_path / "model", "--items", "3", "--user", "999", "-k", "1")
    assert isinstance(answer["recommendations"][0]["item_id"], int)
    assert answer["unknown"]["users"] == 1


def test_a_folder_of_sessions_trains_the_same_model(shop, tmp_path, capsys):
    call(capsys, "prepare", shop / "clicks.csv.gz", *COLUMNS, "--text-ids", "--sessions", tmp_path / "folder")
    trained = call(capsys, "train", tmp_path / "folder", "--model", tmp_path / "model", *SMALL)
    log = EventLog.from_frame(raw_frame(), "visitor", "sku", "t").collapse_repeats().filter_support()
    assert trained["sessions"] == len(to_sessions(log))
    answer = call(capsys, "recommend", "--model", tmp_path / "model", "--items", "003", "-k", "1")
    assert answer["recommendations"][0]["item_id"] in log.item_vocabulary.raw


def test_training_validates_and_shows_a_bar_unless_quiet(shop, tmp_path, capsys):
    command = ["train", shop / "train.parquet", "--model", tmp_path / "model", "--validation", "0.2", *SMALL]
    answer = call(capsys, *command, "--set", "n_iter=2", "--set", "patience=5", "--set", "monitor=mrr@20")
    assert len(answer["loss"]) == len(answer["validation"]) == 2
    assert all(0 < value < 1 for value in answer["validation"])
    assert main([str(part) for part in command if part != "--quiet"]) == 0
    assert "batch" in capsys.readouterr().err


def test_tuning_goes_on_in_its_file(shop, tmp_path, capsys):
    space = ["--try", "learning_rate=0.01,0.05"]
    command = ["tune", shop / "train.parquet", "--storage", tmp_path / "trials.log", *SMALL, *space]
    trials = call(capsys, *command)["trials"]
    assert {trial["options"]["learning_rate"] for trial in trials} == {0.01, 0.05}
    assert trials[0]["metrics"]["mrr@20"] >= trials[1]["metrics"]["mrr@20"]
    assert call(capsys, *command)["trials"] == trials, "also the seconds: nothing was tried again"
    assert call(capsys, *command, "--trials", "2", "--sampler", "random")["trials"] == trials
    assert main(["tune", str(shop / "train.parquet"), *SMALL, *space, "--trials", "1"]) == 0
    assert capsys.readouterr().out.split()[:4] == ["learning_rate", "mrr@20", "epochs", "seconds"]


def test_analysis_is_text_json_and_a_figure(shop, tmp_path, capsys):
    given = ["analyse", shop / "clicks.csv.gz", *COLUMNS, "--category", "shelf"]
    answer = call(capsys, *given, "--plot", tmp_path / "figure.svg")
    assert answer["summary"]["events"] == len(raw_frame())
    assert answer["summary"]["categories"] == 3
    assert (tmp_path / "figure.svg").stat().st_size > 0
    assert main(list(map(str, given))) == 0
    assert "events per session, mean" in capsys.readouterr().out


def test_export_writes_a_graph_and_the_ids_of_its_items(shop, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(ASARSSequenceModel, "export", lambda self, *given, **more: exported.append((*given, more)))
    exported = []
    command = ["export", "--model", shop / "model", "--format", "torch", "--output", tmp_path / "graph.pt2"]
    call(capsys, *command, "--top-k", 5, "--memories", "none")
    call(capsys, *command, "--memories", "history,neighbours")
    answer = call(capsys, *command, "--ids", tmp_path / "items.csv")
    asked = [{"top_k": 5, "memories": []}, {"top_k": None, "memories": ["history", "neighbours"]}]
    asked.append({"top_k": None, "memories": True})
    assert exported == [(tmp_path / "graph.pt2", "torch", "scores", more) for more in asked]
    ids = pd.read_csv(tmp_path / "items.csv", dtype={"item_id": str})
    model = ASARSSequenceModel.load(shop / "model")
    assert ids["number"].tolist() == list(range(1, model.num_items))
    assert ids["item_id"].tolist() == model.item_vocabulary.raw.tolist()
    assert answer["items"] == len(ids)


def test_published_data_sets_are_read_by_name(tmp_path, capsys, monkeypatch):
    lines = [f"{user}\t{item}\t3\t{9 * 10**8 + 7200 * user + item}" for user in range(1, 9) for item in range(1, 6)]
    (tmp_path / "u.data").write_text("\n".join(lines) + "\n")
    files = ["--train", tmp_path / "train.csv", "--test", tmp_path / "test.csv", "--unknown-users", "keep"]
    dataset = ["--dataset", "movielens-100k", "--partial"]
    answer = call(capsys, "prepare", tmp_path, *dataset, *files)
    assert answer["read"] == 40
    assert answer["train"]["events"] + answer["test"]["events"] == 40


def test_kinds_and_context_go_the_whole_way(tmp_path, capsys):
    frame = raw_frame()
    frame = frame.assign(what=np.array(["view", "buy", None])[np.arange(len(frame)) % 3], device="tv", place=7)
    frame.loc[frame.visitor < "u5", "device"] = "phone"
    frame.to_parquet(tmp_path / "clicks.parquet")
    files = ["--train", tmp_path / "train.csv", "--test", tmp_path / "test.csv"]
    context = ["--context", "device,place"]
    call(capsys, "prepare", tmp_path / "clicks.parquet", *COLUMNS, "--kind", "what", *context, *files, "--text-ids")
    labels = ["--kind", "kind", *context, "--text-ids"]
    call(capsys, "train", tmp_path / "train.csv", "--model", tmp_path / "model", *labels, *SMALL[:-1])
    log = EventLog.from_frame(frame, "visitor", "sku", "t", kind="what", context=["device", "place"])
    train, test = log.collapse_repeats().filter_support().split_by_time()
    call(
        capsys,
        "prepare",
        tmp_path / "clicks.parquet",
        *COLUMNS,
        "--kind",
        "what",
        *context,
        "--sessions",
        tmp_path / "s",
    )
    in_folder, whole = SessionShards(tmp_path / "s").read(), to_sessions(log.collapse_repeats().filter_support())
    np.testing.assert_array_equal(in_folder.flat_kinds, whole.flat_kinds)
    np.testing.assert_array_equal(in_folder.context, whole.context)
    small = {"embedding_dim": 8, "hidden_dim": 8, "user_dim": 8, "time_dim": 8, "n_iter": 1}
    read, model = to_sessions(train), ASARSSequenceModel.load(tmp_path / "model")
    assert model.kind_vocabulary.raw.tolist() == ["buy", "view"]
    assert {name: one.raw.tolist() for name, one in model.context_vocabularies.items()} == {
        "device": ["phone", "tv"],
        "place": [7],
    }
    same = ASARSSequenceModel(**small, random_state=0).fit(read)
    assert model._catalogue.labels == same._catalogue.labels
    report = evaluate(model, to_sessions(test.encode_like(model)), k=10, by="kind", ask_kinds=True)
    asked = ["-k", 10, "--by", "kind", "--ask-kinds"]
    answer = call(capsys, "evaluate", tmp_path / "test.csv", "--model", tmp_path / "model", *labels, *asked)
    assert answer["metrics"]["mrr@10"] == pytest.approx(report["mrr@10"])
    for kind in ("buy", "view", "unknown"):
        assert answer["by"][kind]["recall@10"] == pytest.approx(report.by[kind]["recall@10"])
        assert answer["by"][kind]["targets"] == len(report.by[kind].ranks)
    asked = ["--next-kind", "buy", "-k", 2]
    answer = call(capsys, "recommend", "--items", "001,002", "--model", tmp_path / "model", *asked)
    best = model.recommend([["001", "002"]], k=2, kind="buy")
    assert [row["item_id"] for row in answer["recommendations"]] == best.items[0].tolist()
    answer = call(capsys, "recommend", tmp_path / "test.csv", "--model", tmp_path / "model", *labels, *asked)
    best = model.recommend(test, k=2, kind="buy")
    assert [row["item_id"] for row in answer["recommendations"]] == best.items.ravel().tolist()
