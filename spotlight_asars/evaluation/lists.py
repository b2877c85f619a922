r"""What lists of recommendations are like, whatever comes next: coverage, novelty, tail and diversity.

Of lists :math:`L_1, \dots, L_n` of k items each, over a catalogue of m items that were viewed :math:`c_i` times in
training, :math:`p_i = c_i / \sum_j c_j`:

.. math:: \mathrm{coverage} = \frac{1}{m} \Big| \bigcup_l L_l \Big|, \qquad
          \mathrm{novelty} = \frac{1}{n} \sum_l \frac{1}{|L_l|} \sum_{i \in L_l} -\log_2 p_i

.. math:: \mathrm{tail} = \frac{1}{n} \sum_l \frac{|L_l \cap T|}{|L_l|}, \qquad
          \mathrm{diversity} = \frac{1}{n} \sum_l \frac{|\{g_i : i \in L_l\}|}{|L_l|}

with the tail T, which is all items but the most popular ones that have 80 % of the views together, and the categories
g. An item that was never viewed counts as viewed once in the novelty; items without a category are left out of the
diversity.

References
----------
M. Ge, C. Delgado-Battenfeld, D. Jannach: Beyond accuracy: evaluating recommender systems by coverage and serendipity.
RecSys 2010 (coverage of the catalogue).
T. Zhou, Z. Kuscsik, J.-G. Liu, M. Medo, J. R. Wakeling, Y.-C. Zhang: Solving the apparent diversity-accuracy dilemma of
recommender systems. PNAS 107 (2010) (mean self-information).
H. Abdollahpouri, R. Burke, B. Mobasher: Managing popularity bias in recommender systems with personalized re-ranking.
FLAIRS 2019 (average share of long-tail items).
C. Zhai, W. W. Cohen, J. Lafferty: Beyond independent relevance: methods and evaluation metrics for subtopic retrieval.
SIGIR 2003 (subtopics that a list covers).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spotlight_asars._checks import require
from spotlight_asars.events import EventLog
from spotlight_asars.events.distinct import distinct
from spotlight_asars.events.vocabulary import encode_raw
from spotlight_asars.sessions import PADDING_IDX

HEAD = 0.8  # share of all views that the most popular items have together; the others are the tail
NO_CATEGORY = -1

Lists = NDArray[np.int64]  # (lists, k), best first, padded with 0 behind the end


def coverage(lists: Lists, num_items: int) -> float:
    """Share of the catalogue, `num_items` with padding, that is in some list.

    >>> coverage(np.array([[1, 2], [2, 0]]), num_items=5)
    0.5
    """
    return float(np.count_nonzero(np.unique(lists) != PADDING_IDX) / max(num_items - 1, 1))


def novelty(lists: Lists, counts: NDArray[Any]) -> float:
    """Mean self-information [bits] of what is recommended, by how often each item was viewed, (items,).

    >>> round(novelty(np.array([[1, 2], [2, 0]]), np.array([0, 6, 2])), 4)
    1.6038
    """
    information = -np.log2(np.maximum(counts, 1) / max(counts.sum(), 1))
    return _mean_of_lists(information[lists], lists != PADDING_IDX)


def tail(lists: Lists, counts: NDArray[Any]) -> float:
    """Mean share of a list that is not among the most popular items, which have ``HEAD`` of the views together.

    >>> tail(np.array([[1, 2], [2, 0]]), np.array([0, 8, 2]))
    0.75
    """
    order = np.argsort(-counts, kind="stable")
    before = np.cumsum(counts[order]) - counts[order]
    in_tail = np.empty(len(counts), dtype=bool)
    in_tail[order] = before >= HEAD * counts.sum()
    return _mean_of_lists(in_tail[lists], lists != PADDING_IDX)


def diversity(lists: Lists, categories: NDArray[np.int64]) -> float:
    """Mean share of different categories in a list, by the number of each item's category, (items,), -1 for none.

    NaN where no item of any list has a category.

    >>> diversity(np.array([[1, 2], [2, 0]]), np.array([-1, 4, 4]))
    0.75
    """
    found = np.sort(np.where(lists == PADDING_IDX, NO_CATEGORY, categories[lists]), axis=1)
    known = found != NO_CATEGORY
    new = known.copy()
    new[:, 1:] &= found[:, 1:] != found[:, :-1]
    return _mean_of_lists(new, known)


def metrics_of_lists(
    lists: Lists, k: list[int], num_items: int, counts: NDArray[Any] | None, categories: NDArray[np.int64] | None
) -> dict[str, float]:
    """All metrics that can be known, by name and cut-off."""
    metrics = {}
    for place in k:
        best = lists[:, :place]
        metrics[f"coverage@{place}"] = coverage(best, num_items)
        if counts is not None:
            metrics[f"novelty@{place}"] = novelty(best, counts)
            metrics[f"tail@{place}"] = tail(best, counts)
        if categories is not None:
            metrics[f"diversity@{place}"] = diversity(best, categories)
    return metrics


def read_categories(categories: Any, model: Any, num_items: int) -> NDArray[np.int64]:
    """The number of each item's category, int64 (items,); -1 where it has none.

    Parameters
    ----------
    categories : EventLog, dict or array (items,)
        A log with categories, of which an item has the latest one in it; a dict by raw id where the model knows these,
        else by contiguous id; or an array in the order of contiguous ids, padding included.
    model : Recommender
    num_items : int
    """
    vocabulary = getattr(model, "item_vocabulary", None)
    values: NDArray[Any]
    items: NDArray[np.int64]
    if isinstance(categories, EventLog):
        require(categories.categories is not None, "categories must be a log that has some", categories)
        items, values = categories.item_ids, np.asarray(categories.categories)
        if vocabulary is not None and categories.item_vocabulary is not vocabulary:
            items = encode_raw(vocabulary, categories.item_vocabulary.decode(items), "categories")
    elif isinstance(categories, Mapping):
        ids = np.array(list(categories), dtype=object)
        items = ids.astype(np.int64) if vocabulary is None else encode_raw(vocabulary, ids, "categories")
        values = np.array(list(categories.values()), dtype=object)
    else:
        values, items = np.asarray(categories), np.arange(num_items)
        rule = f"categories must be a log, a dict, or an array of shape ({num_items},)"
        require(values.shape == (num_items,), rule, values.shape)
    named = np.array([value is not None and value == value for value in values.tolist()], dtype=np.bool_)
    inside = named & (items > PADDING_IDX) & (items < num_items)
    numbers = np.full(num_items, NO_CATEGORY)
    if inside.any():
        texts = np.array([str(value) for value in values[inside].tolist()], dtype=object)
        numbers[items[inside]] = distinct(texts)[1]
    return numbers


def _mean_of_lists(values: NDArray[Any], real: NDArray[np.bool_]) -> float:
    """Mean over the lists of the mean over each list's real entries; lists without any are left out."""
    sizes = real.sum(axis=1)
    some = sizes > 0
    if not some.any():
        return float("nan")
    return float(np.mean((values * real).sum(axis=1)[some] / sizes[some]))
