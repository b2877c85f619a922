"""What is particular to one data set: its options, its published size, and real logs where they are."""

from __future__ import annotations

import csv
import gzip
import json
import re
from itertools import groupby

import numpy as np
import pytest
from samples import KUAIRAND_HEADER, SAMPLES, write

from spotlight_asars import EventLog, to_sessions
from spotlight_asars.datasets import DATASETS, diginetica, kuairand, movielens, otto, recsys15, retailrocket, tianchi


def load(tmp_path, name, text=None, **options):
    sample = SAMPLES[name]
    return DATASETS[name](write(tmp_path, sample.name, sample.text if text is None else text), partial=True, **options)


def raw(log):
    return list(
        zip(
            log.user_vocabulary.decode(log.user_ids).tolist(),
            log.item_vocabulary.decode(log.item_ids).tolist(),
            strict=True,
        )
    )


def refuses(message):
    return pytest.raises(ValueError, match=f"^{re.escape(message)}$")


@pytest.mark.parametrize(
    ("name", "option", "value", "items"),
    [
        ("tianchi", "behaviours", "pv", [2268318]),
        ("tianchi", "item", "category", [2520377, 2520771, 149192]),
        ("retailrocket", "events", {"addtocart", "transaction"}, [318965, 248676]),
        ("otto", "types", ("clicks", "orders"), [1517085, 1517085]),
        ("kuairand", "clicks_only", True, [1205, 1205]),
    ],
)
def test_an_option_chooses_events(tmp_path, name, option, value, items):
    log = load(tmp_path, name, **{option: value})
    assert log.item_vocabulary.decode(log.item_ids).tolist() == items


@pytest.mark.parametrize(
    ("name", "option", "value", "message"),
    [
        ("tianchi", "behaviours", ("view",), "behaviours must be one of ['pv', 'buy', 'cart', 'fav']; got 'view'"),
        ("tianchi", "item", "shop", "item must be one of ['item', 'category']; got 'shop'"),
        ("tianchi", "behaviours", "fav", "behaviours and in_period must leave events of those in the file; got 0"),
        ("retailrocket", "events", "click", "events must be one of ['view', 'addtocart', 'transaction']; got 'click'"),
        ("retailrocket", "events", (), "events must leave events of those in the file; got 0"),
        ("otto", "types", "views", "types must be one of ['clicks', 'carts', 'orders']; got 'views'"),
        ("otto", "types", [], "types must leave events of those in the file; got 0"),
        ("otto", "part", "all", "part must be one of ['train', 'test']; got 'all'"),
        ("diginetica", "user", "visitor", "user must be one of ['session', 'user']; got 'visitor'"),
    ],
)
def test_an_option_out_of_range_is_refused(tmp_path, name, option, value, message):
    with refuses(message):
        load(tmp_path, name, **{option: value})


def test_tianchi_lasts_nine_days_in_china(tmp_path):
    first, after = (
        int(np.datetime64(f"2017-{day}T00:00:00", "s").astype(int)) - 8 * 3600 for day in ("11-25", "12-04")
    )
    times = [first - 1, first, after - 1, after, 2**40]
    text = "".join(f"1,{item},7,pv,{time}\n" for item, time in enumerate(times))
    assert [item for _, item in raw(load(tmp_path, "tianchi", text))] == [0, 1, 2, 3, 4]
    assert [item for _, item in raw(load(tmp_path, "tianchi", text, in_period=True))] == [1, 2]


