"""Training as cases: ``STABLE`` give the same numbers on any CPU; ``LIVE`` are compared on one machine."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from library import ITEMS, factorization_model, log, sequence_model

LOSSES = ("pointwise", "bpr", "hinge", "adaptive_hinge")
NAMED_NETS = ("pooling", "lstm", "cnn", "mixture")
HISTORIES = [np.array([3, 1, 4, 1, 5]), np.array([0, 0, 0, 2, 7]), np.array([22])]


def sgd(parameters):
    return torch.optim.SGD(parameters, lr=1.0)


def adagrad(parameters):
    return torch.optim.Adagrad(parameters, lr=0.1)


def fill_weights(model, interactions):
    """Give the weights fixed values, with no two scores nearly equal; return some initial weights and the next draw."""
    model._initialize(interactions)
    weights = list(model._net.parameters())
    first = weights[0].detach()[1].numpy().copy()
    with torch.no_grad():
        for weight in weights:
            weight.copy_(torch.arange(float(weight.numel())).cos().view_as(weight))
    return {"first weights": first, "next_draw": np.array(model._random_state.randint(1000))}


def predict_sequences(model):
    """Scores of all items and of some, and the next random draw, which tells how many were made."""
    arrays = {f"history{i}": model.predict(history) for i, history in enumerate(HISTORIES)}
    arrays["some"] = model.predict(HISTORIES[0], np.array([[5], [2], [9]]))
    arrays["rows"] = model.predict(np.stack(HISTORIES[:2]))
    arrays["last_draw"] = np.array(model._random_state.randint(1000))
    return arrays


def predict_pairs(model):
    return {
        "user": model.predict(3),
        "scalar": model.predict(np.int64(11)),
        "some": model.predict(4, np.array([3, 1])),
        "pairs": model.predict(np.array([0, 5, 11]), np.array([22, 0, 7])),
        "last_draw": np.array(model._random_state.randint(1000)),
    }


def fit(lib, make, fits=1, filled=False, **options):
    """Predictions after training, from initial weights of the model's own or filled ones."""
    model, interactions, predict = make(lib, **options), log(lib), predict_pairs
    if make is sequence_model:
        interactions, predict = interactions.to_sequence(max_sequence_length=6, step_size=3), predict_sequences
    arrays = fill_weights(model, interactions) if filled else {}
    for _ in range(fits):
        model.fit(interactions)
    return arrays | predict(model)


def stable(lib, make, loss, **options):
    """Training that no rounding can turn: plain SGD, and a single step where the loss has a kink."""
    single = {} if loss in ("pointwise", "bpr") else {"n_iter": 1, "batch_size": 1000}
    return fit(lib, make, filled=True, loss=loss, optimizer_func=sgd, **single, **options)


def fit_on_bloom(lib, net):
    torch.manual_seed(9)
    layer = lib.BloomEmbedding(ITEMS, 8, compression_ratio=0.5, num_hash_functions=2)
    return fit(lib, sequence_model, representation=getattr(lib, net)(ITEMS, 8, item_embedding_layer=layer))


SEQUENCE, FACTORIZATION = partial(fit, make=sequence_model), partial(fit, make=factorization_model)
STABLE = {
    **{
        f"train {name} {loss}": partial(stable, make=sequence_model, representation=name, loss=loss)
        for name in NAMED_NETS
        for loss in LOSSES
    },
    **{f"train factorization {loss}": partial(stable, make=factorization_model, loss=loss) for loss in LOSSES},
}
LIVE = {
    **{
        f"fit {name} {loss}": partial(SEQUENCE, representation=name, loss=loss)
        for name in NAMED_NETS
        for loss in LOSSES
    },
    "fit twice": partial(SEQUENCE, fits=2, representation="lstm"),
    "fit with l2": partial(SEQUENCE, l2=1e-2, learning_rate=5e-2, num_negative_samples=2, loss="adaptive_hinge"),
    "fit with adagrad": partial(SEQUENCE, optimizer_func=adagrad, representation="cnn"),
    "fit sparse": partial(SEQUENCE, optimizer_func=sgd, sparse=True),
    **{f"fit {name} on bloom": partial(fit_on_bloom, net=name) for name in ("PoolNet", "CNNNet")},
    **{f"fit factorization {loss}": partial(FACTORIZATION, loss=loss) for loss in LOSSES},
    "fit factorization sparse": partial(FACTORIZATION, optimizer_func=sgd, sparse=True),
}
