"""Items that share sessions with the last item, relative to how often either is viewed."""

from __future__ import annotations

import scipy.sparse as sp

from spotlight_asars._checks import number, require
from spotlight_asars.baselines.counting import divide_rows, occurrences
from spotlight_asars.baselines.rules.last_item_rules import LastItemRules
from spotlight_asars.sessions.interactions import SessionInteractions


class ItemKNN(LastItemRules):
    r"""Item-to-item neighbours: the regularised cosine of the sessions that two items are in.

    .. math:: r_i(s) = \frac{|S_i \cap S_j|}{(|S_i| + \lambda)^{1 - \alpha} \, (|S_j| + \lambda)^\alpha},
              \quad j = s_{|s|}, \; i \ne j

    where :math:`S_i` are the training sessions with item i. The shrinkage keeps two rare items that meet by chance from
    being most similar.

    Parameters
    ----------
    shrinkage : float
        :math:`\lambda`, in sessions.
    alpha : float
        Share of the norm that belongs to the last item; any other than 0.5 changes how popular items are ranked.

    References
    ----------
    B. Hidasi et al.: Session-based recommendations with recurrent neural networks. ICLR 2016.

    Examples
    --------
    >>> sessions = SessionInteractions([[1, 2, 3], [0, 1, 3]])
    >>> ItemKNN(shrinkage=0).fit(sessions).predict([1])[1:].round(3)
    array([-0.5  ,  0.707,  1.   ], dtype=float32)
    """

    def __init__(self, shrinkage: float = 20.0, alpha: float = 0.5) -> None:
        self._shrinkage = number(shrinkage, "shrinkage", least=0)
        self._alpha = number(alpha, "alpha")
        require(0 <= alpha <= 1, "alpha must lie between 0 and 1", alpha)

    def _count_rules(self, sessions: SessionInteractions) -> sp.csr_array:
        incidence = occurrences(sessions)
        incidence.data[:] = 1.0
        together = sp.csr_array(incidence.T @ incidence)
        size = together.diagonal() + self._shrinkage
        together = together - sp.diags_array(together.diagonal())  # no item is its own neighbour
        shared = divide_rows(together, size**self._alpha)
        return divide_rows(shared.T.tocsr(), size ** (1 - self._alpha)).T.tocsr()
