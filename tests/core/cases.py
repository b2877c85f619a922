"""Everything Spotlight computes, as named cases that run on either Spotlight.

A case is a function of a library (see :func:`load`) and returns named arrays. Three readers share them:
the script that records upstream's numbers, the test against the record, and the live test.
"""

from __future__ import annotations

import importlib
import warnings
from functools import partial
from types import SimpleNamespace

import numpy as np
import torch

LOSSES = ("pointwise", "bpr", "hinge", "adaptive_hinge")
NETS = ("pooling", "lstm", "cnn", "mixture")
MODULES = {
    "interactions": "interactions",
    "cross_validation": "cross_validation",
    "evaluation": "evaluation",
    "losses": "losses",
    "layers": "layers",
    "sampling": "sampling",
    "torch_utils": "torch_utils",
    "sequence": "sequence.implicit",
    "nets": "sequence.representations",
    "factorization": "factorization.implicit",
    "bilinear": "factorization.representations",
    "synthetic": "datasets.synthetic",
}
ITEMS = 23
HISTORIES = [np.array([3, 1, 4, 1, 5]), np.array([0, 0, 0, 2, 7]), np.array([22])]


def load(root):
    """The modules below ``root``: ``spotlight`` or ``spotlight_asars._core``."""
    return SimpleNamespace(**{name: importlib.import_module(f"{root}.{path}") for name, path in MODULES.items()})


def log(lib, seed=7):
    """A log of 400 events, 12 users and 22 items."""
    return lib.synthetic.generate_sequential(
        num_users=12,
        num_items=ITEMS,
        num_interactions=400,
        concentration_parameter=0.05,
        order=2,
        random_state=np.random.RandomState(seed),
    )


def sequence_model(lib, **options):
    """An untrained model with quick settings."""
    settings = {"embedding_dim": 8, "n_iter": 2, "batch_size": 16, "random_state": np.random.RandomState(3)}
    return lib.sequence.ImplicitSequenceModel(**{**settings, **options})


def columns(interactions, prefix=""):
    names = ("user_ids", "item_ids", "ratings", "timestamps", "weights")
    arrays = {prefix + name: getattr(interactions, name) for name in names}
    sizes = {prefix + "sizes": np.array([interactions.num_users, interactions.num_items])}
    return sizes | {name: array for name, array in arrays.items() if array is not None}


def state(module):
    """Names of the weights, and all of their numbers in one vector."""
    weights = module.state_dict()
    return {
        "names": np.array([f"{name} {tuple(weight.shape)}" for name, weight in weights.items()]),
        "weights": torch.cat([weight.flatten() for weight in weights.values()]).numpy(),
    }


# --- data


def generate(lib):
    one = lib.synthetic.generate_sequential(
        num_users=5, num_items=9, num_interactions=60, order=1, random_state=np.random.RandomState(0)
    )
    return columns(log(lib), "order2.") | columns(one, "order1.")


def to_sequence(lib):
    interactions, arrays = log(lib), {}
    ties = np.repeat([3, 1, 2, 2], 100).astype(np.int32)  # equal times keep the order of the file
    for length, least, step in ((5, None, None), (5, 3, 2), (7, 1, 1), (50, None, 4), (1, None, 1)):
        interactions.timestamps = ties
        made = interactions.to_sequence(length, min_sequence_length=least, step_size=step)
        key = f"{length}.{least}.{step}."
        arrays[key + "sequences"], arrays[key + "user_ids"] = made.sequences, made.user_ids
        arrays[key + "sizes"] = np.array([made.num_items, made.max_sequence_length])
    return arrays


def split(lib):
    interactions = log(lib)
    interactions.weights = np.linspace(0, 1, len(interactions), dtype=np.float32)
    splits = lib.cross_validation
    arrays = columns(splits.shuffle_interactions(interactions, np.random.RandomState(1)), "shuffle.")
    for name in ("random_train_test_split", "user_based_train_test_split"):
        halves = getattr(splits, name)(interactions, test_percentage=0.3, random_state=np.random.RandomState(2))
        for half, part in zip(("train", "test"), halves, strict=True):
            arrays |= columns(part, f"{name}.{half}.")
    return arrays


def draw(lib):
    random_state = np.random.RandomState(4)
    several = lib.torch_utils.shuffle(np.arange(11), np.arange(11) * 2, random_state=random_state)
    return {
        "matrix": lib.sampling.sample_items(ITEMS, (4, 5), random_state),
        "vector": lib.sampling.sample_items(ITEMS, 6, random_state=random_state),
        "one": lib.torch_utils.shuffle(np.arange(11), random_state=random_state),
        "several": np.stack(several),
    }


# --- parts


