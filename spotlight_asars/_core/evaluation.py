"""Metrics of a fitted model: one number per user or sequence. Tied items share their mean rank."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spotlight_asars._core.interactions import Interactions, SequenceInteractions

FLOAT_MAX = np.finfo(np.float32).max


def _costs(model: Any, query: Any, excluded: NDArray[Any] | None) -> NDArray[Any]:
    """Negated predictions, lowest for the best item; excluded items come last."""
    costs: NDArray[Any] = -model.predict(query)
    if excluded is not None:
        costs[excluded] = FLOAT_MAX
    return costs


def _users(model: Any, test: Interactions, train: Interactions | None) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """(costs, targets) of every user of the test set."""
    known = None if train is None else train.tocsr()
    for user_id, row in enumerate(test.tocsr()):
        if len(row.indices):
            yield _costs(model, user_id, None if known is None else known[user_id].indices), row.indices


def _sequences(
    model: Any, test: SequenceInteractions, last: int, exclude_preceding: bool
) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """(costs, targets) of every sequence: its ``last`` items are predicted from the others."""
    histories, targets = test.sequences[:, :-last], test.sequences[:, -last:]
    for i in range(len(histories)):
        yield _costs(model, histories[i], histories[i] if exclude_preceding else None), targets[i]


def _mean_reciprocal_ranks(rows: Iterable[tuple[NDArray[Any], NDArray[Any]]]) -> NDArray[Any]:
    from scipy.stats import rankdata  # a third of the package's import, and only needed here

    ranks = (rankdata(costs)[targets] for costs, targets in rows)
    return np.array([(1.0 / rank.astype(np.float64)).mean() for rank in ranks])  # scipy 1.18 ranks float32 in float32


def _get_precision_recall(predictions: NDArray[Any], targets: NDArray[Any], k: int) -> tuple[float, float]:
    predictions = predictions[:k]
    hits = len(set(predictions) & set(targets))
    return hits / len(predictions), hits / len(targets)


def mrr_score(model: Any, test: Interactions, train: Interactions | None = None) -> NDArray[Any]:
    """Mean reciprocal rank of the test items of each user who has any.

    A sequence model takes the number of the user for the item of a sequence, as upstream's does, and the result means
    nothing: ``sequence_mrr_score`` is its metric.

    Parameters
    ----------
    model : fitted factorization model
    test : Interactions
    train : Interactions, optional
        Items a user has here are ranked last.

    Returns
    -------
    float (users of test,)
    """
    return _mean_reciprocal_ranks(_users(model, test, train))


def sequence_mrr_score(model: Any, test: SequenceInteractions, exclude_preceding: bool = False) -> NDArray[Any]:
    """Reciprocal rank of the last item of each sequence, predicted from the items before it.

    Parameters
    ----------
    model : fitted sequence model
    test : SequenceInteractions
    exclude_preceding : bool, optional
        Rank the items before it last.

    Returns
    -------
    float (session,)
    """
    return _mean_reciprocal_ranks(_sequences(model, test, 1, exclude_preceding))


def sequence_precision_recall_score(
    model: Any, test: SequenceInteractions, k: int = 10, exclude_preceding: bool = False
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Precision and recall of the k best items against the last k of each sequence.

    Padding among the last k counts as a target.

    Parameters
    ----------
    model : fitted sequence model
    test : SequenceInteractions
    k : int, optional
    exclude_preceding : bool, optional
        Rank the items before the last k last.

    Returns
    -------
    (precision, recall) : float (session,) each
    """
    scores = np.array(
        [
            _get_precision_recall(costs.argsort(), targets, k)
            for costs, targets in _sequences(model, test, k, exclude_preceding)
        ]
    )
    return scores[:, 0], scores[:, 1]


def precision_recall_score(
    model: Any, test: Interactions, train: Interactions | None = None, k: Any = 10
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Precision and recall of the k best items against the test items of each user who has any.

    Parameters
    ----------
    model : fitted factorization model
    test : Interactions
    train : Interactions, optional
        Items a user has here are ranked last.
    k : int or sequence of int, optional

    Returns
    -------
    (precision, recall) : float (users of test, len(k)) each
        Axes of length 1 are dropped.
    """
    cuts: Any = [k] if np.isscalar(k) else k
    scores = []
    for costs, targets in _users(model, test, train):
        best = costs.argsort()
        scores.append([_get_precision_recall(best, targets, cut) for cut in cuts])
    precision, recall = np.moveaxis(np.array(scores).reshape(-1, len(cuts), 2), 2, 0)
    return precision.squeeze(), recall.squeeze()


def rmse_score(model: Any, test: Interactions) -> Any:
    """Root mean squared error of the predicted ratings, a single number."""
    return np.sqrt(((test.ratings - model.predict(test.user_ids, test.item_ids)) ** 2).mean())
