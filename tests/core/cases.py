"""What Spotlight computes, as named cases that run on either Spotlight.

A case is a function of a library (see ``library.load``) that returns named arrays. ``RECORDED`` holds the cases whose
numbers are the same on any CPU, up to rounding: golden/spotlight.npz keeps upstream's. ``LIVE`` are those in which a
rounding can decide which way the training goes (Adam, the highest of several negatives), or a sort in what order equal
scores come: both libraries must run them on the same machine.
"""

from __future__ import annotations

import warnings
from functools import partial

import numpy as np
import torch
from library import ITEMS, NETS, log
from numpy.random import RandomState
from training_cases import LIVE as LIVE_TRAINING
from training_cases import LOSSES, STABLE

__all__ = ["LIVE", "RECORDED"]


def columns(interactions, prefix):
    names = ("user_ids", "item_ids", "ratings", "timestamps", "weights")
    arrays = {prefix + name: getattr(interactions, name) for name in names}
    sizes = {prefix + "sizes": np.array([interactions.num_users, interactions.num_items])}
    return sizes | {name: array for name, array in arrays.items() if array is not None}


def state(module):
    """Names and shapes of the weights, and all of their numbers in one vector."""
    weights = module.state_dict()
    return {
        "names": np.array([f"{name} {tuple(weight.shape)}" for name, weight in weights.items()]),
        "weights": torch.cat([weight.flatten() for weight in weights.values()]).numpy(),
    }


# --- data


def generate(lib):
    first_order = lib.generate_sequential(5, 9, 60, order=1, random_state=RandomState(0))
    return columns(log(lib), "order2.") | columns(first_order, "order1.")


def to_sequence(lib):
    interactions, arrays = log(lib), {}
    interactions.timestamps = np.repeat([3, 1, 2, 2], 100).astype(np.int32)  # equal times keep the order of the log
    for length, least, step in ((5, None, None), (5, 3, 2), (7, 1, 1), (50, None, 4), (1, None, 1)):
        made = interactions.to_sequence(length, min_sequence_length=least, step_size=step)
        key = f"{length}.{least}.{step}."
        arrays |= {key + "sequences": made.sequences, key + "user_ids": made.user_ids}
        arrays[key + "sizes"] = np.array([made.num_items, made.max_sequence_length])
    return arrays


def split(lib):
    interactions = log(lib)
    interactions.weights = np.linspace(0, 1, len(interactions), dtype=np.float32)
    arrays = columns(lib.shuffle_interactions(interactions, RandomState(1)), "shuffle.")
    for name in ("random_train_test_split", "user_based_train_test_split"):
        train, test = getattr(lib, name)(interactions, test_percentage=0.3, random_state=RandomState(2))
        arrays |= columns(train, f"{name}.train.") | columns(test, f"{name}.test.")
    return arrays


def draw(lib):
    random_state = RandomState(4)
    return {
        "several": np.stack(lib.shuffle(np.arange(11), np.arange(11) * 2, random_state=random_state)),
        "matrix": lib.sample_items(ITEMS, (4, 5), random_state),
        "vector": lib.sample_items(ITEMS, 6, random_state=random_state),
        "one": lib.shuffle(np.arange(11), random_state=random_state),
    }


# --- parts


