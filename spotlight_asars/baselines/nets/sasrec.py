"""SASRec of RecTools as a baseline."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.random import RandomState

from spotlight_asars._checks import number, positive, random_state_of, require, whole
from spotlight_asars.baselines.base import Baseline
from spotlight_asars.baselines.counting import session_of_events
from spotlight_asars.baselines.prefixes import Floats, Ints, Prefixes
from spotlight_asars.recommending.recommendations import NEVER
from spotlight_asars.runtime.devices import preserved_generators, rows_at_once
from spotlight_asars.runtime.quiet import quiet
from spotlight_asars.sessions.interactions import SessionInteractions

STATES_AT_ONCE = 256
LOGGERS = ("lightning.pytorch", "pytorch_lightning")  # of the trainer


class SASRec(Baseline):
    r"""Self-attentive sequential recommendation (SASRec): ``SASRecModel`` of RecTools, with softmax over the catalogue.

    Blocks of causal self-attention and a pointwise feed-forward net turn the items of a session, with a vector for
    each position, into a state, which is compared with all items. Each session is a user of RecTools. The extra
    ``sasrec`` of this package installs RecTools; with Python below 3.13 it works with numpy 1.26 only.

    Parameters
    ----------
    embedding_dim, num_blocks, num_heads : int
        Size of item vectors and states, blocks, and heads of each block.
    dropout : float
        Share of the hidden units that is dropped in training.
    n_iter, batch_size : int
        Epochs, and sessions of a mini-batch.
    learning_rate : float
        Step size of Adam.
    max_sequence_length : int, optional
        Number of latest events that are used. RecTools pads all sessions to as many, so more take longer; by default
        the length that 99 % of the training sessions do not exceed.
    random_state : RandomState or int, optional
        The one source of randomness.

    Raises
    ------
    ImportError
        From ``fit``, without RecTools.

    References
    ----------
    W.-C. Kang, J. McAuley: Self-attentive sequential recommendation. ICDM 2018.
    A. Klenitskiy, A. Vasilev: Turning dross into gold loss: is BERT4Rec really better than SASRec? RecSys 2023 (the
    softmax).

    Examples
    --------
    >>> SASRec(n_iter=3).get_params()["n_iter"]
    3
    """

    def __init__(
        self,
        embedding_dim: int = 64,
        num_blocks: int = 2,
        num_heads: int = 1,
        dropout: float = 0.2,
        n_iter: int = 10,
        batch_size: int = 32,
        learning_rate: float = 1e-3,
        max_sequence_length: int | None = None,
        random_state: RandomState | int | None = None,
    ) -> None:
        self._embedding_dim = whole(embedding_dim, "embedding_dim", least=1)
        self._num_blocks, self._num_heads = whole(num_blocks, "num_blocks", 1), whole(num_heads, "num_heads", 1)
        require(embedding_dim % num_heads == 0, f"embedding_dim must be a multiple of {num_heads} heads", embedding_dim)
        self._dropout = number(dropout, "dropout")
        require(0 <= dropout < 1, "dropout must be a share from 0 up to but not 1", dropout)
        self._n_iter, self._batch_size = whole(n_iter, "n_iter", 1), whole(batch_size, "batch_size", 1)
        self._learning_rate = positive(learning_rate, "learning_rate")
        latest = max_sequence_length
        self._max_sequence_length = None if latest is None else whole(latest, "max_sequence_length", 1)
        self._random_state = random_state

    def _learn(self, sessions: SessionInteractions) -> None:
        try:
            from rectools.models import SASRecModel
        except ImportError as error:
            raise ImportError("SASRec needs rectools; pip install 'spotlight-asars[sasrec]' brings it") from error
        longest = int(sessions.lengths.max())
        require(longest >= 2, "interactions must have a session of two events or more; the longest has", longest)
        usual = max(2, int(np.quantile(sessions.lengths, 0.99, method="inverted_cdf")))
        self._width = usual if self._max_sequence_length is None else min(self._max_sequence_length, longest)
        with preserved_generators(torch.cuda.is_available()), quiet(*LOGGERS):
            torch.manual_seed(random_state_of(self._random_state).randint(2**31 - 1))
            self.sasrec: Any = SASRecModel(
                n_blocks=self._num_blocks,
                n_heads=self._num_heads,
                n_factors=self._embedding_dim,
                dropout_rate=self._dropout,
                session_max_len=self._width,
                lr=self._learning_rate,
                batch_size=self._batch_size,
                epochs=self._n_iter,
            ).fit(_dataset(sessions))
        known = self.sasrec.data_preparator.get_known_item_ids().astype(np.int64)
        self._row_of_item = np.zeros(sessions.num_items, dtype=np.int64)  # of the item vectors; 0 is padding
        self._row_of_item[known] = self.sasrec.data_preparator.get_known_items_sorted_internal_ids()

    @torch.no_grad()
    def scores(self, prefixes: Prefixes) -> Floats:
        """Products of the state after each prefix with the items' vectors: float64 (rows, items)."""
        net = self.sasrec.torch_model.eval()
        vectors = net.item_model.get_all_embeddings()  # (items that were trained on, dim)
        windows = torch.from_numpy(self._windows(prefixes)).to(vectors.device)
        states = [
            net.encode_sessions({"x": part}, vectors)[:, -1]
            for part in windows.split(min(STATES_AT_ONCE, rows_at_once(vectors.device, self._width)))
        ]
        scores = (torch.cat([vectors[:0], *states]) @ vectors.T).double().cpu().numpy()[:, self._row_of_item]
        scores[:, self._row_of_item == 0] = NEVER
        return scores

    def _windows(self, prefixes: Prefixes) -> Ints:
        """The latest items of each prefix as rows of the item vectors, int64 (rows, width), padded from the left."""
        events = prefixes.events()
        known = self._row_of_item[events.items] != 0
        row, items = events.row[known], self._row_of_item[events.items[known]]
        lengths = np.bincount(row, minlength=len(prefixes))
        column = self._width - np.repeat(np.cumsum(lengths), lengths) + np.arange(len(row))
        windows = np.zeros((len(prefixes), self._width), dtype=np.int64)
        windows[row[column >= 0], column[column >= 0]] = items[column >= 0]
        return windows


def _dataset(sessions: SessionInteractions) -> Any:
    """The events as RecTools takes them."""
    import pandas as pd
    from rectools import Columns
    from rectools.dataset import Dataset

    events = {
        Columns.User: session_of_events(sessions),
        Columns.Item: sessions.items.astype(np.int64),
        Columns.Weight: 1.0,
        Columns.Datetime: np.arange(len(sessions.items)).astype("datetime64[s]"),  # their order is all that counts
    }
    return Dataset.construct(pd.DataFrame(events))
