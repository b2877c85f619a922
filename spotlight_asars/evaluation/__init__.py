"""How good recommendations are: rank once, and every metric is a function of ranks.

===============  =====================================================================================
``ranking``      ``evaluate`` and Spotlight's ``sequence_mrr_score``: the rank of every target
``metrics``      MRR, Recall and NDCG of ranks; ``Report``
``lists``        coverage, novelty, tail and diversity of what is recommended
``comparison``   ``compare``: whether one report is better than another beyond chance; ``holm``
===============  =====================================================================================
"""

from spotlight_asars.evaluation.comparison import Comparison, bootstrap, compare, holm, interval, p_value
from spotlight_asars.evaluation.metrics import METRICS, Report, discounted_gain, hit, parse_metric, reciprocal_rank
from spotlight_asars.evaluation.ranking import evaluate, sequence_mrr_score

__all__ = [
    "METRICS",
    "Comparison",
    "Report",
    "bootstrap",
    "compare",
    "discounted_gain",
    "evaluate",
    "hit",
    "holm",
    "interval",
    "p_value",
    "parse_metric",
    "reciprocal_rank",
    "sequence_mrr_score",
]
