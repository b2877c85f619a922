"""The events of an online shop, published by Retailrocket: views, carts and transactions of its visitors."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from spotlight_asars.datasets.reading.events import choose, to_log
from spotlight_asars.datasets.reading.tables import Layout, read_table
from spotlight_asars.events import EventLog
from spotlight_asars.events.files import find_one

EVENT_TYPES = ("view", "addtocart", "transaction")
LAYOUT = Layout({"timestamp": "integer", "visitorid": "integer", "event": EVENT_TYPES, "itemid": "integer"})
EVENTS = 2_756_101


def load_retailrocket(path: str | Path, events: Collection[str] | None = None, *, partial: bool = False) -> EventLog:
    """The events of Retailrocket's shop.

    The file ``events.csv`` has a header and the columns timestamp [ms], visitorid, event, itemid and transactionid.

    Parameters
    ----------
    path : str or Path
        ``events.csv``, plain, gzipped or zipped, or its folder.
    events : some of {"view", "addtocart", "transaction"}, optional
        Events to keep; by default all.
    partial : bool
        Accept any number of events.

    References
    ----------
    R. Zykov, N. Artem, A. Alexander: Retailrocket recommender system dataset. Kaggle, 2022.
    https://doi.org/10.34740/KAGGLE/DSV/4471234
    """
    kept = choose(events, EVENT_TYPES, "events")
    files = find_one(path, "events.csv")
    columns = read_table(files, LAYOUT, None if partial else EVENTS, only={"event": kept})
    return to_log(columns["visitorid"], columns["itemid"], columns["timestamp"] / 1000, options="events")