def test_a_published_number_of_lines_needs_no_permission(tmp_path, monkeypatch):
    for module, name, constant in (
        (movielens, "movielens-100k", "RATINGS_100K"),
        (movielens, "movielens-1m", "RATINGS_1M"),
        (recsys15, "recsys15", "CLICKS"),
        (tianchi, "tianchi", "EVENTS"),
        (diginetica, "diginetica", "VIEWS"),
        (retailrocket, "retailrocket", "EVENTS"),
        (kuairand, "kuairand", "EVENTS"),
    ):
        monkeypatch.setattr(module, constant, 3)
        assert len(DATASETS[name](write(tmp_path, SAMPLES[name].name, SAMPLES[name].text))) == 3
    monkeypatch.setitem(otto.EVENTS, "train", 3)
    path = write(tmp_path, SAMPLES["otto"].name, SAMPLES["otto"].text)
    assert len(otto.load_otto(path, types="orders")) == 1  # lines are counted before they are chosen
    with refuses(
        f"{path.name!r} must have the 13,851,293 events published; got 3. "
        "A file cut off has fewer; partial=True reads a part on purpose"
    ):
        otto.load_otto(path, part="test")


def test_otto_has_two_parts(tmp_path):
    line = '{"session":%d,"events":[{"aid":1,"ts":2000,"type":"clicks"}]}\n'
    write(tmp_path, "otto-recsys-train.jsonl", line % 3, ".gz")
    write(tmp_path, "otto-recsys-test.jsonl", line % 4, ".gz")
    for part, user in (("train", 3), ("test", 4)):
        assert otto.load_otto(tmp_path, part, partial=True).user_vocabulary.raw.tolist() == [user]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "[]",
        "{",
        '{"session":0}',
        '{"session":"0","events":[{"aid":1,"ts":2,"type":"clicks"}]}',
        '{"session":0,"events":[{"aid":1.5,"ts":2,"type":"clicks"}]}',
        '{"session":0,"events":[{"aid":1,"ts":true,"type":"clicks"}]}',
        '{"session":0,"events":[{"aid":1,"ts":2,"type":"views"}]}',
        '{"session":0,"events":[{"aid":1,"ts":2,"type":null}]}',
        '{"session":0,"events":5}',
    ],
)
def test_otto_names_a_line_of_another_kind(tmp_path, line):
    with pytest.raises(
        ValueError, match=rf"^line 3 of 'otto.* must be \{{\"session\": .*; got {re.escape(repr(line))}$"
    ):
        load(tmp_path, "otto", f"{SAMPLES['otto'].text}{line}\n{SAMPLES['otto'].text}")


def test_otto_refuses_numbers_too_large(tmp_path):
    line = '{"session":0,"events":[{"aid":%d,"ts":2,"type":"clicks"}]}\n'
    message = "'otto-recsys-train.jsonl' must have integers of 64 bits; got more before line 3"
    with refuses(message):
        load(tmp_path, "otto", line % 1 + line % 2**63)


def test_otto_may_have_sessions_without_events_and_fields_of_its_own(tmp_path):
    text = '{"session":5,"events":[]}\n{"more":[1],"session":6,"events":[{"type":"carts","x":{},"ts":1500,"aid":-7}]}\n'
    log = load(tmp_path, "otto", text)
    assert raw(log) == [(6, -7)]
    assert log.timestamps.tolist() == [1.5]


def test_otto_is_read_block_by_block(tmp_path, monkeypatch):
    whole = load(tmp_path, "otto")
    monkeypatch.setattr(otto, "BLOCK", 10)
    parts = load(tmp_path, "otto", types=("clicks", "carts", "orders"))
    assert raw(whole) == raw(parts)
    assert whole.timestamps.tolist() == parts.timestamps.tolist()


def test_kuairand_reads_both_standard_logs_and_not_the_random_one(tmp_path):
    line = "%d,%d,20220408,0,1649347205301,0,0,0,0,0,0,0,0,60666,0,0,0,0,1\n"
    for name, user in (("standard_4_08_to_4_21", 1), ("standard_4_22_to_5_08", 2), ("random_4_22_to_5_08", 3)):
        write(tmp_path, f"log_{name}_pure.csv", KUAIRAND_HEADER + line % (user, 7))
    assert raw(kuairand.load_kuairand(tmp_path, partial=True)) == [(1, 7), (2, 7)]
    with pytest.raises(
        ValueError, match=r"^'log_.*08_to_4_21_pure\.csv' and 'log_.*_pure\.csv' must have the 1,436,609 "
    ):
        kuairand.load_kuairand(tmp_path)


