"""Choose the Spotlight to build on; the only file that imports ``spotlight``.

- Upstream where it is installed, the built-in core elsewhere; never names from both.
- PyPI's ``spotlight`` is another project, without ``spotlight.sequence``. So the probe looks for that
  package without importing anything: the namesake is neither run nor left in ``sys.modules``.
- Once found, upstream is imported unguarded: if it is broken, its own error is raised.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import sys
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING


def _has_upstream() -> bool:
    spotlight = importlib.util.find_spec("spotlight")
    if spotlight is None:
        return False
    return PathFinder.find_spec("sequence", spotlight.submodule_search_locations or []) is not None


if TYPE_CHECKING or not _has_upstream():  # upstream has no types: checkers always see the core's
    from spotlight_asars._core.evaluation import FLOAT_MAX
    from spotlight_asars._core.evaluation import sequence_mrr_score as spotlight_sequence_mrr_score
    from spotlight_asars._core.factorization.implicit import ImplicitFactorizationModel
    from spotlight_asars._core.interactions import Interactions, SequenceInteractions
    from spotlight_asars._core.layers import ScaledEmbedding, ZeroEmbedding
    from spotlight_asars._core.sequence.implicit import ImplicitSequenceModel
    from spotlight_asars._core.sequence.representations import PADDING_IDX, CNNNet, LSTMNet, MixtureLSTMNet, PoolNet

    SPOTLIGHT = "builtin"
else:
    from spotlight.evaluation import FLOAT_MAX
    from spotlight.evaluation import sequence_mrr_score as spotlight_sequence_mrr_score
    from spotlight.factorization.implicit import ImplicitFactorizationModel
    from spotlight.interactions import Interactions, SequenceInteractions
    from spotlight.layers import ScaledEmbedding, ZeroEmbedding
    from spotlight.sequence.implicit import ImplicitSequenceModel
    from spotlight.sequence.representations import PADDING_IDX, CNNNet, LSTMNet, MixtureLSTMNet, PoolNet

    SPOTLIGHT = "upstream"

__all__ = [
    "FLOAT_MAX",
    "PADDING_IDX",
    "SPOTLIGHT",
    "CNNNet",
    "ImplicitFactorizationModel",
    "ImplicitSequenceModel",
    "Interactions",
    "LSTMNet",
    "MixtureLSTMNet",
    "PoolNet",
    "ScaledEmbedding",
    "SequenceInteractions",
    "ZeroEmbedding",
    "install_as_spotlight",
    "spotlight_sequence_mrr_score",
]


def install_as_spotlight() -> None:
    """Make ``import spotlight`` and its submodules give the built-in core.

    Does nothing where upstream is installed, for ``import spotlight`` then gives the classes that
    this package uses, nor when called again.

    Raises
    ------
    RuntimeError
        If another ``spotlight`` has been imported already.
    """
    if SPOTLIGHT == "upstream":
        return
    core = importlib.import_module("spotlight_asars._core")
    present = sys.modules.get("spotlight", core)
    if present is not core:
        where = getattr(present, "__file__", None) or present
        raise RuntimeError(
            f"install_as_spotlight must be called before another spotlight is imported; got {where}."
            " Call it first, or uninstall that package"
        )
    sys.modules["spotlight"] = core
    for info in pkgutil.walk_packages(core.__path__, f"{core.__name__}."):
        name = "spotlight" + info.name.removeprefix(core.__name__)
        sys.modules[name] = importlib.import_module(info.name)
