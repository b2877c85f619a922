"""Items that come soon after the last item."""

from __future__ import annotations

import scipy.sparse as sp

from spotlight_asars._checks import resolve, whole
from spotlight_asars.baselines.counting import count_pairs, divide_rows
from spotlight_asars.baselines.decays import STEP_WEIGHTS, StepWeights
from spotlight_asars.baselines.rules.last_item_rules import LastItemRules
from spotlight_asars.sessions.interactions import SessionInteractions


class SequentialRules(LastItemRules):
    r"""Sequential rules (SR): how often an item comes after the last one, and how soon.

    .. math:: r_i(s) \propto \sum_p \sum_{y < x \le y + n} [p_y = s_{|s|}] \, [p_x = i] \, w(x - y)

    over the training sessions p and their positions x, y; the rules of an item sum up to 1.

    Parameters
    ----------
    steps : int
        n, the longest distance that counts.
    weighting : str or callable
        w, one of ``STEP_WEIGHTS`` or a function of the distances like them.

    References
    ----------
    M. Ludewig, D. Jannach: Evaluation of session-based recommendation algorithms. User Modeling and User-Adapted
    Interaction 28, 2018.

    Examples
    --------
    >>> sessions = SessionInteractions([[1, 2, 3], [0, 2, 1]])
    >>> SequentialRules().fit(sessions).predict([1])[1:].round(3)
    array([-0.5  ,  0.667,  0.333], dtype=float32)
    """

    def __init__(self, steps: int = 10, weighting: str | StepWeights = "div") -> None:
        self._steps = whole(steps, "steps", least=1)
        resolve(weighting, STEP_WEIGHTS, "weighting")
        self._weighting = weighting

    def _count_rules(self, sessions: SessionInteractions) -> sp.csr_array:
        pairs = count_pairs(sessions, self._steps, resolve(self._weighting, STEP_WEIGHTS, "weighting"))
        return divide_rows(pairs, pairs.sum(axis=1))
