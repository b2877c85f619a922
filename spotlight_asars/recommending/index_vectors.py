"""Serving: live sessions, and vectors for an index of nearest neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spotlight_asars._checks import require
from spotlight_asars.memory.recall_net import RecallNet
from spotlight_asars.recommending.live_session import LiveSession
from spotlight_asars.recommending.recommender import NetScores
from spotlight_asars.recommending.requests import Catalogue, read_histories
from spotlight_asars.representations.asars import ASARSNet
from spotlight_asars.sessions.batching import scoring_batches
from spotlight_asars.sessions.interactions import SessionInteractions


class Serving(NetScores):
    """The part of ``ASARSSequenceModel`` that serves: live sessions, and vectors for an index."""

    def start_session(self, user: Any = None, started: float | None = None, raw: bool = False) -> LiveSession:
        """A session to append events to as they come, and to ask for the next item at any time.

        Parameters
        ----------
        user : id, optional
            Whose session it is; by default, and where training did not meet them, the unknown user.
        started : float, optional
            When it starts [s]; by default now, after all that the memory holds.
        raw : bool
            Whether user and items are raw ids, on the way in and out.

        Raises
        ------
        RuntimeError
            Before ``fit``.
        """
        return LiveSession(self, user, started, raw)

    @torch.no_grad()
    def item_matrix(self) -> NDArray[np.float32]:
        """A vector for each item, whose dot product with those of ``queries`` is the score: float32 (items, dim).

        That is eq. 20's :math:`q \\cdot e_k + b_k` with the bias as a column of its own, and all of a score but the
        memory's terms, which are sparse: they touch the items that the user has viewed. Row 0 is padding, and has no
        place in an index.

        Raises
        ------
        ValueError
            For a representation whose score is not one dot product.
        """
        net = self._dot_product_net("item_matrix")
        columns = [net.item_embeddings.weight, net.item_biases.weight]
        if net.mean is not None:
            columns.append(torch.ones_like(net.item_biases.weight))
        matrix: NDArray[np.float32] = torch.cat(columns, dim=1).cpu().numpy()
        return matrix

    @torch.no_grad()
    def queries(self, sessions: Any, **given: Any) -> NDArray[np.float32]:
        """A vector for each session, for the items of ``item_matrix``: float32 (session, dim).

        Parameters
        ----------
        sessions, **given
            As in ``recommend``: contiguous or raw, with `user_ids`, `dwell_times`, `started`, `raw` and `columns`.
        """
        net = self._dot_product_net("queries")
        asked = self._read(sessions, given)
        found = np.empty((len(asked), net.embedding_dim + 1 + (net.mean is not None)), dtype=np.float32)
        for batch in scoring_batches(asked, 256, self.device):
            states = net.states(batch.items, batch.channels)[:, -1]
            found[batch.rows] = as_query(net, states).cpu().numpy()
        return found

    def remembered(self, sessions: Any, **given: Any) -> list[NDArray[np.int64]]:
        """The items of each session whose scores have terms of the memory, and no dot product alone.

        They are those of the session itself, of its user's earlier ones as far as the memory goes, and what followed
        the latest ones in training; beside what an index of ``item_matrix`` proposes they are the candidates for
        ``recommend``.

        Parameters
        ----------
        sessions, **given
            As in ``queries``.

        Returns
        -------
        list of int64 (items,)
            Distinct contiguous ids, rising; none without `history` and `transitions`.
        """
        net, asked = self._fitted_net("remembered"), self._read(sessions, given)
        found = [np.zeros(0, dtype=np.int64)] * len(asked)
        for batch in scoring_batches(asked, 256, self.device) if isinstance(net, RecallNet) else ():
            items, touched = self.encode(batch.items, batch.channels)[:, -1].recalled_items()
            for row, mine in zip(batch.rows, touched.cpu().numpy(), strict=True):
                found[row] = items.cpu().numpy()[mine]
        return found

    def _read(self, sessions: Any, given: dict[str, Any]) -> SessionInteractions:
        """Sessions in any form that ``recommend`` takes."""
        catalogue = Catalogue(int(self._num_items), self.item_vocabulary, self.user_vocabulary)
        asked = read_histories(catalogue, sessions, **given).sessions
        self._check_known(asked, "sessions")
        return asked

    def _dot_product_net(self, asked: str) -> ASARSNet:
        net = self._fitted_net(asked).eval()
        inner = net.net if isinstance(net, RecallNet) else net
        rule = f"{asked} must be asked of an ASARS representation, whose score is one dot product"
        require(isinstance(inner, ASARSNet), rule, type(getattr(inner, "net", inner)).__name__)
        assert isinstance(inner, ASARSNet)
        return inner


def as_query(net: ASARSNet, states: Tensor) -> Tensor:
    """States (rows, state) with a one for the item's bias, and the offset last: (rows, dim)."""
    return torch.cat(
        [states[:, : net.embedding_dim], torch.ones_like(states[:, :1]), states[:, net.embedding_dim :]], 1
    )
