"""Items of the sessions that have the last item, too."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from spotlight_asars.baselines.counting import divide_rows, occurrences, session_of_events
from spotlight_asars.baselines.rules.last_item_rules import LastItemRules
from spotlight_asars.sessions.interactions import SessionInteractions


class AssociationRules(LastItemRules):
    r"""Association rules of size two (AR): how often two items are viewed in one session.

    .. math:: r_i(s) = \frac{\sum_p \sum_x \sum_{y \ne x} [p_x = s_{|s|}] \, [p_y = i]}
                            {\sum_p \sum_x [p_x = s_{|s|}] \, (|p| - 1)}

    over the training sessions p and their positions x, y.

    References
    ----------
    M. Ludewig, D. Jannach: Evaluation of session-based recommendation algorithms. User Modeling and User-Adapted
    Interaction 28, 2018.

    Examples
    --------
    >>> sessions = SessionInteractions([[1, 2, 3], [0, 2, 1]])
    >>> AssociationRules().fit(sessions).predict([2])[1:].round(3)
    array([ 0.667, -0.5  ,  0.333], dtype=float32)
    """

    def _count_rules(self, sessions: SessionInteractions) -> sp.csr_array:
        counts = occurrences(sessions)
        events = np.bincount(sessions.items, minlength=sessions.num_items)
        pairs = counts.T @ counts - sp.diags_array(events.astype(np.float64))  # no event pairs with itself
        others = (sessions.lengths - 1)[session_of_events(sessions)]  # (events,)
        total = np.bincount(sessions.items, others, minlength=sessions.num_items).astype(np.float64)
        return divide_rows(sp.csr_array(pairs), total)
