"""Is triangle attention linear in the length? Beside the n x n triangle of scores (eq. 18).

Forth, as in predicting, and forth and back, as in training; in processor time of one thread.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

import torch
from results import Result, print_results, threads
from timing import interleaved
from torch import Tensor

from spotlight_asars.representations.attention import triangle_attention

BATCH, DIM = 4, 100
SMALL = {"length": 50, "repeats": 1}


def full_triangle(score: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    """The same by a softmax over each row of a masked matrix (batch, time, time)."""
    time = score.shape[1]
    seen = torch.ones(time, time, dtype=torch.bool).tril() & mask.unsqueeze(1)
    rows = score.unsqueeze(1).expand(-1, time, -1).masked_fill(~seen, -torch.inf)
    return torch.bmm(rows.softmax(dim=2), value)


def run_of(attention: Callable[..., Tensor], length: int, back: bool) -> Callable[[], None]:
    """A run of `attention` on rows without padding."""
    random = torch.Generator().manual_seed(0)
    score = torch.randn(BATCH, length, generator=random, requires_grad=back)
    value = torch.randn(BATCH, length, DIM, generator=random, requires_grad=back)
    mask = torch.ones(BATCH, length, dtype=torch.bool)

    def run() -> None:
        score.grad = value.grad = None
        averages = attention(score, value, mask)
        if back:
            averages.sum().backward()

    return run


def measure(length: int = 4_000, repeats: int = 5) -> list[Result]:
    """Against the full triangle, and against a tenth of the length."""
    results = []
    for way, back in (("forth", False), ("forth and back", True)):
        work = {
            "full": run_of(full_triangle, length, back),
            "long": run_of(triangle_attention, length, back),
            "short": run_of(triangle_attention, length // 10, back),
        }
        with threads(1):
            for run in work.values():
                run()
            times = interleaved(work, repeats)
        full, long, short = (1e3 * run.cpu for run in times.values())
        what = f"triangle attention {way}, length {length:,}; batch {BATCH}, dim {DIM}"
        ours, theirs, tenth = f"{long:.3g} ms", f"{full:.0f} ms", f"{short:.3g} ms"
        results += [
            Result(what, "n x n triangle", ours, theirs, full / long, ">= 50"),
            Result(what, f"itself, length {length // 10:,}", ours, tenth, long / short, "<= 12"),
        ]
    return results


def main(argv: Sequence[str] | None = None) -> None:
    """Print both ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--length", type=int, default=4_000)
    parser.add_argument("--repeats", type=int, default=5)
    print_results(measure(**vars(parser.parse_args(argv))))


if __name__ == "__main__":
    main()
