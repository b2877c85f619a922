"""What the sessions have viewed that are most like this one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from spotlight_asars._checks import one_of, resolve, whole
from spotlight_asars.baselines.base import Baseline
from spotlight_asars.baselines.neighbours import MOST_NUMBERS, Pairs, SessionIndex, best_pairs, in_chunks
from spotlight_asars.baselines.prefixes import Events, Prefixes
from spotlight_asars.baselines.repeats import REPEATS, Repeats
from spotlight_asars.sessions.interactions import SessionInteractions

Floats = NDArray[np.float64]
Similarity = Callable[[Floats, NDArray[np.int64], NDArray[np.int64]], Floats]

SIMILARITIES: dict[str, Similarity] = {
    "cosine": lambda shared, own, other: shared / np.sqrt(own * other),
    "dot": lambda shared, own, other: shared,
}


class SessionKNN(Baseline):
    r"""Session kNN (S-KNN): the items of the k most similar training sessions.

    .. math:: \mathrm{sim}(s, n) = \frac{|s \cap n|}{\sqrt{|s| \, |n|}}, \qquad
              r_i(s) = \sum_{n \in N_k(s)} \mathrm{sim}(s, n) \, [i \in n]

    where s and n are the sets of items of the session and of a neighbour, which is one of the `sample_size` most recent
    sessions that share an item with s.

    Parameters
    ----------
    k : int
        Neighbours.
    sample_size : int, optional
        Most recent sessions among which they are; None looks at all.
    similarity : str or callable
        One of ``SIMILARITIES``, or a function like them of the weight that is shared and of both numbers of items.
    repeats : {"learned", "allowed"}
        "learned" takes as no candidate what hardly ever comes again in training; see ``Repeats``. Without it the last
        item itself, which all best neighbours share, often stands first.

    References
    ----------
    D. Jannach, M. Ludewig: When recurrent neural networks meet the neighborhood for session-based recommendation.
    RecSys 2017.

    Examples
    --------
    >>> sessions = SessionInteractions([[1, 2, 3], [0, 1, 4]])
    >>> SessionKNN(k=1).fit(sessions).predict([1, 2]).argsort()[-1]
    np.int64(3)
    """

    def __init__(
        self,
        k: int = 500,
        sample_size: int | None = 1000,
        similarity: str | Similarity = "cosine",
        repeats: str = "learned",
    ) -> None:
        check_neighbours(k, sample_size, similarity, repeats)
        self._k, self._sample_size, self._similarity, self._repeats = k, sample_size, similarity, repeats

    def _learn(self, sessions: SessionInteractions) -> None:
        self._index = SessionIndex(sessions)
        self._rule = Repeats.learn(sessions) if self._repeats == "learned" else Repeats()

    def scores(self, prefixes: Prefixes) -> Floats:
        """Similarity of the neighbours with each item, float64 (rows, items)."""
        num_items = self._index.incidence.shape[1]
        scores = np.zeros((len(prefixes), num_items))
        events = self._viewed(prefixes).latest()
        costs = np.bincount(events.row, self._index.support[events.items], minlength=len(prefixes)).astype(np.int64)
        first = np.searchsorted(events.row, np.arange(len(prefixes) + 1))
        for rows in in_chunks(costs):
            chosen = events.pick(np.arange(first[rows.start], first[rows.stop]))
            chosen = chosen._replace(row=chosen.row - rows.start)
            self._add_scores(chosen, prefixes[rows], scores[rows])
        self._rule.apply(scores, prefixes)
        return scores

    def _viewed(self, prefixes: Prefixes) -> Events:
        """What of each prefix is compared."""
        return prefixes.events()

    def _add_scores(self, events: Events, prefixes: Prefixes, scores: Floats) -> None:
        """Scores of some prefixes, given the latest event of each of their items, are added to `scores` in place."""
        index = self._index
        weights = self._event_weights(events)
        shape = len(scores), scores.shape[1]
        queries = sp.csr_array((weights, (events.row, events.items)), shape=shape)
        queries.eliminate_zeros()
        pairs = index.overlaps(queries, self._sample_size)
        own = np.bincount(events.row, minlength=len(scores))
        compare = resolve(self._similarity, SIMILARITIES, "similarity")
        similarity = compare(pairs.similarity, own[pairs.row], index.sizes[pairs.session])
        pairs = pairs._replace(similarity=similarity * self._pair_weights(pairs, prefixes))
        pairs = best_pairs(pairs, len(scores), self._k)
        entries = np.bincount(pairs.row, index.sizes[pairs.session], minlength=len(scores)).astype(np.int64)
        first = np.searchsorted(pairs.row, np.arange(len(scores) + 1))
        for rows in in_chunks(entries, MOST_NUMBERS // 4):
            some = pairs.pick(slice(first[rows.start], first[rows.stop]))
            scores[rows] += self._sum_items(some._replace(row=some.row - rows.start), events, rows, scores[rows].shape)

    def _event_weights(self, events: Events) -> Floats:
        """Weight of each item of a prefix when it is compared."""
        return np.ones(len(events.items))

    def _pair_weights(self, pairs: Pairs, prefixes: Prefixes) -> Floats | float:
        """Factor on each similarity, before the best are chosen."""
        return 1.0

    def _sum_items(self, pairs: Pairs, events: Events, rows: slice, shape: tuple[int, int]) -> Floats:
        """Scores (rows, items) from the neighbours of the prefixes `rows`; `events` are those of all prefixes."""
        neighbours = sp.csr_array((pairs.similarity, (pairs.row, pairs.session)), (shape[0], len(self._index.sizes)))
        return (neighbours @ self._index.incidence).toarray()


def check_neighbours(k: int, sample_size: int | None, similarity: str | Similarity, repeats: str) -> None:
    """Raise ``ValueError`` unless neighbours can be found with these options."""
    whole(k, "k", least=1)
    if sample_size is not None:
        whole(sample_size, "sample_size", least=1)
    resolve(similarity, SIMILARITIES, "similarity")
    one_of(repeats, REPEATS, "repeats")
