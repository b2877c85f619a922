"""A few lines of each data set in its true format, and the log that they are.

``SAMPLES`` has one entry per data set; the contract test fails for a data set without one.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Sample:
    """One data set, small."""

    name: str  # of the file
    text: str
    users: list[int]  # raw ids of each event, sorted as the log is
    items: list[int]
    timestamps: list[float]
    bad: str  # a line that breaks the format
    message: str  # what is said of it as line {line}
    dwell: list[float] | None = None
    categories: list[Any] | None = None
    options: dict[str, Any] = field(default_factory=dict)


KUAIRAND_HEADER = (
    "user_id,video_id,date,hourmin,time_ms,is_click,is_like,is_follow,is_comment,is_forward,is_hate,long_view,"
    "play_time_ms,duration_ms,profile_stay_time,comment_stay_time,is_profile_enter,is_rand,tab\n"
)

SAMPLES = {
    "movielens-100k": Sample(
        "u.data",
        "196\t242\t3\t881250949\n186\t302\t3\t891717742\n196\t377\t1\t881250949\n",
        [186, 196, 196],
        [302, 242, 377],
        [891717742, 881250949, 881250949],
        "196\t242\t3\n",
        "line {line} of 'u.data' must have 4 fields between '\\t'; got '196\\t242\\t3'",
    ),
    "movielens-1m": Sample(
        "ratings.dat",
        "1::1193::5::978300760\n2::661::3::978302109\n1::914::3::978301968\n",
        [1, 1, 2],
        [1193, 914, 661],
        [978300760, 978301968, 978302109],
        "1:1193:5:978300760\n",
        "line {line} of 'ratings.dat' must have 7 fields between ':'; got '1:1193:5:978300760'",
    ),
    "recsys15": Sample(
        "yoochoose-clicks.dat",
        "2,2014-04-07T13:56:37.614Z,214662742,0\n1,2014-04-07T10:51:09.277Z,214536502,S\n"
        "1,2014-04-07T10:54:09.868Z,214536500,0\n",
        [1, 1, 2],
        [214536502, 214536500, 214662742],
        [1396867869.277, 1396868049.868, 1396878997.614],
        "1,2014-04-07 10:51:09,214536502,0\n",
        "line {line} of 'yoochoose-clicks.dat' must have a date and time such as 2014-04-07T10:51:09.277Z as its "
        "timestamp; got '2014-04-07 10:51:09'",
        categories=["S", "0", "0"],
    ),
    "tianchi": Sample(
        "UserBehavior.csv",
        "1,2268318,2520377,pv,1511544070\n1,2333346,2520771,buy,1511561733\n100,2576651,149192,cart,-2134949234\n",
        [1, 1, 100],
        [2268318, 2333346, 2576651],
        [1511544070, 1511561733, -2134949234],
        "1,2268318,2520377,view,1511544070\n",
        "line {line} of 'UserBehavior.csv' must have one of ['pv', 'buy', 'cart', 'fav'] as its behaviour; got 'view'",
        categories=[2520377, 2520771, 149192],
    ),
    "diginetica": Sample(
        "train-item-views.csv",
        "sessionId;userId;itemId;timeframe;eventdate\n1;NA;81766;526309;2016-05-09\n1;7;31331;1031018;2016-05-09\n"
        "2;NA;32118;243569;2016-05-10\n",
        [1, 1, 2],
        [81766, 31331, 32118],
        [1462752000 + 526.309, 1462752000 + 1031.018, 1462838400 + 243.569],
        "1;NA;81766;soon;2016-05-09\n",
        "line {line} of 'train-item-views.csv' must have an integer of 64 bits as its timeframe; got 'soon'",
    ),
    "retailrocket": Sample(
        "events.csv",
        "timestamp,visitorid,event,itemid,transactionid\n1433221332117,257597,view,355908,\n"
        "1433224214164,257597,transaction,248676,12\n1433221999827,111016,addtocart,318965,\n",
        [111016, 257597, 257597],
        [318965, 355908, 248676],
        [1433221999.827, 1433221332.117, 1433224214.164],
        "1433221332117,257597,like,355908,\n",
        "line {line} of 'events.csv' must have one of ['view', 'addtocart', 'transaction'] as its event; got 'like'",
    ),
    "otto": Sample(
        "otto-recsys-train.jsonl",
        '{"session":0,"events":[{"aid":1517085,"ts":1659304800025,"type":"clicks"},'
        '{"aid":1563459,"ts":1659304904511,"type":"carts"}]}\n'
        '{"session":1,"events":[{"aid":1517085,"ts":1659367439426,"type":"orders"}]}\n',
        [0, 0, 1],
        [1517085, 1563459, 1517085],
        [1659304800.025, 1659304904.511, 1659367439.426],
        '{"session":2,"events":[{"aid":3,"type":"clicks"}]}\n',
        'line {line} of \'otto-recsys-train.jsonl\' must be {{"session": 0, "events": [{{"aid": 1, "ts": 2, "type": '
        "\"clicks\"}}]}}, types from ['clicks', 'carts', 'orders']; got "
        '\'{{"session":2,"events":[{{"aid":3,"type":"clicks"}}]}}\'',
    ),
    "kuairand": Sample(
        "log_standard_4_08_to_4_21_pure.csv",
        KUAIRAND_HEADER
        + "0,3784,20220408,0,1649347205301,0,0,0,0,0,0,0,0,60666,0,0,0,0,1\n"
        + "0,1205,20220408,0,1649347215301,1,0,0,0,0,0,1,61234,60666,0,0,0,0,1\n"
        + "5,1205,20220408,0,1649347225301,1,0,0,0,0,0,0,9000,60666,0,0,0,0,1\n",
        [0, 0, 5],
        [3784, 1205, 1205],
        [1649347205.301, 1649347215.301, 1649347225.301],
        "5,1205,20220408,0,1649347225301,yes,0,0,0,0,0,0,9000,60666,0,0,0,0,1\n",
        "line {line} of 'log_standard_4_08_to_4_21_pure.csv' must have one of ['0', '1'] as its is_click; got 'yes'",
        dwell=[0.0, 61.234, 9.0],
    ),
}


def _zipped(name: str, content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inside/", b"")
        archive.writestr("inside/README", b"not this\n")
        archive.writestr(f"inside/{name}", content)
        archive.writestr(f"__MACOSX/inside/._{name}", b"\x00\x05\x16")
    return packed.getvalue()


def _tarred(name: str, content: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for member, text in (("inside/README", b"not this\n"), (f"inside/{name}", content)):
            entry = tarfile.TarInfo(member)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text))
    return packed.getvalue()


# How a file may be packed: what its name ends in, and its bytes.
PACKINGS: dict[str, Callable[[str, bytes], bytes]] = {
    "": lambda name, content: content,
    ".gz": lambda name, content: gzip.compress(content),
    ".zip": _zipped,
    ".tar.gz": _tarred,
}


def write(folder, name: str, content: str | bytes, packing: str = ""):
    """Path of a new file with that content."""
    path = folder / f"{name}{packing}"
    path.write_bytes(PACKINGS[packing](name, content.encode() if isinstance(content, str) else content))
    return path