DIGINETICA = "sessionId;userId;itemId;timeframe;eventdate\n"


def test_a_diginetica_session_over_midnight_counts_from_its_first_day(tmp_path):
    text = DIGINETICA + "4;NA;2;5000;2016-05-10\n4;NA;1;1000;2016-05-09\n"
    log = load(tmp_path, "diginetica", text)
    assert raw(log) == [(4, 1), (4, 2)]
    assert np.diff(log.timestamps).tolist() == [4.0]


def test_diginetica_users_have_whole_sessions_and_unknown_ones_go(tmp_path):
    text = DIGINETICA + (
        "8;5;11;0;2016-05-09\n8;NA;12;1000000;2016-05-09\n"  # known by its first view
        "9;NA;13;1000;2016-05-09\n"  # nobody's
        "3;NA;14;2000;2016-05-09\n3;5;15;3000;2016-05-09\n"  # the same user on the same day, and a smaller number
        "7;6;16;0;2016-05-09\n"
        "1;5;17;0;2016-05-11\n"
    )
    log = load(tmp_path, "diginetica", text, user="user")
    assert raw(log) == [(5, 14), (5, 15), (5, 11), (5, 12), (5, 17), (6, 16)]
    day = 1462752000
    third, eighth = day, day + 3 + diginetica.APART
    assert log.timestamps.tolist() == [third + 2, third + 3, eighth, eighth + 1000, day + 2 * 86400, day]
    assert to_sessions(log, min_sequence_length=1).lengths.tolist() == [2, 2, 1, 1]


def test_diginetica_without_a_known_user_is_refused(tmp_path):
    with refuses("user='user' must leave events of those in the file; got 0"):
        load(tmp_path, "diginetica", DIGINETICA + "1;NA;81766;526309;2016-05-09\n", user="user")


def real_rows(data_folder, name):
    with gzip.open(data_folder / name / "events.csv.gz", "rt") as file:
        return list(csv.DictReader(file))


def assert_same(one, other):
    assert one.timestamps.tolist() == other.timestamps.tolist()
    assert raw(one) == raw(other)


def test_movielens_100k_whole(data_folder, tmp_path):
    rows = real_rows(data_folder, "ml-100k")
    text = "".join(f"{row['user_id']}\t{row['item_id']}\t{row['rating']}\t{row['timestamp']}\n" for row in rows)
    log = movielens.load_movielens_100k(write(tmp_path, "u.data", text, ".zip"))
    assert (len(log), log.num_users, log.num_items) == (100_000, 943, 1683)
    assert_same(log, EventLog.read(data_folder / "ml-100k" / "events.csv.gz"))


def test_recsys15_part(data_folder, tmp_path):
    rows = real_rows(data_folder, "yoochoose")
    milliseconds = np.array([round(float(row["timestamp"]) * 1000) for row in rows]).astype("datetime64[ms]")
    lines = (f"{row['user_id']},{time}Z,{row['item_id']},0\n" for row, time in zip(rows, milliseconds, strict=True))
    log = recsys15.load_recsys15(write(tmp_path, "yoochoose-clicks.dat", "".join(lines), ".gz"), partial=True)
    assert_same(log, EventLog.read(data_folder / "yoochoose" / "events.csv.gz"))


def test_otto_part(data_folder, tmp_path):
    lines = []
    for user, rows in groupby(real_rows(data_folder, "otto"), key=lambda row: row["user_id"]):
        events = [
            {"aid": int(row["item_id"]), "ts": round(float(row["timestamp"]) * 1000), "type": row["behavior"]}
            for row in rows
        ]
        lines.append(json.dumps({"session": int(user), "events": events}))
    path = write(tmp_path, "otto-recsys-train.jsonl", "\n".join(lines))
    log = otto.load_otto(path, partial=True)
    assert (len(log), log.num_users, log.num_items) == (862, 20, 511)
    assert_same(log, EventLog.read(data_folder / "otto" / "events.csv.gz"))
    assert len(otto.load_otto(path, types="clicks", partial=True)) == 800
