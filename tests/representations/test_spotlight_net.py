"""Spotlight's own nets score by products of matrices what their ``forward`` gives, and other nets by ``forward``."""

from __future__ import annotations

import contracts
import pytest
import torch
from contracts import DIM, ITEMS
from torch import nn

from spotlight_asars._spotlight import CNNNet, LSTMNet, MixtureLSTMNet, PoolNet
from spotlight_asars.representations import SpotlightNet, spotlight_scores
from spotlight_asars.representations.spotlight_scores import scoring_of

NETS = (PoolNet, LSTMNet, CNNNet, MixtureLSTMNet)
of_every_net = pytest.mark.parametrize("kind", NETS, ids=lambda kind: kind.__name__)


def make_net(kind, num_items=ITEMS, **options):
    """With biases, too, which Spotlight starts at 0."""
    torch.manual_seed(1)
    net = kind(num_items, DIM, **options)
    nn.init.normal_(net.item_biases.weight.data[1:])
    return SpotlightNet(net, ITEMS).double()


def by_forward(net):
    """The same net with a ``forward`` of its own, which nothing but itself can score."""
    kind = type(net.net)
    own = type("Own", (kind,), {"forward": lambda self, states, targets: kind.forward(self, states, targets)})
    other = SpotlightNet(own(net.net.item_embeddings.num_embeddings, DIM), ITEMS).double()
    other.load_state_dict(net.state_dict())
    assert scoring_of(net.net) is not None is scoring_of(other.net)
    return other


def scores_and_gradients(net, score):
    """Of the states after some items."""
    items, _ = contracts.random_batch()
    items[0, :2] = 0
    rows = net.states(items).flatten(0, 1)
    scores = score(net, rows)
    weight = torch.randn(scores.shape, generator=torch.Generator().manual_seed(0), dtype=scores.dtype)
    net.zero_grad()
    (scores * weight).sum().backward()
    gradients = {name: weights.grad.to_dense() for name, weights in net.named_parameters()}
    return scores.detach(), gradients


WAYS = {
    "targets": lambda net, rows: net.score(rows, torch.arange(len(rows))),
    "items": lambda net, rows: net.score_items(rows, torch.tensor([4, 2, 0, 4])),
    "an item": lambda net, rows: net.score_items(rows, torch.tensor([4])),
    "catalogue": lambda net, rows: net.score_items(rows),
    "a state": lambda net, rows: net.score_items(rows[3:4]),
    "a target": lambda net, rows: net.score(rows[3:4], torch.tensor([7])),
}


@pytest.mark.parametrize("most_numbers", [1, 200, 2**24])
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("way", WAYS)
@of_every_net
def test_scores_and_their_gradients_are_those_of_forward(kind, way, sparse, most_numbers, monkeypatch):
    monkeypatch.setattr(spotlight_scores, "MOST_NUMBERS", most_numbers)
    net = make_net(kind, sparse=sparse)
    actual, expected = (scores_and_gradients(each, WAYS[way]) for each in (net, by_forward(net)))
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-12)


@of_every_net
def test_no_states_have_no_scores(kind):
    net = make_net(kind)
    rows = net.states(torch.tensor([[1, 2]]))[0, :0]
    assert net.score_items(rows).shape == (0, ITEMS)
    assert net.score(rows, torch.zeros(0, dtype=torch.int64)).shape == (0,)


@of_every_net
def test_padding_takes_no_gradient_from_scores_of_the_catalogue(kind):
    net = make_net(kind)
    _, gradients = scores_and_gradients(net, WAYS["catalogue"])
    for table in ("net.item_embeddings.weight", "net.item_biases.weight"):
        assert not gradients[table][0].any()
        assert gradients[table][1:].any()


@of_every_net
def test_looked_up_items_give_sparse_gradients_where_they_are_asked_for(kind):
    net = make_net(kind, sparse=True)
    rows = net.states(torch.tensor([[1, 2]]))[:, -1]
    (net.score(rows, torch.tensor([3])).sum() + net.score_items(rows, torch.tensor([3, 5])).sum()).backward()
    assert all(table.weight.grad.is_sparse for table in (net.net.item_embeddings, net.net.item_biases))


@of_every_net
def test_a_class_of_ones_own_scores_by_its_own_forward(kind):
    class Doubled(kind):
        def forward(self, states, targets):
            return 2 * super().forward(states, targets)

    class Renamed(kind):
        pass

    plain, doubled, renamed = make_net(kind), make_net(Doubled), make_net(Renamed)
    patched = make_net(kind)
    patched.net.forward = doubled.net.forward
    assert scoring_of(renamed.net) is scoring_of(plain.net)
    items, _ = contracts.random_batch()
    rows, targets = plain.states(items).flatten(0, 1), items.flatten()
    for net, factor in ((renamed, 1), (doubled, 2), (patched, 2)):
        torch.testing.assert_close(net.score_items(rows), factor * plain.score_items(rows))
        torch.testing.assert_close(net.score(rows, targets), factor * plain.score(rows, targets))


class Folded(nn.Module):
    """An embedding layer in which items share rows."""

    def __init__(self):
        super().__init__()
        self.rows = nn.Embedding(4, DIM)

    def forward(self, items):
        return self.rows(items % 4)


@pytest.mark.parametrize(
    "layer",
    [Folded, lambda: nn.Embedding(ITEMS, DIM, max_norm=0.1), lambda: nn.Embedding(ITEMS + 5, DIM)],
    ids=["no table", "limited norms", "more items"],
)
@of_every_net
def test_the_catalogue_is_what_the_embedding_layer_gives(kind, layer):
    torch.manual_seed(0)
    net = make_net(kind, item_embedding_layer=layer())
    rows = net.states(torch.tensor([[1, 2, 3]]))[0]
    every_item = torch.arange(ITEMS)
    torch.testing.assert_close(net.score_items(rows), net.score_items(rows, every_item))
    by_forward = net._score(rows.unsqueeze(1).expand(-1, ITEMS, *rows.shape[1:]), every_item.expand(3, -1))
    torch.testing.assert_close(net.score_items(rows), by_forward)
