"""The mini-batches of each epoch, with what the memories hold for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch
from numpy.random import RandomState
from numpy.typing import NDArray

from spotlight_asars.memory.latest_events import LatestEvents
from spotlight_asars.memory.neighbour_sessions import OWN, NeighbourSessions
from spotlight_asars.memory.weight_search import WeightSearch
from spotlight_asars.recommending.fitted_net import FittedNet
from spotlight_asars.runtime.devices import rows_at_once
from spotlight_asars.runtime.distributed import processes
from spotlight_asars.sessions import SessionInteractions
from spotlight_asars.sessions.batching import Batch, Block, SessionsOnDevice
from spotlight_asars.sessions.passes import as_blocks, training_batches, training_rows, user_parallel_batches

HELD_BACK, MOST_HELD_BACK = 0.05, 2000  # share and number of the sessions on which neighbours are weighed
SESSIONS_AT_ONCE = 64


class TrainingBatches:
    """``batches(epoch, start)``: the mini-batches of an epoch, the number of which counts from 0, from `start` on.

    Parameters
    ----------
    fitted : FittedNet
        Which remembers the sessions.
    sessions : SessionInteractions
        To train on.
    batch_size : int
    random_state : RandomState
        Draws the order.
    is_new : bool
        Whether the net has never been trained. Then the latest sessions come last in the first epoch, and tell, before
        the net is trained on them, what sessions like them are worth.
    """

    def __init__(
        self,
        fitted: FittedNet,
        sessions: SessionInteractions,
        batch_size: int,
        random_state: RandomState,
        is_new: bool,
    ) -> None:
        self._fitted, self._sessions, self._batch_size, self._random_state = fitted, sessions, batch_size, random_state
        self._log = SessionsOnDevice(sessions, fitted.device)
        self._own = None if fitted.transitions is None else fitted.transitions.own_counts(sessions)
        self._weighs_neighbours = is_new and fitted.neighbour_terms is not None

    def __call__(self, epoch: int, start: int) -> Iterator[Batch]:
        draw = self._sessions, self._batch_size, self._log, self._random_state, start, processes()
        if self._fitted.users.drift is not None:  # whole users, between whose sessions the net carries their state on
            batches = user_parallel_batches(*draw)
        else:
            batches = training_batches(*draw, *self._last(epoch))
        for batch in batches:
            yield self._recalled(batch)

    def blocks(self, epoch: int, start: int) -> Iterator[Block | Batch]:
        """The same mini-batches as blocks, for ``gather``; of a net whose users do not drift."""
        drawn = training_rows(self._sessions, self._batch_size, self._random_state, start, *self._last(epoch))
        for part in as_blocks(self._log, *drawn):
            yield part if isinstance(part, Block) else self._recalled(part)

    def gather(self, block: Block) -> Batch:
        """A block as a batch, with what the memories hold for it."""
        return self._recalled(self._log.gather(block))

    def _last(self, epoch: int) -> tuple[NDArray[np.bool_], Callable[[], None]] | tuple[()]:
        """The sessions that come last in the first epoch, and what comes before them."""
        if epoch or not self._weighs_neighbours:
            return ()
        latest = _latest(self._sessions)
        return latest, partial(self._weigh_neighbours, latest)

    def _recalled(self, batch: Batch) -> Batch:
        return batch._replace(channels=self._fitted.recall_in_training(batch, self._own))

    @torch.no_grad()
    def _weigh_neighbours(self, latest: NDArray[np.bool_]) -> None:
        """Find the weights of ``NeighbourTerms`` on the latest sessions, whose neighbours are all the others."""
        fitted, search, terms = self._fitted, WeightSearch(), self._fitted.neighbour_terms
        assert terms is not None
        earlier = self._sessions.take(np.flatnonzero(~latest))
        neighbours = NeighbourSessions(earlier, fitted.device)
        demand = neighbours.demand / terms.gain
        at_once = rows_at_once(fitted.device, earlier.num_items)
        with fitted.remembering(earlier):
            for rows in np.array_split(np.flatnonzero(latest), -(-int(latest.sum()) // SESSIONS_AT_ONCE)):
                batch = self._log.batch(rows)
                channels = fitted.users.recall(batch.channels, training=True)  # of unknown start, they are no history
                states, query = fitted.states(batch.items, channels), neighbours.query(batch.items)
                events = LatestEvents(batch.items)
                for row, step in zip(*(part.split(at_once) for part in batch.viewed), strict=True):
                    # what is found is multiplied by the gain, so until then all else is divided by it
                    scores = fitted.score_catalogue(states[row, step]).div_(terms.gain)
                    viewed, _ = events.before(row, step, OWN)
                    search.add(scores, query.votes(row, step), viewed, batch.items[row, step + 1], demand)
        terms.take(search.best())


def _latest(sessions: SessionInteractions) -> NDArray[np.bool_]:
    """The latest sessions that have something to predict: bool (session,)."""
    order = sessions.in_order_of_time()
    order = order[sessions.lengths[order] >= 2]
    chosen = np.zeros(len(sessions), dtype=bool)
    chosen[order[len(order) - min(MOST_HELD_BACK, int(HELD_BACK * len(order))) :]] = True
    return chosen
