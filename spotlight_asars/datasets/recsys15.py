"""The clicks of the RecSys Challenge 2015, from YOOCHOOSE: sessions of an online shop, without users."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spotlight_asars.datasets.reading.events import to_log
from spotlight_asars.datasets.reading.tables import Layout, read_table
from spotlight_asars.events import EventLog
from spotlight_asars.events.files import find_one

LAYOUT = Layout(
    {"session": "integer", "timestamp": "instant", "item": "integer", "category": "text"},
    columns=("session", "timestamp", "item", "category"),
)
CLICKS = 33_003_944


def load_recsys15(path: str | Path, *, partial: bool = False) -> EventLog:
    """The clicks of the RecSys Challenge 2015: the second data set of the paper.

    The file ``yoochoose-clicks.dat`` has session, instant in UTC to the millisecond, item and category, with commas
    between them and no header. The published 7z archive must be unpacked first; its other two files, the buys and the
    test, are not read. Of these clicks the paper counts 31,708,505 of 37,486 items in 7,981,581 sessions.

    Parameters
    ----------
    path : str or Path
        ``yoochoose-clicks.dat``, plain, gzipped or zipped, or its folder.
    partial : bool
        Accept any number of clicks.

    Returns
    -------
    EventLog
        The session takes the place of the user, who is not known. A session of the shop may pause for longer than the
        hour after which ``to_sessions`` cuts; a larger `inactivity` keeps it whole. Categories are text: "0" is
        missing, "S" a special offer, one or two digits a category, more digits a brand.

    References
    ----------
    D. Ben-Shimon, A. Tsikinovsky, M. Friedmann, B. Shapira, L. Rokach, J. Hoerle: RecSys Challenge 2015 and the
    YOOCHOOSE Dataset. RecSys 2015. https://doi.org/10.1145/2792838.2798723
    """
    columns = read_table(find_one(path, "yoochoose-clicks.dat"), LAYOUT, None if partial else CLICKS)
    milliseconds = columns["timestamp"].astype(np.int64)
    return to_log(columns["session"], columns["item"], milliseconds / 1000, category=columns["category"])
