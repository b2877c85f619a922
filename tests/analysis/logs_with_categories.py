"""Logs whose items have categories."""

from __future__ import annotations

import numpy as np
from reference_data import columns

from spotlight_asars import EventLog

CATEGORY_OF = {1: "tea", 2: "tea", 3: "jam", 4: "jam", 5: "soap"}  # of each item of LOGS


def log_of(events, **options):
    users, items, times = columns(events)
    categories = [CATEGORY_OF.get(item, "other") for item in items.tolist()]
    return EventLog(users, items, times, categories=np.array(categories), **options)
