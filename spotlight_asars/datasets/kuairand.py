"""KuaiRand-Pure: short videos shown by Kuaishou, with the time that each was really watched."""

from __future__ import annotations

from pathlib import Path

from spotlight_asars.datasets.download import Source
from spotlight_asars.datasets.files import find_text
from spotlight_asars.datasets.loading import check_lines, to_log
from spotlight_asars.datasets.tables import Layout, read_table
from spotlight_asars.events import EventLog

SOURCE = Source(
    page="https://zenodo.org/records/10439422",
    file="KuaiRand-Pure.tar.gz",
    url="https://zenodo.org/records/10439422/files/KuaiRand-Pure.tar.gz",
    checksum="md5:0820331067a3784d9691136f772b35a7",
)
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

    ========  ======================================================================================
    Size      1,436,609 events, 27,285 users, 7,551 videos; 8 April to 8 May 2022; 45 MB packed, 194 MB plain
    Source    https://zenodo.org/records/10439422, described at https://kuairand.com
    Licence   CC BY-SA 4.0
    Format    ``log_standard_4_08_to_4_21_pure.csv`` and ``log_standard_4_22_to_5_08_pure.csv``: 19 columns with
              user_id, video_id, time_ms, is_click and play_time_ms; commas, a header
    ========  ======================================================================================

    The log of videos shown at random, ``log_random_4_22_to_5_08_pure.csv``, is not read.

    Parameters
    ----------
    path : str or Path
        ``KuaiRand-Pure.tar.gz`` or the folder that is in it; or one of the two files, with `partial`.
    clicks_only : bool
        Keep the videos that were clicked, or in the feed of single videos watched for long enough (``is_click``).
    partial : bool
        Accept any number of events.

    Returns
    -------
    EventLog
        Its dwell is ``play_time_ms``. The gap to the next event is another thing here, as only events of the 7,583
        videos of the candidate pool are published, and those between them are not.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        For a damaged file, a missing column, a bad line, and a number of events other than the published one, and if no
        event is left.

    References
    ----------
    C. Gao, S. Li, Y. Zhang, J. Chen, B. Li, W. Lei, P. Jiang, X. He: KuaiRand: An Unbiased Sequential Recommendation
    Dataset with Randomly Exposed Videos. CIKM 2022. https://doi.org/10.1145/3511808.3557624
    """
    files = find_text(path, "log_standard_*.csv")
    columns, lines = read_table(files, LAYOUT, only={"is_click": ("1",) if clicks_only else ("0", "1")})
    check_lines(lines, (EVENTS,), files, partial)
    return to_log(
        columns["user_id"],
        columns["video_id"],
        columns["time_ms"] / 1000,
        dwell=columns["play_time_ms"] / 1000,
        asked="clicks_only",
    )
