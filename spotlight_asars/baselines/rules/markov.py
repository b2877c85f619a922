"""Items that come right after the last item."""

from __future__ import annotations

from spotlight_asars.baselines.rules.sequential_rules import SequentialRules


class MarkovChain(SequentialRules):
    r"""First-order Markov chain: the share of each item among those viewed right after the last one.

    .. math:: r_i(s) = \frac{\sum_p \sum_x [p_x = s_{|s|}] \, [p_{x + 1} = i]}{\sum_p \sum_{x < |p|} [p_x = s_{|s|}]}

    over the training sessions p and their positions x: sequential rules of one step.

    References
    ----------
    M. Ludewig, D. Jannach: Evaluation of session-based recommendation algorithms. User Modeling and User-Adapted
    Interaction 28, 2018 (as MC).

    Examples
    --------
    >>> from spotlight_asars import SessionInteractions
    >>> sessions = SessionInteractions([[1, 2, 3], [0, 1, 3]])
    >>> MarkovChain().fit(sessions).predict([1])[1:].round(3).tolist()
    [-0.5, 0.5, 0.5]
    """

    def __init__(self) -> None:
        super().__init__(steps=1, weighting="same")
