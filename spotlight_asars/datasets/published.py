"""``DATASETS``: every published log with its loader, its source and its licence, in one table.

To add one: a file with its loader, and a record here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from spotlight_asars.datasets import diginetica, kuairand, movielens, otto, recsys15, retailrocket, tianchi
from spotlight_asars.events import EventLog

GROUPLENS = "for research; no redistribution, no commercial use without permission"


@dataclass(frozen=True)
class DataSet:
    """A published log; called with the path of its file, it gives the ``EventLog``.

    Attributes
    ----------
    load : callable
        The loader; its docstring says which file it reads, and its options.
    size, licence : str
        As the provider states them.
    page : str
        Of the provider.
    file : str
        What to download there.
    url, checksum : str, optional
        Of the file, where it may be downloaded directly; the checksum as "md5:...".
    by_hand : str
        Why it may not.
    """

    load: Callable[..., EventLog]
    size: str
    licence: str
    page: str
    file: str
    url: str | None = None
    checksum: str | None = None
    by_hand: str = ""

    def __call__(self, *args: Any, **options: Any) -> EventLog:
        """The log in the file at a path, the first argument; ``load`` describes the options.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            For an option out of range, a damaged file, a missing column, a bad line, a number of events other than the
            published one (unless ``partial=True``), and if no event is left.
        """
        return self.load(*args, **options)


DATASETS = {
    "movielens-100k": DataSet(
        load=movielens.load_movielens_100k,
        size="100,000 ratings, 943 users, 1,682 films; September 1997 to April 1998; 5 MB zipped",
        licence=GROUPLENS,
        page="https://grouplens.org/datasets/movielens/100k/",
        file="ml-100k.zip",
        url="https://files.grouplens.org/datasets/movielens/ml-100k.zip",
        checksum="md5:0e33842e24a9c977be4e0107933c0723",
    ),
    "movielens-1m": DataSet(
        load=movielens.load_movielens_1m,
        size="1,000,209 ratings, 6,040 users, 3,706 films; 2000 to 2003; 6 MB zipped",
        licence=GROUPLENS,
        page="https://grouplens.org/datasets/movielens/1m/",
        file="ml-1m.zip",
        url="https://files.grouplens.org/datasets/movielens/ml-1m.zip",
        checksum="md5:c4d9eecfca2ab87c1945afe126590906",
    ),
    "recsys15": DataSet(
        load=recsys15.load_recsys15,
        size="33,003,944 clicks, 9,249,729 sessions, 52,739 items; April to September 2014; 1.5 GB",
        licence="CC BY-NC-ND 4.0",
        page="https://recsys.acm.org/recsys15/challenge/",
        file="yoochoose-clicks.dat",
        by_hand="published in a 7z archive, to be unpacked",
    ),
    "tianchi": DataSet(
        load=tianchi.load_tianchi,
        size="100,150,807 events, 987,994 users, 4,162,024 items, 9,439 categories; 25 November to 3 December 2017; "
        "0.9 GB zipped, 3.5 GB plain",
        licence="the terms shown at the source",
        page="https://tianchi.aliyun.com/dataset/649",
        file="UserBehavior.csv.zip",
        by_hand="needs an account",
    ),
    "diginetica": DataSet(
        load=diginetica.load_diginetica,
        size="1,235,380 views, 310,324 sessions, 122,993 items; January to June 2016",
        licence="the terms of the CIKM Cup 2016, track 2",
        page="https://competitions.codalab.org/competitions/11161",
        file="train-item-views.csv",
        by_hand="published to the participants of a competition",
    ),
    "retailrocket": DataSet(
        load=retailrocket.load_retailrocket,
        size="2,756,101 events (2,664,312 views, 69,332 carts, 22,457 transactions), 1,407,580 visitors, 235,061 "
        "items; May to September 2015; 94 MB",
        licence="CC BY-NC-SA 4.0",
        page="https://www.kaggle.com/datasets/retailrocket/ecommerce-dataset",
        file="events.csv",
        by_hand="needs an account",
    ),
    "otto": DataSet(
        load=otto.load_otto,
        size="train: 216,716,096 events (194,720,954 clicks, 16,896,191 carts, 5,098,951 orders), 12,899,779 sessions, "
        "1,855,603 items; 11 GB. Test: 13,851,293 events, 1,671,803 sessions",
        licence="CC BY 4.0",
        page="https://www.kaggle.com/datasets/otto/recsys-dataset",
        file="otto-recsys-train.jsonl",
        by_hand="needs an account",
    ),
    "kuairand": DataSet(
        load=kuairand.load_kuairand,
        size="1,436,609 events, 27,285 users, 7,551 videos; 8 April to 8 May 2022; 45 MB packed, 194 MB plain",
        licence="CC BY-SA 4.0",
        page="https://zenodo.org/records/10439422",
        file="KuaiRand-Pure.tar.gz",
        url="https://zenodo.org/records/10439422/files/KuaiRand-Pure.tar.gz",
        checksum="md5:0820331067a3784d9691136f772b35a7",
    ),
}