def losses(lib):
    positive, negative = (torch.linspace(*span, 15).reshape(3, 5) for span in ((-2, 3), (2, -1.5)))
    several = torch.stack([negative, negative.flip(0), negative.flip(1)])
    arrays = {}
    for name in LOSSES:
        for label, mask in (("all", None), ("mask", torch.arange(15).reshape(3, 5) % 4 != 0)):
            scores = positive.clone().requires_grad_()
            others = (several if name == "adaptive_hinge" else negative).clone().requires_grad_()
            loss = getattr(lib, f"{name}_loss")(scores, others, mask=mask)
            loss.backward()
            arrays[f"{name}.{label}"] = loss.detach().numpy()
            arrays[f"{name}.{label}.gradient"] = scores.grad.numpy()
            arrays[f"{name}.{label}.gradient_of_negatives"] = others.grad.numpy()
    observed, predicted = torch.tensor([1.0, -1.0, 1.0]), torch.tensor([0.5, 2.0, 3.0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # upstream's logistic loss uses an argument torch deprecates
        for name in ("regression", "poisson", "logistic"):
            arrays[name] = getattr(lib, f"{name}_loss")(observed, predicted).numpy()
    return arrays


def embeddings(lib):
    torch.manual_seed(5)
    layers = {
        "scaled": lib.ScaledEmbedding(5, 3),
        "padded": lib.ScaledEmbedding(5, 3, padding_idx=2),
        "zero": lib.ZeroEmbedding(5, 1, padding_idx=0),
        "bag": lib.ScaledEmbeddingBag(5, 3),
    }
    return {name: layer.weight.detach().numpy() for name, layer in layers.items()}


def bloom(lib):
    torch.manual_seed(6)
    ids, arrays = torch.arange(20).reshape(4, 5), {}
    for ratio, hashes, bag in ((0.2, 4, False), (0.7, 2, False), (1.0, 24, False), (0.5, 3, True)):
        key = f"{ratio}.{hashes}.{bag}."
        layer = lib.BloomEmbedding(20, 6, compression_ratio=ratio, num_hash_functions=hashes, bag=bag)
        for label, some in (("matrix", ids), ("vector", ids[1]), ("slice", ids[:, 1:3]), ("one", ids[:1, :1])):
            arrays[key + label] = layer(some).detach().numpy()
        arrays |= {key + name: array for name, array in state(layer).items()}
    return arrays


def net(lib, name):
    """Fresh weights, both representations, and scores, also where an axis has length 1."""
    torch.manual_seed(8)
    module = NETS[name](lib)
    arrays = state(module)
    rows, candidates = torch.tensor([[0, 0, 3, 1, 4], [2, 7, 1, 8, 2]]), torch.arange(ITEMS).reshape(-1, 1)
    with torch.no_grad():
        for label, items in (("two.", rows), ("one.", rows[:1])):
            every, final = module.user_representation(items)
            user = final[:1].expand(ITEMS, *final.shape[1:])
            arrays |= {label + "every": every.numpy(), label + "final": final.numpy()}
            arrays[label + "scores"] = module(every, items).numpy()
            arrays[label + "candidates"] = module(user, candidates).numpy()
            arrays[label + "candidate"] = module(user[:1], candidates[:1]).numpy()
    return arrays


# --- evaluation


class Fixed:
    """Scores items by a fixed rule of the query: distinct ones, or with many ties."""

    def __init__(self, ties):
        self.levels = 4 if ties else 97  # of which the distinct ones are a permutation

    def predict(self, query, item_ids=None):
        items = np.arange(ITEMS) if item_ids is None else item_ids
        return ((items * 31 + np.sum(query) * 17) % self.levels).astype(np.float32)


def evaluate(lib):
    train, test = lib.random_train_test_split(log(lib), random_state=RandomState(2))
    sequences, distinct = log(lib).to_sequence(max_sequence_length=6), Fixed(ties=False)
    arrays = {"float_max": np.array(lib.FLOAT_MAX), "rmse": np.array(lib.rmse_score(distinct, test))}
    for known in (None, train):
        exclude = known is not None
        key = "excluded." if exclude else "all."
        for ties in (False, True):
            arrays[f"{key}{ties}.sequence_mrr"] = lib.sequence_mrr_score(Fixed(ties), sequences, exclude)
            arrays[f"{key}{ties}.mrr"] = lib.mrr_score(Fixed(ties), test, known)
        for k in (1, 3, 5):
            scores = lib.sequence_precision_recall_score(distinct, sequences, k, exclude_preceding=exclude)
            arrays[f"{key}sequence_precision_recall.{k}"] = np.stack(scores)
        for k in ([3], [1, 4], np.array([2, 30]), *(() if exclude else (10,))):
            arrays[f"{key}precision_recall.{k}"] = np.stack(lib.precision_recall_score(distinct, test, known, k=k))
    return arrays


def evaluate_beyond_what_is_left(lib):
    """Of some users all items but four are excluded: a sort that is not stable says which of these come next."""
    train, test = lib.random_train_test_split(log(lib), random_state=RandomState(2))
    return {"precision_recall": np.stack(lib.precision_recall_score(Fixed(ties=False), test, train, k=10))}


RECORDED = {
    "generate_sequential": generate,
    "to_sequence": to_sequence,
    "split": split,
    "draw": draw,
    "losses": losses,
    "embeddings": embeddings,
    "bloom": bloom,
    "evaluation": evaluate,
    **{f"net {name}": partial(net, name=name) for name in NETS},
    **STABLE,
}

LIVE = {**LIVE_TRAINING, "evaluation beyond what is left": evaluate_beyond_what_is_left}