def losses(lib):
    positive, negative = (torch.linspace(*span, 15).reshape(3, 5) for span in ((-2, 3), (2, -1.5)))
    several = torch.stack([negative, negative.flip(0), negative.flip(1)])
    mask = torch.arange(15).reshape(3, 5) % 4 != 0
    arrays = {}
    for name in LOSSES:
        for label, chosen in (("all", None), ("mask", mask)):
            scores = positive.clone().requires_grad_()
            others = (several if name == "adaptive_hinge" else negative).clone().requires_grad_()
            loss = getattr(lib.losses, f"{name}_loss")(scores, others, mask=chosen)
            loss.backward()
            arrays[f"{name}.{label}"] = loss.detach().numpy()
            arrays[f"{name}.{label}.gradient"] = scores.grad.numpy()
            arrays[f"{name}.{label}.gradient_of_negatives"] = others.grad.numpy()
    observed, predicted = torch.tensor([1.0, -1.0, 1.0]), torch.tensor([0.5, 2.0, 3.0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # upstream's logistic loss uses an argument torch deprecates
        for name in ("regression", "poisson", "logistic"):
            arrays[name] = getattr(lib.losses, f"{name}_loss")(observed, predicted).numpy()
    return arrays


def embeddings(lib):
    torch.manual_seed(5)
    layers = lib.layers
    return {
        "scaled": layers.ScaledEmbedding(5, 3).weight.detach().numpy(),
        "padded": layers.ScaledEmbedding(5, 3, padding_idx=2).weight.detach().numpy(),
        "zero": layers.ZeroEmbedding(5, 1, padding_idx=0).weight.detach().numpy(),
        "bag": layers.ScaledEmbeddingBag(5, 3).weight.detach().numpy(),
    }


def bloom(lib):
    torch.manual_seed(6)
    ids, arrays = torch.arange(20).reshape(4, 5), {}
    for ratio, hashes, bag in ((0.2, 4, False), (0.7, 2, False), (1.0, 24, False), (0.5, 3, True)):
        layer = lib.layers.BloomEmbedding(
            20, 6, compression_ratio=ratio, num_hash_functions=hashes, bag=bag, padding_idx=0
        )
        for label, chosen in (
            ("matrix", ids),
            ("vector", ids[1]),
            ("slice", ids[:, 1:3]),
            ("one", ids[:1, :1]),
        ):
            arrays[f"{ratio}.{hashes}.{bag}.{label}"] = layer(chosen).detach().numpy()
        arrays |= {f"{ratio}.{hashes}.{bag}.{key}": array for key, array in state(layer).items()}
    return arrays


def net(lib, make):
    """Fresh weights, both representations, and scores, also where an axis has length 1."""
    torch.manual_seed(8)
    module = make(lib.nets)
    arrays = state(module)
    rows = torch.tensor([[0, 0, 3, 1, 4], [2, 7, 1, 8, 2]])
    for label, items in (("two", rows), ("one", rows[:1])):
        every, final = module.user_representation(items)
        arrays[f"{label}.every"], arrays[f"{label}.final"] = every.detach().numpy(), final.detach().numpy()
        arrays[f"{label}.scores"] = module(every, items).detach().numpy()
        candidates = torch.arange(ITEMS).reshape(-1, 1)
        user = final[:1].expand(ITEMS, *final.shape[1:])
        arrays[f"{label}.candidates"] = module(user, candidates).detach().numpy()
        arrays[f"{label}.candidate"] = module(user[:1], candidates[:1]).detach().numpy()
    return arrays


MADE_NETS = {
    "pool": lambda nets: nets.PoolNet(ITEMS, 6),
    "lstm": lambda nets: nets.LSTMNet(ITEMS, 6),
    "cnn": lambda nets: nets.CNNNet(ITEMS, 6),
    "cnn wide": lambda nets: nets.CNNNet(ITEMS, 6, kernel_width=5, num_layers=2, nonlinearity="relu"),
    "cnn dilated": lambda nets: nets.CNNNet(ITEMS, 6, kernel_width=(3, 2, 3), dilation=(1, 2, 4), num_layers=3),
    "cnn plain": lambda nets: nets.CNNNet(ITEMS, 6, dilation=2, num_layers=2, residual_connections=False),
    "mixture": lambda nets: nets.MixtureLSTMNet(ITEMS, 6),
    "mixture of 2": lambda nets: nets.MixtureLSTMNet(ITEMS, 6, num_mixtures=2),
}


# --- models


def predictions(model):
    """Scores of all items for the histories, and of some; and where the random draws have arrived."""
    arrays = {f"history{i}": model.predict(history) for i, history in enumerate(HISTORIES)}
    arrays["some"] = model.predict(HISTORIES[0], np.array([[5], [2], [9]]))
    arrays["rows"] = model.predict(np.stack([HISTORIES[0], HISTORIES[1]]))
    arrays["next_draw"] = np.array(model._random_state.randint(1000))
    return arrays


def fit_sequence(lib, fits=1, **options):
    train = log(lib).to_sequence(max_sequence_length=6, step_size=3)
    model = sequence_model(lib, **options)
    for _ in range(fits):
        model.fit(train)
    return predictions(model) | {"names": state(model._net)["names"]}


def fit_on_bloom(lib, name):
    torch.manual_seed(9)
    layer = lib.layers.BloomEmbedding(ITEMS, 8, compression_ratio=0.5, num_hash_functions=2)
    return fit_sequence(lib, representation=getattr(lib.nets, name)(ITEMS, 8, item_embedding_layer=layer))


def fit_factorization(lib, **options):
    interactions = log(lib)
    settings = {"embedding_dim": 8, "n_iter": 2, "batch_size": 64, "random_state": np.random.RandomState(3)}
    model = lib.factorization.ImplicitFactorizationModel(**{**settings, **options})
    model.fit(interactions)
    return {
        "user": model.predict(3),
        "scalar": model.predict(np.int64(11)),
        "some": model.predict(4, np.array([3, 1])),
        "pairs": model.predict(np.array([0, 5, 11]), np.array([22, 0, 7])),
        "next_draw": np.array(model._random_state.randint(1000)),
    } | state(model._net)


# --- evaluation


class Fixed:
    """Scores items by a fixed rule of the query: distinct ones, or with many ties."""

    def __init__(self, ties):
        self.levels = 4 if ties else 97  # of which the distinct ones are a permutation

    def predict(self, query, item_ids=None):
        items = np.arange(ITEMS) if item_ids is None else item_ids
        return ((items * 31 + np.sum(query) * 17) % self.levels).astype(np.float32)


def evaluate(lib):
    measure = lib.evaluation
    train, test = lib.cross_validation.random_train_test_split(log(lib), random_state=np.random.RandomState(2))
    sequences = log(lib).to_sequence(max_sequence_length=6)
    arrays = {"float_max": np.array(measure.FLOAT_MAX)}
    for exclude in (False, True):
        known = train if exclude else None
        for ties in (False, True):
            model = Fixed(ties)
            key = f"{'excluded' if exclude else 'all'}.{'ties' if ties else 'distinct'}"
            arrays[f"{key}.sequence_mrr"] = measure.sequence_mrr_score(model, sequences, exclude)
            arrays[f"{key}.mrr"] = measure.mrr_score(model, test, known)
        model = Fixed(ties=False)
        for k in (1, 3, 5):
            scores = measure.sequence_precision_recall_score(model, sequences, k, exclude_preceding=exclude)
            arrays[f"{key}.sequence_precision_recall.{k}"] = np.stack(scores)
        for k in (10, [3], [1, 4], np.array([2, 30])):
            scores = measure.precision_recall_score(model, test, known, k=k)
            arrays[f"{key}.precision_recall.{k}"] = np.stack(scores)
    arrays["rmse"] = np.array(measure.rmse_score(model, test))
    return arrays


def evaluate_fitted(lib):
    train, test = lib.cross_validation.user_based_train_test_split(log(lib), random_state=np.random.RandomState(2))
    model = sequence_model(lib, representation="lstm", loss="adaptive_hinge")
    model.fit(train.to_sequence(max_sequence_length=6))
    sequences = test.to_sequence(max_sequence_length=6)
    scores = lib.evaluation.sequence_mrr_score
    return {str(exclude): scores(model, sequences, exclude) for exclude in (False, True)}


def adagrad(parameters):
    return torch.optim.Adagrad(parameters, lr=0.1)


def sgd(parameters):
    return torch.optim.SGD(parameters, lr=1.0)


CASES = {
    "generate_sequential": generate,
    "to_sequence": to_sequence,
    "split": split,
    "draw": draw,
    "losses": losses,
    "embeddings": embeddings,
    "bloom": bloom,
    "evaluation": evaluate,
    "evaluation of a fitted model": evaluate_fitted,
    **{f"net {name}": partial(net, make=make) for name, make in MADE_NETS.items()},
    **{f"fit {name} {loss}": partial(fit_sequence, representation=name, loss=loss) for name in NETS for loss in LOSSES},
    "fit twice": partial(fit_sequence, fits=2, representation="lstm"),
    "fit with l2": partial(fit_sequence, l2=1e-2, learning_rate=5e-2, num_negative_samples=2, loss="bpr"),
    "fit with adagrad": partial(fit_sequence, optimizer_func=adagrad, representation="cnn"),
    "fit sparse": partial(fit_sequence, optimizer_func=sgd, sparse=True),
    **{f"fit {name} on bloom": partial(fit_on_bloom, name=name) for name in ("PoolNet", "CNNNet")},
    **{f"factorization {loss}": partial(fit_factorization, loss=loss) for loss in LOSSES},
    "factorization sparse": partial(fit_factorization, optimizer_func=sgd, sparse=True),
}
