"""Models to compare with, from popularity to recurrent nets: each has ``fit``, ``predict`` and ``recommend``.

``rules/`` score by the last item, ``neighbours/`` by similar sessions, ``slist`` by a linear model of items, and
``nets/`` are trained. The way of a query:

1. ``base``: ``Baseline.states`` wraps sessions and their channels as ``Prefixes``, one for each step (``prefixes``);
2. the baseline's own file: ``scores`` gives the scores of all items after each of the prefixes that matter, or
   ``evidence`` those of the few items that have any, where the baseline counts events;
3. ``base``: ``score_catalogue`` breaks ties (``ties``) between counts, then excludes padding; ``rank_targets`` ranks
   single items by the evidence alone;
4. ``Recommender``, the base class of all models, turns scores into predictions and recommendations.

``counting``, ``chunks``, ``decays`` and ``repeats`` are shared by several baselines. To add a baseline, write its file
and its line in ``BASELINES``.

>>> from spotlight_asars import SessionInteractions
>>> sessions = SessionInteractions([[1, 2, 3], [0, 1, 2]])
>>> BASELINES["vsknn"]().fit(sessions).recommend([[1, 2]], k=1).items
array([[3]])
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from spotlight_asars.baselines.neighbours.item_knn import ItemKNN
from spotlight_asars.baselines.neighbours.session_knn import SessionKNN
from spotlight_asars.baselines.neighbours.settings import UserVSKNN, stan_er, vsknn_ebr, vstan_ebr
from spotlight_asars.baselines.neighbours.stan import STAN
from spotlight_asars.baselines.neighbours.vsknn import VSKNN
from spotlight_asars.baselines.neighbours.vstan import VSTAN
from spotlight_asars.baselines.nets.bpr_mf import BPRMF
from spotlight_asars.baselines.nets.sasrec import SASRec
from spotlight_asars.baselines.nets.settings import (
    gru4rec_bpr_max,
    gru4rec_cross_entropy,
    narm,
    wavenet_cnn,
    youtube_pooling,
)
from spotlight_asars.baselines.popularity import MostPopular
from spotlight_asars.baselines.rules.association_rules import AssociationRules
from spotlight_asars.baselines.rules.markov import MarkovChain
from spotlight_asars.baselines.rules.sequential_rules import SequentialRules
from spotlight_asars.baselines.session_popularity import SessionPopularity
from spotlight_asars.baselines.slist import SLIST

__all__ = [
    "BASELINES",
    "BPRMF",
    "SLIST",
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
    "stan_er",
    "vsknn_ebr",
    "vstan_ebr",
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
    "vsknn_ebr": vsknn_ebr,
    "stan_er": stan_er,
    "vstan_ebr": vstan_ebr,
    "slist": SLIST,
    "bpr_mf": BPRMF,
    "youtube_pooling": youtube_pooling,
    "wavenet_cnn": wavenet_cnn,
    "gru4rec_cross_entropy": gru4rec_cross_entropy,
    "gru4rec_bpr_max": gru4rec_bpr_max,
    "narm": narm,
    "sasrec": SASRec,
}
