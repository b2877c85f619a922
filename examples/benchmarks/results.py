"""What a benchmark finds, how it is printed, and processes of its own in which it runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any, NamedTuple

import torch
from timing import print_circumstances, print_table

from spotlight_asars import SPOTLIGHT

HEAD = ("what", "against", "it", "the other", "figure", "target", "met")


class Result(NamedTuple):
    """One comparison.

    what, against : what is compared, with its sizes
    ours, theirs : both measurements, with their units
    figure : their ratio, or what else the target is about
    target : like ">= 10"; empty where there is none
    unit : of `figure` and `target`
    """

    what: str
    against: str
    ours: str
    theirs: str
    figure: float
    target: str = ""
    unit: str = "x"

    @property
    def met(self) -> str:
        """Whether the figure reaches the target: "yes", "no", or empty where there is none."""
        if not self.target:
            return ""
        sign, bound = self.target.split()
        reached = self.figure >= float(bound) if sign == ">=" else self.figure <= float(bound)
        return "yes" if reached else "no"

    @property
    def cells(self) -> list[str]:
        """In the order of ``HEAD``."""
        figure = f"{self.figure:.3g}{self.unit}" if self.figure < 100 else f"{self.figure:.0f}{self.unit}"
        figure = "" if math.isnan(self.figure) else figure
        target = f"{self.target}{self.unit}" if self.target else ""
        return [self.what, self.against, self.ours, self.theirs, figure, target, self.met]


def per_second(count: float, seconds: float) -> str:
    """A rate to print.

    >>> per_second(4100, 2.0)
    '2,050/s'
    """
    return f"{count / seconds:,.0f}/s"


def print_results(results: Sequence[Result], *packages: str) -> None:
    """Print a table of results, and the circumstances."""
    print_table(HEAD, [result.cells for result in results])
    print(f"Spotlight: {SPOTLIGHT}")
    print_circumstances("numpy", "torch", *packages)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Torch computes with so many threads inside."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def in_child(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """What the function returns in a new process, whose memory is nobody else's."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as child:
        return child.submit(function, *arguments, **options).result()
