"""Whether sessions come back to what they have viewed: some logs do, and one of merged clicks never does at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spotlight_asars.baselines.prefixes import Prefixes
from spotlight_asars.baselines.rules import session_of_events
from spotlight_asars.recommending.recommender import NEVER
from spotlight_asars.sessions.interactions import SessionInteractions

REPEATS = ("learned", "allowed")
RARE = 0.01  # share of the steps below which a kind of repeat is taken for none


class Repeats(NamedTuple):
    """Which items of a session are no candidates to come next.

    last : the last item, as in a log where runs of one item are merged into one event
    seen : any item of the session, as in a log of ratings
    """

    last: bool = False
    seen: bool = False

    @classmethod
    def learn(cls, sessions: SessionInteractions) -> Repeats:
        """What less than one step in a hundred of the training sessions does.

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

    def apply(self, scores: NDArray[np.float64], prefixes: Prefixes) -> None:
        """Set the scores (rows, items) of what is no candidate to ``NEVER``, in place."""
        if self.seen:
            events = prefixes.events()
            scores[events.row, events.items] = NEVER
        elif self.last:
            last = prefixes.last_items()
            scores[np.arange(len(last)), last] = NEVER
