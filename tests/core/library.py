"""Either Spotlight as one namespace, with a log, nets and models to try it on."""

from __future__ import annotations

import importlib
from types import SimpleNamespace

from numpy.random import RandomState

MODULES = (
    "interactions",
    "cross_validation",
    "evaluation",
    "losses",
    "layers",
    "sampling",
    "torch_utils",
    "sequence.implicit",
    "sequence.representations",
    "factorization.implicit",
    "factorization.representations",
    "datasets.synthetic",
)
NETS = {
    "pooling": lambda lib: lib.PoolNet(ITEMS, 8),
    "lstm": lambda lib: lib.LSTMNet(ITEMS, 8),
    "cnn": lambda lib: lib.CNNNet(ITEMS, 8),
    "cnn wide": lambda lib: lib.CNNNet(ITEMS, 8, kernel_width=5, num_layers=2, nonlinearity="relu"),
    "cnn dilated": lambda lib: lib.CNNNet(ITEMS, 8, kernel_width=(3, 2, 3), dilation=(1, 2, 4), num_layers=3),
    "cnn plain": lambda lib: lib.CNNNet(ITEMS, 8, dilation=2, num_layers=2, residual_connections=False),
    "mixture": lambda lib: lib.MixtureLSTMNet(ITEMS, 8),
    "mixture of 2": lambda lib: lib.MixtureLSTMNet(ITEMS, 8, num_mixtures=2),
}
USERS, ITEMS = 12, 23


def load(root):
    """All names of the modules below ``root``: ``spotlight`` or ``spotlight_asars._core``."""
    names = {}
    for module in MODULES:
        names |= vars(importlib.import_module(f"{root}.{module}"))
    return SimpleNamespace(**names)


def log(lib):
    """A log of 400 events, 12 users and 22 items."""
    return lib.generate_sequential(
        USERS, ITEMS, 400, concentration_parameter=0.05, order=2, random_state=RandomState(7)
    )


def sequence_model(lib, **options):
    """An untrained model with quick settings."""
    settings = {"embedding_dim": 8, "n_iter": 2, "batch_size": 16, "random_state": RandomState(3)}
    return lib.ImplicitSequenceModel(**{**settings, **options})


def factorization_model(lib, **options):
    settings = {"embedding_dim": 8, "n_iter": 2, "batch_size": 64, "random_state": RandomState(3)}
    return lib.ImplicitFactorizationModel(**{**settings, **options})
