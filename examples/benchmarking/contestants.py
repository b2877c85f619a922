"""The models that compete, by name: how each is made, and what of it there is to tune.

``BASELINES`` as they are; ``gru4rec``, our own net without channels, which all are measured against; the paper's
variants without the memories, under the paper's names; and all of these with both, ``NAME+memories``. A variant that
sees the dwell of the last viewed item, as in the paper, has ``+observed`` in its name and wins no comparison: that
dwell ends with the very click that is to be predicted.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from spotlight_asars import ASARSSequenceModel
from spotlight_asars.baselines import BASELINES

REFERENCE = "gru4rec"
BY_USER, BY_TIME = ("user_att", "user_cat", "dynamics"), ("time_att", "time_cat", "time_user", "time_dynamics")
VARIANTS = (REFERENCE, *BY_USER, *BY_TIME)
FAMILIES = (
    "counted",
    "other nets",
    "ASARS",
    "ASARS with memories",
    "sees the last dwell",
)  # kinds, as figures show them
SPACES: dict[str, dict[str, list[Any]]] = json.loads((Path(__file__).parent / "spaces.json").read_text())


class Contestant(NamedTuple):
    """A model to be made with these options, and what is special about it."""

    make: Callable[..., Any]
    options: Mapping[str, Any] = {}
    family: str = FAMILIES[3]
    change: str = ""  # one of ``changes.CHANGES``, made to the sessions first
    spaces: tuple[str, ...] = ()  # entries of ``spaces.json``
    honest: bool = True

    @property
    def seeded(self) -> bool:
        """Whether chance plays a part, so that several seeds say more than one."""
        return self._takes("random_state")

    @property
    def space(self) -> dict[str, list[Any]]:
        """Values to choose from, by option."""
        return {option: values for name in self.spaces for option, values in SPACES[name].items()}

    def settled(self, seed: int, epochs: int | None, **chosen: Any) -> dict[str, Any]:
        """All options to make the model with, for one seed and, where it is trained at all, a number of epochs."""
        given = {"n_iter": epochs} if epochs is not None and self._takes("n_iter") else {}
        return {**self.options, **given, **chosen, **({"random_state": seed} if self.seeded else {})}

    def _takes(self, option: str) -> bool:
        return option in inspect.signature(self.make).parameters


def _baseline(name: str) -> Contestant:
    parameters = inspect.signature(BASELINES[name]).parameters
    nets = ("nets",) if "representation" in parameters else ()
    family = FAMILIES[1 if "random_state" in parameters else 0]
    return Contestant(BASELINES[name], family=family, spaces=(*nets, *((name,) if name in SPACES else ())))


def _asars(variant: str, memories: bool, last_dwell: str = "unknown") -> Contestant:
    options = {"representation": variant, "last_dwell": last_dwell, "history": memories, "transitions": memories}
    channels = [("users", "user" in variant or "dynamics" in variant)]
    channels += [("dwell", variant in BY_TIME), ("memories", memories)]
    honest = last_dwell == "unknown"
    family = FAMILIES[4 if not honest else 3 if memories else 1 if variant == REFERENCE else 2]
    spaces = ("nets", *(name for name, has in channels if has))
    return Contestant(ASARSSequenceModel, options, family, spaces=spaces, honest=honest)


CONTESTANTS: dict[str, Contestant] = {
    **{name: _baseline(name) for name in BASELINES},
    **{name: _asars(name, memories=False) for name in VARIANTS},
    **{f"{name}+memories": _asars(name, memories=True) for name in VARIANTS},
    **{f"{name}+observed": _asars(name, memories=False, last_dwell="observed") for name in BY_TIME},
}
HONEST = tuple(name for name, contestant in CONTESTANTS.items() if contestant.honest)
COUNTED = tuple(name for name in HONEST if CONTESTANTS[name].family == "counted")
QUICK = (*COUNTED, REFERENCE, f"{REFERENCE}+memories", "time_user+memories")
