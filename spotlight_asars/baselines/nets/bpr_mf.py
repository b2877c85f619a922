"""Spotlight's matrix factorization as a predictor of the next item of a session."""

from __future__ import annotations

import numpy as np
import torch
from numpy.random import RandomState

from spotlight_asars._checks import number, positive, random_state_of, require, whole
from spotlight_asars._spotlight import ImplicitFactorizationModel, Interactions
from spotlight_asars.baselines.base import Baseline
from spotlight_asars.baselines.counting import session_of_events
from spotlight_asars.baselines.prefixes import Floats, Prefixes
from spotlight_asars.runtime.devices import preserved_generators
from spotlight_asars.sessions.interactions import SessionInteractions


class BPRMF(Baseline):
    r"""Matrix factorization (BPR-MF): Spotlight's ``ImplicitFactorizationModel`` of users and items.

    .. math:: r_i(u) = p_u \cdot q_i + b_u + b_i, \qquad r_i(s) = \frac{1}{|s|} \sum_{j \in s} q_j \cdot q_i + b_i

    the first for users of the training sessions, the second for any other: the mean of the session's items stands in
    for the user. In training, each session of an unknown user is a user of its own.

    Parameters
    ----------
    embedding_dim, n_iter, batch_size, l2, learning_rate
        As in ``ImplicitFactorizationModel``.
    random_state : RandomState or int, optional
        The one source of randomness.

    References
    ----------
    S. Rendle et al.: BPR: Bayesian personalized ranking from implicit feedback. UAI 2009.
    B. Hidasi et al.: Session-based recommendations with recurrent neural networks. ICLR 2016 (the mean of the items).

    Examples
    --------
    >>> sessions = SessionInteractions([[1, 2, 3], [0, 1, 4]], user_ids=[0, 1])
    >>> BPRMF(n_iter=1, random_state=0).fit(sessions).predict([1, 2], user_ids=[1]).shape
    (5,)
    """

    def __init__(
        self,
        embedding_dim: int = 64,
        n_iter: int = 20,
        batch_size: int = 256,
        l2: float = 1e-5,
        learning_rate: float = 1e-2,
        random_state: RandomState | int | None = None,
    ) -> None:
        self._embedding_dim = whole(embedding_dim, "embedding_dim", least=1)
        self._n_iter, self._batch_size = whole(n_iter, "n_iter", least=1), whole(batch_size, "batch_size", least=1)
        self._l2, self._learning_rate = number(l2, "l2", least=0), positive(learning_rate, "learning_rate")
        self._random_state = random_state

    def _learn(self, sessions: SessionInteractions) -> None:
        owners, owner_of_session = np.unique(sessions.owners(), return_inverse=True)
        known = owners < sessions.num_users
        self._row_of_user = np.full(sessions.num_users, -1)
        self._row_of_user[owners[known]] = np.flatnonzero(known)
        users = owner_of_session[session_of_events(sessions)].astype(np.int32)
        events = Interactions(users, sessions.items, num_users=len(owners), num_items=sessions.num_items)
        with preserved_generators():  # Spotlight seeds torch's global generator, which is the caller's
            self.factorization = ImplicitFactorizationModel(
                loss="bpr",
                embedding_dim=self._embedding_dim,
                n_iter=self._n_iter,
                batch_size=without_remainder_of_one(len(users), self._batch_size),
                l2=self._l2,
                learning_rate=self._learning_rate,
                random_state=random_state_of(self._random_state),
            )
            self.factorization.fit(events)
        net = self.factorization._net
        self._users, self._items = _weights(net.user_embeddings), _weights(net.item_embeddings)
        self._user_biases, self._item_biases = _weights(net.user_biases)[:, 0], _weights(net.item_biases)[:, 0]

    def scores(self, prefixes: Prefixes) -> Floats:
        """Scores by the user's vector, or by the mean of the session's items: float64 (rows, items)."""
        users = prefixes.users()
        in_range = (users >= 0) & (users < len(self._row_of_user))
        row = np.r_[self._row_of_user, -1][np.where(in_range, users, -1)]  # -1 where unknown
        events = prefixes.events()
        vectors = np.zeros((len(users), self._items.shape[1]))
        np.add.at(vectors, events.row, self._items[events.items] / np.bincount(events.row)[events.row, None])
        known = row >= 0
        vectors[known] = self._users[row[known]]
        biases = np.where(known, self._user_biases[row], 0.0)
        return vectors @ self._items.T + biases[:, None] + self._item_biases


def without_remainder_of_one(events: int, batch_size: int) -> int:
    """The smallest batch size from `batch_size` up that leaves no batch of a single event.

    Spotlight's ``BilinearNet`` squeezes all axes of length 1, and fails on a single pair.

    >>> without_remainder_of_one(events=257, batch_size=256)
    257
    """
    require(events >= 2, "interactions must have two events or more", events)
    return next(size for size in range(max(batch_size, 2), max(batch_size, events) + 1) if events % size != 1)


def _weights(layer: torch.nn.Module) -> Floats:
    weight: torch.Tensor = layer.weight  # type: ignore[assignment]
    return weight.detach().cpu().numpy().astype(np.float64)
