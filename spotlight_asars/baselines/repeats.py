"""Items that do not come again: some logs repeat items within a session, others never do."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from spotlight_asars._spotlight import PADDING_IDX
from spotlight_asars.baselines.counting import session_of_events
from spotlight_asars.baselines.prefixes import Floats, Ints, Prefixes
from spotlight_asars.recommending.recommendations import NEVER
from spotlight_asars.sessions.interactions import SessionInteractions

REPEATS = ("learned", "allowed")
RARE = 0.01  # share of the steps below which repeats are taken for errors


class Repeats(NamedTuple):
    """Which items of a session cannot come next.

    last : the last item, as in a log where runs of one item are merged into one event
    seen : any item of the session, as in a log of ratings
    """

    last: bool = False
    seen: bool = False

    @classmethod
    def learn(cls, sessions: SessionInteractions) -> Repeats:
        """Exclude what fewer than one in a hundred steps of the training sessions do.

        >>> Repeats.learn(SessionInteractions([[1, 2, 1], [0, 2, 3]]))
        Repeats(last=True, seen=False)
        """
        session = session_of_events(sessions)
        follows = session[1:] == session[:-1]
        steps = int(follows.sum())
        at_once = int((follows & (sessions.items[1:] == sessions.items[:-1])).sum())
        different = len(np.unique(session * sessions.num_items + sessions.items))
        again = len(session) - different
        return cls(at_once < RARE * steps, again < RARE * steps)

    def places(self, prefixes: Prefixes) -> tuple[Ints, Ints]:
        """Row and item of what cannot come next, int64 (excluded,) each."""
        if self.seen:
            events = prefixes.events().latest()
            return events.row, events.items
        last = prefixes.last_items()
        row = np.flatnonzero((last != PADDING_IDX) & self.last)
        return row, last[row]

    def apply(self, scores: Floats, prefixes: Prefixes) -> None:
        """Set the scores (rows, items) of excluded items to ``NEVER``, in place."""
        scores[self.places(prefixes)] = NEVER

    def exclude(self, scores: sp.csr_array, prefixes: Prefixes) -> sp.csr_array:
        """The sparse scores (rows, items), ``NEVER`` for excluded items."""
        places = self.places(prefixes)
        never = sp.csr_array((np.full(len(places[0]), NEVER), places), scores.shape)
        return sp.csr_array(scores + never)  # ``NEVER`` is so low that any score is lost in it
