"""The events of an online shop, published by Retailrocket: views, carts and transactions of its visitors."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from spotlight_asars.datasets.download import Source
from spotlight_asars.datasets.files import find_one
from spotlight_asars.datasets.loading import check_lines, chosen, to_log
from spotlight_asars.datasets.tables import Layout, read_table
from spotlight_asars.events import EventLog

SOURCE = Source(page="https://www.kaggle.com/datasets/retailrocket/ecommerce-dataset", file="events.csv")
KINDS_OF_EVENTS = ("view", "addtocart", "transaction")
LAYOUT = Layout({"timestamp": "integer", "visitorid": "integer", "event": KINDS_OF_EVENTS, "itemid": "integer"})
EVENTS = 2_756_101


def load_retailrocket(path: str | Path, events: Collection[str] | None = None, *, partial: bool = False) -> EventLog:
    """The events of Retailrocket's shop.

    ========  ======================================================================================
    Size      2,756,101 events (2,664,312 views, 69,332 carts, 22,457 transactions), 1,407,580 visitors,
              235,061 items; May to September 2015; 94 MB
    Source    https://www.kaggle.com/datasets/retailrocket/ecommerce-dataset, which asks for an account
    Licence   CC BY-NC-SA 4.0
    Format    ``events.csv``: timestamp [ms], visitorid, event, itemid, transactionid; commas, a header
    ========  ======================================================================================

    Parameters
    ----------
    path : str or Path
        ``events.csv``, plain, gzipped or zipped, or its folder.
    events : some of {"view", "addtocart", "transaction"}, optional
        Events to keep; by default all.
    partial : bool
        Accept any number of events.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        For another event, a damaged file, a missing column, a bad line, and a number of events other than the published
        one, and if no event is left.

    References
    ----------
    R. Zykov, N. Artem, A. Alexander: Retailrocket recommender system dataset. Kaggle, 2022.
    https://doi.org/10.34740/KAGGLE/DSV/4471234
    """
    kept = chosen(events, KINDS_OF_EVENTS, "events")
    files = find_one(path, SOURCE.file)
    columns, lines = read_table(files, LAYOUT, only={"event": kept})
    check_lines(lines, (EVENTS,), files, partial)
    return to_log(columns["visitorid"], columns["itemid"], columns["timestamp"] / 1000, asked="events")
