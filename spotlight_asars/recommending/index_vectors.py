"""Vectors of items and sessions for an index of nearest neighbours, and the items whose scores need the memories."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spotlight_asars.events.labels import UNKNOWN
from spotlight_asars.memory import RecallNet
from spotlight_asars.recommending.fitted_net import FittedNet
from spotlight_asars.representations import ASARSNet
from spotlight_asars.sessions import SessionInteractions
from spotlight_asars.sessions.passes import scoring_batches

SESSIONS_AT_ONCE = 256


@torch.no_grad()
def item_matrix(fitted: FittedNet) -> NDArray[np.float32]:
    """A vector for each item, float32 (items, dim): its embedding, its bias with what all states have alike, and a one
    where scores have an offset."""
    net = fitted.dot_product_net("item_matrix")
    vectors, biases = net.item_rows()
    biases = biases if fitted.common_terms is None else biases + fitted.common_terms
    columns = [vectors, biases.unsqueeze(1)]
    if net.mean is not None:
        columns.append(torch.ones_like(net.item_biases.weight))
    matrix: NDArray[np.float32] = torch.cat(columns, dim=1).cpu().numpy()
    return matrix


@torch.no_grad()
def query_matrix(fitted: FittedNet, sessions: SessionInteractions, asked: int = UNKNOWN) -> NDArray[np.float32]:
    """A vector for each session, float32 (session, dim), whose products with ``item_matrix`` are scores.

    `asked` is the kind that the next events are to be of.
    """
    net = fitted.dot_product_net("queries")
    matrix = np.empty((len(sessions), net.embedding_dim + 1 + (net.mean is not None)), dtype=np.float32)
    for batch in scoring_batches(sessions, SESSIONS_AT_ONCE, fitted.device):
        states = net.states(batch.items, batch.channels.asking(asked, batch.items))[:, -1]
        matrix[batch.rows] = as_query(net, states).cpu().numpy()
    return matrix


def as_query(net: ASARSNet, states: Tensor) -> Tensor:
    """States (rows, state) with a one for the item's bias, and the offset last: (rows, dim)."""
    query, offset = states[:, : net.embedding_dim], states[:, net.embedding_dim :]
    return torch.cat([query, torch.ones_like(states[:, :1]), offset], dim=1)


def remembered_items(fitted: FittedNet, sessions: SessionInteractions) -> list[NDArray[np.int64]]:
    """The items of each session whose scores have terms of the memories: int64 (items,), rising."""
    remembered = [np.zeros(0, dtype=np.int64)] * len(sessions)
    if isinstance(fitted.net, RecallNet):
        for batch in scoring_batches(sessions, SESSIONS_AT_ONCE, fitted.device):
            items, touched = fitted.states(batch.items, batch.channels)[:, -1].recalled_items()
            for row, of_row in zip(batch.rows, touched.cpu().numpy(), strict=True):
                remembered[row] = items.cpu().numpy()[of_row]
    return remembered
