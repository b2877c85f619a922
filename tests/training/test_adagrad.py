"""Our Adagrad against torch's own: the same weights and the same state, for sparse gradients and for dense ones."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from spotlight_asars.training.adagrad import RowwiseAdagrad

ROWS = 6


def make_net():
    torch.manual_seed(0)
    return nn.ModuleList([nn.Embedding(ROWS, 3, sparse=True), nn.Embedding(ROWS, 2), nn.Linear(5, 1)])


def loss_of(net, items):
    sparse, dense, layer = net
    return layer(torch.cat([sparse(items), dense(items)], dim=1)).square().sum()


def trained(optimizer, net, batches, **options):
    optimizer = optimizer(net.parameters(), **{"lr": 0.3, **options})
    for items in batches:
        optimizer.zero_grad()
        loss_of(net, torch.tensor(items)).backward()
        with torch.sparse.check_sparse_tensor_invariants(enable=False):
            optimizer.step()
    return optimizer


def assert_same(net, other, optimizer, expected):
    torch.testing.assert_close(dict(net.named_parameters()), dict(other.named_parameters()))
    torch.testing.assert_close(optimizer.state_dict(), expected.state_dict())


OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "lr_decay": st.sampled_from([0.0, 0.5]),
        "eps": st.sampled_from([1e-10, 0.1]),
        "initial_accumulator_value": st.sampled_from([0.0, 0.2]),
        "maximize": st.booleans(),
    },
)
BATCHES = st.lists(st.lists(st.integers(0, ROWS - 1), min_size=1, max_size=8), min_size=1, max_size=4)


@settings(deadline=None, max_examples=40)
@given(batches=BATCHES, options=OPTIONS)
def test_weights_and_state_are_those_of_torch(batches, options):
    net, other = make_net(), make_net()
    optimizer = trained(RowwiseAdagrad, net, batches, **options)
    assert_same(net, other, optimizer, trained(torch.optim.Adagrad, other, batches, **options))


def test_it_goes_on_from_the_state_of_torch_and_the_other_way_round():
    net, other = make_net(), make_net()
    first = trained(RowwiseAdagrad, net, [[0, 1], [1, 1]])
    second = torch.optim.Adagrad(other.parameters(), lr=0.3)
    other.load_state_dict(net.state_dict())
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for optimizer, one in ((first, net), (second, other)):
        optimizer.zero_grad()
        loss_of(one, torch.tensor([1, 2, 2])).backward()
        with torch.sparse.check_sparse_tensor_invariants(enable=False):
            optimizer.step()
    assert_same(net, other, first, second)


def test_the_gradient_stays_and_rows_without_one_do_not_change():
    net = make_net()
    before = net[0].weight.detach().clone()
    trained(RowwiseAdagrad, net, [[4, 4]])
    assert net[0].weight.grad.is_sparse
    changed = (net[0].weight != before).any(dim=1)
    assert changed.nonzero().flatten().tolist() == [4]


def test_a_closure_is_asked_once_for_the_loss():
    net, asked = make_net(), []
    optimizer = RowwiseAdagrad(net.parameters(), lr=0.001)

    def closure():
        asked.append(torch.is_grad_enabled())
        optimizer.zero_grad()
        loss = loss_of(net, torch.tensor([1, 2]))
        loss.backward()
        return loss

    first, second = optimizer.step(closure), optimizer.step(closure)
    assert asked == [True, True]
    assert 0 < second < first


def test_weight_decay_is_refused_as_by_torch_where_gradients_are_sparse():
    with pytest.raises(RuntimeError, match="weight_decay option is not compatible with sparse gradients"):
        trained(RowwiseAdagrad, make_net(), [[1]], weight_decay=0.1)
