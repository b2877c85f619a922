"""The base class of all baselines that score by the last item of a session alone."""

from __future__ import annotations

from abc import abstractmethod

import scipy.sparse as sp

from spotlight_asars.baselines.base import CountedBaseline
from spotlight_asars.baselines.prefixes import Prefixes
from spotlight_asars.sessions.interactions import SessionInteractions


class LastItemRules(CountedBaseline):
    """Scores by the last item of a session; a subclass counts the rules."""

    def _count(self, sessions: SessionInteractions) -> None:
        self._rules = self._count_rules(sessions)

    @abstractmethod
    def _count_rules(self, sessions: SessionInteractions) -> sp.csr_array:
        """Scores of the next item (columns) after the last (rows), float64 (items, items); padding has none."""

    def evidence(self, prefixes: Prefixes) -> sp.csr_array:
        """The rules of each prefix's last item, sparse float64 (rows, items); none after an empty prefix."""
        return self._rules[prefixes.last_items()]
