"""User behaviour on Taobao in nine days, published by Alibaba on Tianchi: views, carts, favourites and purchases."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from spotlight_asars._checks import one_of
from spotlight_asars.datasets.reading.events import choose, to_log
from spotlight_asars.datasets.reading.tables import Layout, read_table
from spotlight_asars.events import EventLog
from spotlight_asars.events.files import find_one

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

    The file ``UserBehavior.csv`` has user, item, category, behaviour and time [s], with commas between them and no
    header.

    Parameters
    ----------
    path : str or Path
        ``UserBehavior.csv.zip``, ``UserBehavior.csv``, plain or gzipped, or their folder.
    item : {"item", "category"}
        What is recommended. With items, the log has ``categories``.
    behaviours : some of {"pv", "buy", "cart", "fav"}, optional
        Events to keep; by default all, as the paper has 100 million.
    in_period : bool
        Leave out events outside the nine days (Chinese time): a few timestamps are wrong by years.
    partial : bool
        Accept any number of events.

    References
    ----------
    H. Zhu, X. Li, P. Zhang, G. Li, J. He, H. Li, K. Gai: Learning Tree-based Deep Model for Recommender Systems.
    KDD 2018. https://doi.org/10.1145/3219819.3219826
    """
    one_of(item, ("item", "category"), "item")
    kept = choose(behaviours, BEHAVIOURS, "behaviours")
    files = find_one(path, "UserBehavior.csv")
    columns = read_table(files, LAYOUT, None if partial else EVENTS, only={"behaviour": kept})
    if in_period:
        inside = (columns["timestamp"] >= PERIOD[0]) & (columns["timestamp"] < PERIOD[1])
        columns = {name: column[inside] for name, column in columns.items()}
    return to_log(
        columns["user"],
        columns[item],
        columns["timestamp"],
        category=columns["category"] if item == "item" else None,
        options="behaviours and in_period",
    )
