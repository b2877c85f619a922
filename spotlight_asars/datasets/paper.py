"""The paper's preprocessing (Section 3.1) with the supports and sizes of its Table 1.

What the paper says: sessions end after an hour without an event; rare items, short sessions and users with few sessions
are filtered out; "sparse" and "dense" subsets differ in the supports; a session is a test session if its last event
comes after a time boundary; and the test has only items and users of the training data.

What it leaves open, and what is done here:

- the order and repetition of the filters: repeated until all of them hold, so the order does not matter. In Table 1
  they cannot all have held: Tianchi has 93,287 sessions of 12,332 users, 7.6 each where the support is 10, and the
  authors' own log 15.1 where it is 20;
- the supports of the sparse and the dense subset of each data set: for sparse those of the text and of most of Table 1
  (items 10, users 10), for dense those of the authors' own log (20 and 20);
- the time boundary: ``EventLog.split_by_time`` takes a fraction instead;
- "delete the last term": read as the last dwell time, which a session does not have. The event stays;
- whether runs of one item are joined, and ratings or behaviours selected: nothing of this. Do so before the call.

So the sizes of Table 1 are there for comparison; they are not reproduced.
"""

from __future__ import annotations

from dataclasses import dataclass

from spotlight_asars._checks import one_of
from spotlight_asars.events import HOUR, EventLog


@dataclass(frozen=True)
class PaperSubset:
    """Supports of one subset, and its size if Table 1 has it."""

    item: int  # events per item
    session: int  # events per session
    user: int  # sessions per user; 1 for a log without users
    table: dict[str, int] | None = None


MOVIELENS = {"events": 53_309, "users": 237, "items": 1_395, "sessions": 3_609}
RECSYS15 = {"events": 17_920_066, "items": 23_459, "sessions": 4_247_567}
TIANCHI = {"events": 6_921_446, "users": 12_332, "items": 31_893, "sessions": 93_287}
OURS = {"events": 254_398, "users": 3_035, "items": 1_173, "sessions": 45_878}

PAPER_SUBSETS = {
    "movielens_sparse": PaperSubset(item=10, session=2, user=10, table=MOVIELENS),
    "movielens_dense": PaperSubset(item=20, session=2, user=20),
    "recsys15_sparse": PaperSubset(item=10, session=2, user=1),
    "recsys15_dense": PaperSubset(item=20, session=2, user=1, table=RECSYS15),
    "tianchi_sparse": PaperSubset(item=10, session=2, user=10, table=TIANCHI),
    "tianchi_dense": PaperSubset(item=20, session=2, user=20),
    "ecommerce_sparse": PaperSubset(item=10, session=2, user=10),
    "ecommerce_dense": PaperSubset(item=20, session=2, user=20, table=OURS),
}


def paper_subset(log: EventLog, name: str, inactivity: float = HOUR) -> EventLog:
    """The events of a log that the paper trains and tests on.

    Parameters
    ----------
    log : EventLog
        A whole log, as its loader returns it: MovieLens 1M, RecSys Challenge 2015, Tianchi, or any other.
    name : str
        One of ``PAPER_SUBSETS``, whose records have the supports and the sizes in Table 1.
    inactivity : float
        A session ends where its user is idle this long [s]; an hour in the paper.

    Raises
    ------
    ValueError
        For another name, and if nothing is left.

    References
    ----------
    Section 3.1 and Table 1 of the paper.

    Examples
    --------
    >>> from spotlight_asars.datasets.synthetic import generate_sessions
    >>> paper_subset(generate_sessions(random_state=0), "ecommerce_dense").num_users < 300
    True
    """
    one_of(name, tuple(PAPER_SUBSETS), "name")
    subset = PAPER_SUBSETS[name]
    return log.filter_support(subset.item, subset.session, subset.user, inactivity)
