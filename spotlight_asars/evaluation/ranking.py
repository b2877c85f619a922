"""Ranks of the next items, and what is recommended in their place.

Full ranking against the training catalogue, never sampled; padding is no candidate in ``evaluate``; ties get the mean
of their ranks, so a constant scorer scores at chance.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from spotlight_asars._checks import integers, one_of, reject, require, switch
from spotlight_asars.evaluation.lists import Lists, metrics_of_lists, read_categories
from spotlight_asars.evaluation.metrics import Ranks, Report
from spotlight_asars.events.labels import UNKNOWN, raw_labels
from spotlight_asars.events.vocabulary import check_vocabulary
from spotlight_asars.runtime.devices import moved, rows_at_once
from spotlight_asars.sessions import PADDING_IDX, SequenceInteractions
from spotlight_asars.sessions.interactions import SessionInteractions, as_sessions
from spotlight_asars.sessions.passes import scoring_batches
from spotlight_asars.sessions.ragged import flat_ranges

SESSIONS_AT_ONCE = 256
LOWEST = float(np.finfo(np.float32).min)  # score of items that are ranked last, as Spotlight has it


def evaluate(
    model: Any,
    test: SequenceInteractions,
    k: int | Sequence[int] = (10, 20),
    positions: str = "every",
    roll_history: bool = False,
    *,
    lists: bool = False,
    categories: Any = None,
    by: str | None = None,
    ask_kinds: bool = False,
) -> Report:
    """Rank the next item at every position of the test sessions, or at the last.

    Parameters
    ----------
    model : ASARSSequenceModel, or any Spotlight sequence model
        Another model is asked for the scores of one prefix after the other through its ``predict``.
    test : SessionInteractions or SequenceInteractions
        Sessions of items that the model knows.
    k : int or ints
        Cut-offs of the metrics.
    positions : {"every", "last"}
        Every position after the first, or only each session's last.
    roll_history : bool
        Let each user's later test sessions see the earlier ones of the same user, once these are scored. Else all start
        from what training left. The model is afterwards as before.
    lists : bool
        Look at what is recommended, too: coverage, novelty, share of the tail, and diversity where items have
        `categories`; see ``spotlight_asars.evaluation.lists``. Novelty and tail need a model that knows how often each
        item was viewed in training, as ours and the baselines do.
    categories : EventLog, dict or array (items,), optional
        Of items: those in a log, by id (raw where the model knows raw ids), or in the order of contiguous ids.
    by : {None, "kind"}
        Report on the targets of each kind as well, under ``report.by[kind]``; on those of unknown kind under "unknown".
    ask_kinds : bool
        Ask for each target as one of its own kind, as ``recommend(..., kind=)`` does; it says what that is worth to
        those who know what the user is about to do.

    Returns
    -------
    Report
        ``report["mrr@20"]``, ``report["recall@20"]``, ``report["ndcg@20"]``, ..., and the ranks themselves; with
        `lists` ``report["coverage@20"]``, ``report["novelty@20"]``, ``report["tail@20"]``, ``report["diversity@20"]``,
        and the lists themselves.

    Raises
    ------
    ValueError
        If no session has two events, `test` has items the model doesn't know, ids of another vocabulary or no kinds to
        report by, or a score is NaN.
    RuntimeError
        Before ``fit``.
    """
    one_of(positions, ("every", "last"), "positions")
    cutoffs = integers(np.atleast_1d(np.asarray(k)), "k")
    require(cutoffs.ndim == 1 and cutoffs.size > 0, "k must be an integer or a sequence of them", k)
    reject(cutoffs < 1, cutoffs, "k must be 1 or more")
    sessions = as_sessions(test, "test")
    require(by is None or by == "kind", "by must be None or 'kind'", by)
    require(by is None or sessions.flat_kinds is not None, "test must have kinds to report by", "none")
    longest = int(sessions.lengths.max())
    require(longest >= 2, "test must have a session of two events or more; the longest has", longest)
    num_items = _catalogue_size(model, "evaluate", sessions)
    if hasattr(model, "known_catalogue"):
        model.known_catalogue("evaluate").check_ids(sessions, "test")
    else:
        check_vocabulary(model, sessions, "test")
    _check_items(sessions, num_items)

    num_listed = min(int(cutoffs.max()), num_items - 1) if lists else 0
    of_items = read_categories(categories, model, num_items) if lists and categories is not None else None
    found = _Found.none(len(sessions.items), num_listed)
    rule = "ask_kinds must be False for a model whose net was not fitted to several kinds of events"
    require(not switch(ask_kinds, "ask_kinds") or getattr(model, "asks_kinds", False), rule, ask_kinds)
    fill = partial(_rank_states, ask_kinds=ask_kinds) if _is_batched(model) else _rank_predictions
    if roll_history:
        require(hasattr(model, "update"), "roll_history must be False for a model without update", roll_history)
        with model.preserved_user_state() as roll:
            for rows in sessions.rounds():
                chunk = sessions.take(rows)
                of_chunk = _Found.none(len(chunk.items), num_listed)
                fill(model, chunk, positions == "last", of_chunk)
                found.put(sessions.places(rows), *of_chunk)
                roll(chunk)
    else:
        fill(model, sessions, positions == "last", found)
    targets = found.ranks != 0
    ranks, session = found.ranks[targets], np.repeat(np.arange(len(sessions)), sessions.lengths)[targets]
    reject(np.isnan(ranks), ranks, "model must give scores that are numbers")
    recommended = of_lists = None
    if lists:
        recommended, counts = found.lists[targets], getattr(getattr(model, "_catalogue", None), "item_counts", None)
        of_lists = metrics_of_lists(recommended, cutoffs.tolist(), num_items, counts, of_items)
    report = Report(ranks, session, cutoffs.tolist(), recommended, of_lists)
    if hasattr(model, "seen_items"):
        seen = model.seen_items[sessions.items[targets]]
        report.split({"seen": seen, "new": ~seen}, cutoffs.tolist())
    if by == "kind":
        assert sessions.flat_kinds is not None
        kinds, names = sessions.flat_kinds[targets], raw_labels(sessions.kind_vocabulary, sessions.num_kinds)
        parts = {name: kinds == code for code, name in enumerate(names, start=1)}
        report.split({**parts, "unknown": kinds == UNKNOWN}, cutoffs.tolist())
    return report


class _Found(NamedTuple):
    """Rank of each event of some sessions, and what is recommended in its place: 0 where an event is no target.

    ranks : float64 (events,)
    lists : int64 (events, k)
    """

    ranks: Ranks
    lists: Lists

    @classmethod
    def none(cls, events: int, k: int) -> _Found:
        """Nothing yet."""
        return cls(np.zeros(events), np.zeros((events, k), dtype=np.int64))

    def put(self, places: NDArray[np.int64], ranks: Ranks, lists: Lists) -> None:
        """Take in what was found of the events at some places."""
        self.ranks[places], self.lists[places] = ranks, lists

    def list_best(self, places: NDArray[np.int64], scores: Tensor) -> None:
        """The best items of the events at some places, by scores (rows, items)."""
        if self.lists.shape[1]:
            best = scores.topk(self.lists.shape[1], dim=1)
            self.lists[places] = best.indices.masked_fill(best.values <= LOWEST, PADDING_IDX).cpu().numpy()


def sequence_mrr_score(model: Any, test: SequenceInteractions, exclude_preceding: bool = False) -> NDArray[np.float64]:
    """Spotlight's ``sequence_mrr_score``, number for number, in batches where the model allows it.

    Parameters
    ----------
    model : ASARSSequenceModel, or any Spotlight sequence model
    test : SessionInteractions or SequenceInteractions
        The last item of each row is predicted from the others. As in Spotlight, padding is ranked as a candidate.
    exclude_preceding : bool
        Rank the items of the row itself last.

    Returns
    -------
    float64 (session,)
        Reciprocal rank of each row's last item.
    """
    if _is_batched(model):
        sessions = test  # plain sequences come without users, as they do from Spotlight's evaluator
        if not isinstance(sessions, SessionInteractions):
            sessions = SessionInteractions(test.sequences, num_items=test.num_items)
        return 1.0 / _rank_last(model, sessions, exclude_preceding)
    rows, targets = test.sequences[:, :-1], test.sequences[:, -1]
    reciprocal = np.empty(len(rows))
    for place, row in enumerate(rows):
        scores = np.array(model.predict(row), ndmin=2)  # a copy, to write to
        if exclude_preceding:
            scores[0, np.asarray(row)] = LOWEST
        reciprocal[place] = 1.0 / float(
            _rank(torch.from_numpy(scores), torch.tensor([targets[place]], dtype=torch.int64))
        )
    return reciprocal


def _is_batched(model: Any) -> bool:
    """Whether the model gives states after every step, and the scores of many of them at once."""
    return hasattr(model, "states") and hasattr(model, "score_catalogue")


def _catalogue_size(model: Any, caller: str, sessions: SessionInteractions) -> int:
    """Number of items that the model knows, padding included; ``RuntimeError`` before ``fit``."""
    if hasattr(model, "known_catalogue"):
        return int(model.known_catalogue(caller).num_items)
    if getattr(model, "_net", model) is None:
        raise RuntimeError(f"{caller} needs a fitted model; call fit first")
    return int(getattr(model, "num_items", getattr(model, "_num_items", sessions.num_items)))


def _check_items(sessions: SessionInteractions, num_items: int) -> None:
    reject(sessions.items >= num_items, sessions.items, f"test must have item ids below {num_items}, as in training")


def _rank(scores: Tensor, targets: Tensor) -> Tensor:
    """Rank of one target in each row of scores, as scipy's ``rankdata`` gives it: float64 (rows,), on their device.

    1 is highest; ties get the mean; a row with a NaN in it gives NaN. The scores are overwritten: to write to a second
    matrix would take longer than the product that made them.
    """
    own, highest, items = scores.gather(1, targets.unsqueeze(1)), scores.amax(dim=1), scores.shape[1]
    exact = torch.float64 if items >= 2**24 else None
    higher_less_lower = scores.sub_(own).sign_().sum(dim=1, dtype=exact).double()  # as a sum of floats: it is faster
    ranks = (items + 1 + higher_less_lower) / 2
    return ranks.masked_fill(highest.isnan(), torch.nan)


def _rank_states(model: Any, sessions: SessionInteractions, last: bool, found: _Found, ask_kinds: bool = False) -> None:
    """Rank from the states after every step, which one pass over a session gives."""
    for batch in scoring_batches(sessions, SESSIONS_AT_ONCE, model.device):
        (row, step), time = batch.viewed, batch.items.shape[1]
        first, stop = sessions.offsets[batch.rows] + 1, sessions.offsets[batch.rows + 1]
        places = flat_ranges(first, np.maximum(first, stop))  # of the targets, in the order of the batch
        if not len(places):  # no session here has a target
            continue
        if last:
            at_end = np.flatnonzero(np.isin(places, stop - 1))
            chosen = moved(torch.from_numpy(at_end), model.device)
            places, row, step = places[at_end], row[chosen], step[chosen]
        channels = batch.channels.asking_for_own_kinds() if ask_kinds else batch.channels
        states = model.states(batch.items[:, :-1], channels.steps(slice(-1)))[row, step]
        targets = batch.items[row, step + 1]
        at_once = rows_at_once(model.device, max(model.num_items, time))  # a state's own session has terms, too
        parts = [slice(start, start + at_once) for start in range(0, len(row), at_once)]
        if hasattr(model, "rank_targets"):  # without all scores, in memory that it bounds itself
            ranks = [model.rank_targets(states, targets)]
            for part in parts if found.lists.shape[1] else []:
                found.list_best(places[part], model.score_catalogue(states[part]))
        else:
            ranks = []
            for part in parts:
                scores = model.score_catalogue(states[part])
                found.list_best(places[part], scores)
                ranks.append(_rank(scores, targets[part]))
        found.ranks[places] = torch.cat(ranks).cpu().numpy()


def _rank_last(model: Any, sessions: SessionInteractions, exclude_preceding: bool) -> Ranks:
    """Rank of each session's last item, float64 (session,)."""
    _check_items(sessions, _catalogue_size(model, "sequence_mrr_score", sessions))
    ranks = np.empty(len(sessions))
    at_once = rows_at_once(model.device, model.num_items)
    for batch in scoring_batches(sessions, SESSIONS_AT_ONCE, model.device):
        before = F.pad(batch.items[:, :-1], (1, 0))  # a session of one event has nothing before it but padding
        channels = batch.channels.steps(slice(-1))
        if channels.dwell_times is not None:
            channels = channels._replace(dwell_times=F.pad(channels.dwell_times, (1, 0), value=torch.nan))
        if channels.kinds is not None:
            channels = channels._replace(kinds=F.pad(channels.kinds, (1, 0)))
        states, found = model.states(before, channels)[:, -1], []
        for start in range(0, len(before), at_once):
            chunk = slice(start, start + at_once)
            scores = model.score_catalogue(states[chunk])
            if exclude_preceding:
                scores.scatter_(1, before[chunk], LOWEST)
            found.append(_rank(scores, batch.items[chunk, -1]))
        ranks[batch.rows] = torch.cat(found).cpu().numpy()
    return ranks


def _rank_predictions(model: Any, sessions: SessionInteractions, last: bool, found: _Found) -> None:
    """Rank through ``predict``, one prefix at a time: for models that offer nothing else."""
    for row, position, place in _targets(sessions, last):
        scores = np.array(model.predict(sessions.sequences[row, :position]), dtype=np.float64, ndmin=2)
        scores[:, PADDING_IDX] = -np.inf
        target = torch.tensor([sessions.items[place]], dtype=torch.int64)
        found.list_best(np.array([place]), torch.from_numpy(scores))
        found.ranks[place] = float(_rank(torch.from_numpy(scores), target))


def _targets(sessions: SessionInteractions, last: bool) -> Iterator[tuple[int, int, int]]:
    """Row and column in the padded matrix, and place in the flat arrays, of each target."""
    for row, (start, end) in enumerate(zip(sessions.offsets[:-1], sessions.offsets[1:], strict=True)):
        for place in range(max(start + 1, end - 1 if last else 0), end):
            yield row, int(sessions.max_sequence_length - (end - place)), int(place)
