"""User behaviour on Taobao, published by Alibaba on Tianchi: who looked at, kept and bought what, for nine days."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from spotlight_asars._checks import one_of
from spotlight_asars.datasets.download import Source
from spotlight_asars.datasets.files import find_one
from spotlight_asars.datasets.loading import check_lines, chosen, to_log
from spotlight_asars.datasets.tables import Layout, read_table
from spotlight_asars.events import EventLog

SOURCE = Source(page="https://tianchi.aliyun.com/dataset/649", file="UserBehavior.csv.zip")
BEHAVIOURS = ("pv", "buy", "cart", "fav")  # page view, purchase, into the cart, among the favourites
LAYOUT = Layout(
    {"user": "integer", "item": "integer", "category": "integer", "behaviour": BEHAVIOURS, "timestamp": "integer"},
    columns=("user", "item", "category", "behaviour", "timestamp"),
)
EVENTS = 100_150_807
PERIOD = (1_511_539_200, 1_512_316_800)  # [s] 25 November 2017 and 4 December 2017, midnight in China


def load_tianchi(
    path: str | Path,
    item: str = "item",
    behaviours: Collection[str] | None = None,
    in_period: bool = False,
    *,
    partial: bool = False,
) -> EventLog:
    """The behaviour of Taobao's users: the third data set of the paper.

    ========  ======================================================================================
    Size      100,150,807 events, 987,994 users, 4,162,024 items, 9,439 categories; 25 November to
              3 December 2017; 0.9 GB zipped, 3.5 GB plain
    Source    https://tianchi.aliyun.com/dataset/649, which asks for an account
    Licence   the terms shown there
    Format    ``UserBehavior.csv``: user, item, category, behaviour, seconds; commas between them, no header
    ========  ======================================================================================

    Parameters
    ----------
    path : str or Path
        ``UserBehavior.csv.zip``, ``UserBehavior.csv``, plain or gzipped, or their folder.
    item : {"item", "category"}
        What is recommended. With items the categories are the log's ``categories``.
    behaviours : some of {"pv", "buy", "cart", "fav"}, optional
        Events to keep; by default all, as the paper has 100 million.
    in_period : bool
        Leave out events whose time lies outside the nine days in China's time: a few are wrong by years.
    partial : bool
        Accept any number of events.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        For another `item` or behaviour, a damaged file, a bad line, a number of events other than the published one,
        and if no event is left.

    References
    ----------
    H. Zhu, X. Li, P. Zhang, G. Li, J. He, H. Li, K. Gai: Learning Tree-based Deep Model for Recommender Systems.
    KDD 2018. https://doi.org/10.1145/3219819.3219826
    """
    one_of(item, ("item", "category"), "item")
    kept = chosen(behaviours, BEHAVIOURS, "behaviours")
    files = find_one(path, "UserBehavior.csv")
    columns, lines = read_table(files, LAYOUT, only={"behaviour": kept})
    check_lines(lines, (EVENTS,), files, partial)
    if in_period:
        inside = (columns["timestamp"] >= PERIOD[0]) & (columns["timestamp"] < PERIOD[1])
        columns = {name: column[inside] for name, column in columns.items()}
    return to_log(
        columns["user"],
        columns[item],
        columns["timestamp"],
        category=columns["category"] if item == "item" else None,
        asked="behaviours and in_period",
    )
