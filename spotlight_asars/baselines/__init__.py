"""Models to be measured against, from counting clicks to recurrent nets: each is fitted and asked like our own.

A baseline has ``fit(interactions) -> self``, ``predict`` and ``recommend``; ``evaluate`` asks it in batches. To add
one, write its file and its line in ``BASELINES``.

>>> from spotlight_asars import SessionInteractions
>>> sessions = SessionInteractions([[1, 2, 3], [0, 1, 2]])
>>> BASELINES["vsknn"]().fit(sessions).recommend([[1, 2]], k=1).items
array([[3]])
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from spotlight_asars.baselines.association_rules import AssociationRules
from spotlight_asars.baselines.bpr_mf import BPRMF
from spotlight_asars.baselines.item_knn import ItemKNN
from spotlight_asars.baselines.markov import MarkovChain
from spotlight_asars.baselines.nets import (
    gru4rec_bpr_max,
    gru4rec_cross_entropy,
    narm,
    wavenet_cnn,
    youtube_pooling,
)
from spotlight_asars.baselines.popularity import MostPopular
from spotlight_asars.baselines.sasrec import SASRec
from spotlight_asars.baselines.sequential_rules import SequentialRules
from spotlight_asars.baselines.session_knn import SessionKNN
from spotlight_asars.baselines.session_popularity import SessionPopularity
from spotlight_asars.baselines.stan import STAN
from spotlight_asars.baselines.user_vsknn import UserVSKNN
from spotlight_asars.baselines.vsknn import VSKNN
from spotlight_asars.baselines.vstan import VSTAN

__all__ = [
    "BASELINES",
    "BPRMF",
    "STAN",
    "VSKNN",
    "VSTAN",
    "AssociationRules",
    "ItemKNN",
    "MarkovChain",
    "MostPopular",
    "SASRec",
    "SequentialRules",
    "SessionKNN",
    "SessionPopularity",
    "UserVSKNN",
    "gru4rec_bpr_max",
    "gru4rec_cross_entropy",
    "narm",
    "wavenet_cnn",
    "youtube_pooling",
]

BASELINES: dict[str, Callable[..., Any]] = {
    "most_popular": MostPopular,
    "session_popularity": SessionPopularity,
    "association_rules": AssociationRules,
    "sequential_rules": SequentialRules,
    "markov": MarkovChain,
    "item_knn": ItemKNN,
    "session_knn": SessionKNN,
    "vsknn": VSKNN,
    "stan": STAN,
    "vstan": VSTAN,
    "user_vsknn": UserVSKNN,
    "bpr_mf": BPRMF,
    "youtube_pooling": youtube_pooling,
    "wavenet_cnn": wavenet_cnn,
    "gru4rec_cross_entropy": gru4rec_cross_entropy,
    "gru4rec_bpr_max": gru4rec_bpr_max,
    "narm": narm,
    "sasrec": SASRec,
}
