"""KuaiRand-Pure: short videos shown by Kuaishou, with the time that each was watched."""

from __future__ import annotations

from pathlib import Path

from spotlight_asars.datasets.reading.events import to_log
from spotlight_asars.datasets.reading.tables import Layout, read_table
from spotlight_asars.events import EventLog
from spotlight_asars.events.files import find_text

LAYOUT = Layout(
    {
        "user_id": "integer",
        "video_id": "integer",
        "time_ms": "integer",
        "is_click": ("0", "1"),
        "play_time_ms": "integer",
    }
)
EVENTS = 1_436_609


def load_kuairand(path: str | Path, clicks_only: bool = False, *, partial: bool = False) -> EventLog:
    """The standard recommendations of KuaiRand-Pure, with measured dwell times.

    The files ``log_standard_4_08_to_4_21_pure.csv`` and ``log_standard_4_22_to_5_08_pure.csv`` have a header and 19
    columns, among them user_id, video_id, time_ms, is_click and play_time_ms. The log of videos shown at random,
    ``log_random_4_22_to_5_08_pure.csv``, is not read.

    Parameters
    ----------
    path : str or Path
        ``KuaiRand-Pure.tar.gz`` or the folder inside it; or one of the two files, with `partial`.
    clicks_only : bool
        Keep videos with ``is_click``: clicked, or, in the feed of single videos, watched for long enough.
    partial : bool
        Accept any number of events.

    Returns
    -------
    EventLog
        Its dwell is ``play_time_ms``, not the gap to the next event: only events of the 7,583 videos of the candidate
        pool are published, and those between them are not.

    References
    ----------
    C. Gao, S. Li, Y. Zhang, J. Chen, B. Li, W. Lei, P. Jiang, X. He: KuaiRand: An Unbiased Sequential Recommendation
    Dataset with Randomly Exposed Videos. CIKM 2022. https://doi.org/10.1145/3511808.3557624
    """
    files = find_text(path, "log_standard_*.csv")
    only = {"is_click": ("1",)} if clicks_only else {}
    columns = read_table(files, LAYOUT, None if partial else EVENTS, only)
    return to_log(
        columns["user_id"],
        columns["video_id"],
        columns["time_ms"] / 1000,
        dwell=columns["play_time_ms"] / 1000,
        options="clicks_only",
    )
