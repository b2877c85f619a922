"""What is viewed right after the last item."""

from __future__ import annotations

import scipy.sparse as sp

from spotlight_asars.baselines.decays import STEP_WEIGHTS
from spotlight_asars.baselines.rules import LastItemRules, count_pairs, divide_rows
from spotlight_asars.sessions.interactions import SessionInteractions


class MarkovChain(LastItemRules):
    r"""First-order Markov chain: the share of each item among those viewed right after the last one.

    .. math:: r_i(s) = \frac{\sum_p \sum_x [p_x = s_{|s|}] \, [p_{x + 1} = i]}{\sum_p \sum_{x < |p|} [p_x = s_{|s|}]}

    over the training sessions p and their positions x.

    References
    ----------
    M. Ludewig, D. Jannach: Evaluation of session-based recommendation algorithms. User Modeling and User-Adapted
    Interaction 28, 2018 (as MC).

    Examples
    --------
    >>> sessions = SessionInteractions([[1, 2, 3], [0, 1, 3]])
    >>> MarkovChain().fit(sessions).predict([1])[1:].round(3).tolist()
    [-0.5, 0.5, 0.5]
    """

    def _find_rules(self, sessions: SessionInteractions) -> sp.csr_array:
        pairs = count_pairs(sessions, 1, STEP_WEIGHTS["same"])
        return divide_rows(pairs, pairs.sum(axis=1))
