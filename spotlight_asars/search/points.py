"""The points of a space: what Optuna draws from, and the model's arguments that a draw stands for.

A storage of Optuna's holds None, numbers and strings; functions are kept in it by name, quantiles for scipy's
distributions. Of several dicts, the names are numbered, like "0.loss".
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, product, zip_longest
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.random import RandomState

from spotlight_asars._checks import require
from spotlight_asars.model.options import text_of
from spotlight_asars.runtime.quiet import quiet

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Space = Mapping[str, Any] | Sequence[Mapping[str, Any]]
Point = dict[str, Any]

EDGE = 1e-9  # quantiles nearer to 0 or 1 may be infinite


class Dimension(NamedTuple):
    """The values of one argument: Optuna draws from the distribution, and `value` is what a draw stands for."""

    distribution: BaseDistribution
    value: Callable[[Any], Any]
    text: str

    @classmethod
    def of(cls, values: Any, name: str) -> Dimension:
        from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

        if isinstance(values, BaseDistribution):
            return cls(values, lambda drawn: drawn, str(values))
        if hasattr(values, "ppf"):  # Optuna draws the quantile
            plain = int if hasattr(values, "pmf") else float
            deciles = values.ppf(np.linspace(0.1, 0.9, 9)).tolist()
            return cls(FloatDistribution(EDGE, 1 - EDGE), lambda drawn: plain(values.ppf(drawn)), str(deciles))
        listed = isinstance(values, (list, tuple, range, np.ndarray)) and len(values) > 0
        require(listed, f"space must give {name} a list or distribution of values, not empty", values)
        named: dict[Any, Any] = {}
        for value in values:
            label = _label(value, name)
            rule = f"{name} must have another name for each of its values, for trials are told apart by it"
            require(named.setdefault(label, value) == value, rule, label)
        return cls(CategoricalDistribution(tuple(named)), lambda drawn: _plain(named[drawn]), str(list(named)))


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _label(value: Any, name: str) -> Any:
    """What stands for a value in a storage: itself, or the name of a function."""
    if isinstance(value, (torch.nn.Module, RandomState)):
        way_out = "A function can make it anew in each trial"
        raise TypeError(f"{name} must not be an object that training changes; got {value!r}. {way_out}")
    value = _plain(value)
    return value if value is None or isinstance(value, (bool, int, float, str)) else text_of(value)


def _choices(distribution: BaseDistribution) -> tuple[Any, ...]:
    """What a list of values has, and any other distribution has not."""
    return getattr(distribution, "choices", ())


class Points:
    """The space of a model's arguments; ``ValueError`` or ``TypeError`` where a model can't have them.

    Parameters
    ----------
    space, model, fixed
        As in ``search``.
    seed : int
        Of models whose own `random_state` is None.
    """

    def __init__(self, space: Space, model: Callable[..., Any], fixed: Mapping[str, Any], seed: int) -> None:
        parts = [space] if isinstance(space, Mapping) else list(space)
        rule = "space must be a dict of values by argument, or a list of such dicts, none of them empty"
        require(bool(parts) and all(isinstance(part, Mapping) and part for part in parts), rule, space)
        parameters = inspect.signature(model).parameters
        takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
        for name in chain(fixed, *parts):
            rule = f"space and fixed must name arguments of the model, {sorted(parameters)}"
            require(name in parameters or takes_any, rule, name)
        for name in chain(*parts):
            require(name not in fixed, f"{name} must be in the space or fixed, not both", fixed.get(name))
        for name, value in fixed.items():
            _label(value, name)
        self.model, self.fixed = model, dict(fixed)
        self.defaults = model(**fixed).get_params()
        if self.defaults.get("random_state", seed) is None:
            self.fixed["random_state"] = self.defaults["random_state"] = seed
        self.dimensions: dict[str, Dimension] = {}
        self.parts: list[dict[str, BaseDistribution]] = []
        for number, part in enumerate(parts):
            prefix = f"{number}." if len(parts) > 1 else ""
            own = {prefix + name: Dimension.of(values, name) for name, values in part.items()}
            self.dimensions |= own
            self.parts.append({name: dimension.distribution for name, dimension in own.items()})
        for name, dimension in self.dimensions.items():
            for drawn in _choices(dimension.distribution):
                model(**self.given({name: drawn}))  # a value that no model takes is refused before any trial

    def given(self, point: Point) -> dict[str, Any]:
        """The arguments to make the model with."""
        values = {name.rpartition(".")[2]: self.dimensions[name].value(drawn) for name, drawn in point.items()}
        return {**self.fixed, **values}

    def arguments(self, point: Point) -> dict[str, Any]:
        """All arguments of the model."""
        try:
            return dict(self.model(**self.given(point)).get_params())
        except (ValueError, TypeError):  # values that don't go together: the trial will fail, and say so
            return {**self.defaults, **self.given(point)}

    def key(self, point: Point) -> tuple[str, ...]:
        """All arguments as text, which tells trials apart."""
        return tuple(text_of(value) for value in self.arguments(point).values())

    def as_text(self) -> dict[str, Any]:
        """What tells one question from another, besides the data."""
        arguments = {name: text_of(value) for name, value in self.defaults.items()}
        space = {name: dimension.text for name, dimension in self.dimensions.items()}
        return {"model": text_of(self.model), "arguments": arguments, "space": space}

    def default(self) -> Point:
        """The model's defaults, as far as lists of values have them."""
        return {
            name: drawn
            for name, distribution in self.parts[0].items()
            for drawn in _choices(distribution)
            if self.dimensions[name].value(drawn) == self.defaults[name.rpartition(".")[2]]
        }

    def grid_size(self) -> int:
        """Number of all points; ``ValueError`` where there is a distribution."""
        for name, dimension in self.dimensions.items():
            rule = f"space must give {name} a list of values for a grid, not a distribution"
            require(bool(_choices(dimension.distribution)), rule, dimension.text)
        return int(sum(map(_size, self.parts)))

    def grid(self) -> Iterator[Point]:
        """All points."""
        for part in self.parts:
            for drawn in product(*map(_choices, part.values())):
                yield dict(zip(part, drawn, strict=True))

    def random(self, seed: int) -> Iterator[Point]:
        """Random points, none twice; of several dicts, one of each in turn."""
        turns = zip_longest(*(_random_points(part, seed + number) for number, part in enumerate(self.parts)))
        return (point for turn in turns for point in turn if point)


def _size(part: dict[str, BaseDistribution]) -> float:
    return math.prod(len(_choices(distribution)) or math.inf for distribution in part.values())


def _random_points(part: dict[str, BaseDistribution], seed: int) -> Iterator[Point]:
    import optuna

    with quiet("optuna"):
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed % 2**32))
    seen: set[tuple[Any, ...]] = set()
    while len(seen) < _size(part):
        point = study.ask(part).params
        if (drawn := tuple(point.values())) not in seen:
            seen.add(drawn)
            yield point
