r"""What session neighbours know of returning users: their earlier sessions.

*Extend*: a session of less than m events is compared as if the user's latest earlier events, up to m in all, came
before it. *Boost*: :math:`\mathrm{sim}'(s, n) = (1 + b \, [u_s = u_n]) \, \mathrm{sim}(s, n)`, before the nearest are
chosen. *Remind*: items of the user's latest R sessions are added to what the neighbours give,

.. math:: r'_i(s) = \frac{r_i(s)}{\max_j r_j(s)} + w_1 \, \frac{1}{a_i}
                    + w_2 \, \frac{q_i(s)}{\max_j q_j(s)},
          \qquad q_i(s) = \sum_{n \in H_R(u)} \frac{|s \cap n|}{\sqrt{|s| \, |n|}} \, [i \in n]

where :math:`a_i` counts how many of the user's sessions ago (1 is the one before) item i was viewed last. An unknown
user is not extended, boosted or reminded.

The two reminders are the interaction recency and the session similarity of the paper; together with the neighbours they
are its hybrid, in which each part is divided by its highest value. Its recency is :math:`t / (t - t_i)` of times; over
its highest value, and with sessions for the unit of time, as starts may be unknown, that is :math:`1 / a_i`. Its
similarity is that of each method, here the cosine for all.

References
----------
S. Latifi, N. Mauro, D. Jannach: Session-aware recommendation: a surprising quest for the state-of-the-art. Information
Sciences 573, 2021; formulas as in its code, rn5l/session-rec.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from spotlight_asars.baselines.neighbours.session_index import Neighbours, SessionIndex
from spotlight_asars.baselines.neighbours.user_histories import PastEvents, UserHistories
from spotlight_asars.baselines.prefixes import Events, Floats, Prefixes, last_of_each
from spotlight_asars.baselines.ties import rows_of_entries

REMIND_SESSIONS = 6  # of a user, as in the code of the paper's authors


@dataclass(frozen=True)
class ReturningUsers:
    """The earlier sessions of known users, and what use is made of them.

    Parameters
    ----------
    histories : UserHistories
    extend_session_length : int
        m; 1 extends only the empty session, 0 none.
    boost_own_sessions : float
        b; 0 treats all neighbours alike.
    reminders : float
        :math:`w_1`, of recent items; 0 has none.
    remind_sessions : int
        R, number of the user's latest sessions that reminders come from.
    similar_reminders : float
        :math:`w_2`, of items of similar sessions; 0 has none.
    """

    histories: UserHistories
    extend_session_length: int
    boost_own_sessions: float
    reminders: float
    remind_sessions: int
    similar_reminders: float

    def extended(self, prefixes: Prefixes) -> Events:
        """The events of the prefixes, short ones after the user's latest earlier events; those have no dwell times."""
        events = prefixes.events()
        if self.extend_session_length == 0:
            return events
        lengths = np.bincount(events.row, minlength=len(prefixes))
        missing = np.maximum(self.extend_session_length - lengths, 0)
        earlier = self.histories.latest_events(prefixes.users(), missing)
        added = np.bincount(earlier.row, minlength=len(prefixes))
        row = np.r_[earlier.row, events.row]
        return Events(
            row,
            np.r_[earlier.items, events.items],
            np.r_[earlier.place, events.position + added[events.row]],
            (lengths + added)[row],
            np.r_[np.full(len(earlier.row), np.nan), events.dwell_times],
        )

    def boosts(self, pairs: Neighbours, prefixes: Prefixes, index: SessionIndex) -> Floats | float:
        """Factor of each pair's similarity, float64 (pairs,)."""
        if self.boost_own_sessions == 0:
            return 1.0
        user = prefixes.users()[pairs.row]
        own = (user >= 0) & (user == index.users[pairs.session])
        return 1.0 + self.boost_own_sessions * own

    def remind(self, scores: sp.csr_array, prefixes: Prefixes) -> sp.csr_array:
        """The scores (rows, items) over the highest of their row, plus reminders; negative ones exclude an item."""
        if self.reminders == 0 and self.similar_reminders == 0:
            return scores
        reminded = over_highest(scores)
        past = self.histories.latest_sessions(prefixes.users(), self.remind_sessions)
        if self.reminders > 0:
            reminded = reminded + self.reminders * recent_items(past, scores.shape)
        if self.similar_reminders > 0:
            similar = items_of_similar_sessions(past, prefixes.events().latest(), scores.shape)
            reminded = reminded + self.similar_reminders * over_highest(similar)
        return sp.csr_array(reminded)


def over_highest(scores: sp.csr_array) -> sp.csr_array:
    """The scores divided by the highest of their row; negative ones stay.

    >>> over_highest(sp.csr_array([[0.0, 2.0, 4.0], [-1.0, 0.0, 0.0]])).toarray().tolist()
    [[0.0, 0.5, 1.0], [-1.0, 0.0, 0.0]]
    """
    row, values = rows_of_entries(scores), scores.data
    highest = np.zeros(scores.shape[0])
    np.maximum.at(highest, row, values)
    divided = values / np.where(values > 0, highest[row], 1.0)
    return sp.csr_array((divided, scores.indices, scores.indptr), shape=scores.shape)


def recent_items(past: PastEvents, shape: tuple[int, int]) -> sp.csr_array:
    """1 over how many sessions ago each item was viewed last, sparse float64 (rows, items)."""
    last = last_of_each(past.row, past.items)
    return sp.csr_array((1.0 / past.sessions_ago[last], (past.row[last], past.items[last])), shape)


def items_of_similar_sessions(past: PastEvents, events: Events, shape: tuple[int, int]) -> sp.csr_array:
    """Summed cosine of the past sessions that have each item, sparse float64 (rows, items).

    Parameters
    ----------
    past : PastEvents
    events : Events
        The last event of each item of each prefix.
    shape : (int, int)
    """
    width = int(past.sessions_ago.max(initial=0)) + 1
    entries = np.unique(np.c_[past.row * width + past.sessions_ago, past.items], axis=0)  # (entries, 2)
    session, items = entries[:, 0], entries[:, 1]
    row = session // width
    shared = np.isin(row * shape[1] + items, events.row * shape[1] + events.items)  # (entries,)
    own, size = np.bincount(events.row, minlength=shape[0])[row], np.bincount(session)[session]
    similarity = np.bincount(session, shared)[session] / np.sqrt(np.maximum(own * size, 1))
    return sp.csr_array(sp.coo_array((similarity, (row, items)), shape))  # which adds up
