"""Search for good arguments of any model, with Optuna: by a model of past trials, at random, or over a whole grid.

``studies``: the public functions, over Optuna's studies; ``points``: the space; ``trials``: training and judging.
"""

from spotlight_asars.search.points import Space
from spotlight_asars.search.studies import grid_search, random_search, search
from spotlight_asars.search.trials import Trial

__all__ = ["Space", "Trial", "grid_search", "random_search", "search"]
