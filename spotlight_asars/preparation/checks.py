"""The checks of ``EventLog`` for a lazy log, by one query."""

from __future__ import annotations

import narwhals as nw
import numpy as np

from spotlight_asars._checks import require
from spotlight_asars.preparation import engines
from spotlight_asars.preparation.steps import Frame

REACH = 2**53  # [s]; float64 holds every whole second up to here


def check_events(events: Frame, measured: bool) -> None:
    """Raise ``ValueError`` for no events, missing ids, timestamps or dwell out of range."""
    time, dwell = nw.col("time"), nw.col("dwell")
    columns = {
        "events": nw.len(),
        "users": nw.col("user").count(),
        "items": nw.col("item").count(),
        "times": time.count(),
        "earliest": time.min(),
        "latest": time.max(),
    }
    if events.collect_schema()["time"] == nw.Float64:
        columns["infinite"] = (~time.is_finite()).cast(nw.Int64).sum()
    if measured:
        columns |= {"shortest": dwell.min(), "longest": dwell.max()}
    found = {name: values[0] for name, values in engines.collect(events.select(**columns)).to_pydict().items()}

    size = int(found["events"])
    require(size > 0, "frame must have at least one event", size)
    for name, column in (("users", "user"), ("items", "item"), ("times", "timestamp")):
        missing = size - found[name]
        require(missing == 0, f"{column} must have no missing values", f"{missing} of {size}")
    wrong = found.get("infinite") or 0
    require(wrong == 0, "timestamp must be finite", f"{wrong} others of {size}")
    for name in ("earliest", "latest"):
        require(abs(found[name]) <= REACH, "timestamp must lie within 2**53 s of 1970", found[name])
    if found.get("shortest") is not None:
        require(found["shortest"] >= 0, "dwell must not be negative", found["shortest"])
        largest = float(np.finfo(np.float32).max)
        require(found["longest"] <= largest, "dwell must be finite as float32, or missing", found["longest"])
