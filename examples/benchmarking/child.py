"""The process of one run: a job comes in, its outcome goes out, and what is printed meanwhile goes to the errors."""

from __future__ import annotations

import pickle
import sys

import torch

from benchmarking.measuring import measure
from spotlight_asars import ASARSSequenceModel, SessionInteractions

if __name__ == "__main__":
    out, sys.stdout = sys.stdout.buffer, sys.stderr
    torch.set_num_threads(1)
    ASARSSequenceModel(n_iter=1).fit(
        SessionInteractions([[1, 2]])
    )  # what torch loads at the first step is no cost of ours
    out.write(pickle.dumps(measure(pickle.load(sys.stdin.buffer))))
    out.flush()
