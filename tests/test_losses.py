"""Every loss against a scalar loop, golden numbers, Spotlight's own, and the contract."""

from __future__ import annotations

import math

import contracts_losses
import pytest
import torch
import torch.nn.functional as F
from contracts_losses import BATCH, NEG, TIME, masks, scores

from spotlight_asars._core import losses as spotlight
from spotlight_asars.losses import (
    LOSSES,
    cross_entropy_and_gradient,
    cross_entropy_loss,
    cross_entropy_over_catalogue,
    masked_mean,
)
from spotlight_asars.losses.masking import log_sum_exp


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def mean_over_the_highest(costs, others):
    """Weighted by a softmax of the samples' scores."""
    weights = [math.exp(other) for other in others]
    return sum(weight * cost for weight, cost in zip(weights, costs, strict=True)) / sum(weights)


# What one target and one sample cost, or one target and all of its samples.
FOR_EACH_PAIR = {
    "hinge": lambda own, other: max(0.0, 1 - own + other),
    "bpr": lambda own, other: math.log1p(math.exp(other - own)),
    "top1": lambda own, other: sigmoid(other - own) + sigmoid(other**2),
    "bpr_sigmoid": lambda own, other: sigmoid(other - own),
    "pointwise": lambda own, other: sigmoid(-own) + sigmoid(other),
}
FOR_EACH_TARGET = {
    "adaptive_hinge": lambda own, others: max(0.0, 1 - own + max(others)),
    "cross_entropy": lambda own, others: math.log1p(sum(math.exp(other - own) for other in others)),
    "sampled_softmax": lambda own, others: math.log1p(sum(math.exp(other - own) for other in others)),
    "bpr_max": lambda own, others: (
        mean_over_the_highest([other**2 for other in others], others)
        - math.log(mean_over_the_highest([sigmoid(own - other) for other in others], others))
    ),
    "top1_max": lambda own, others: mean_over_the_highest(
        [FOR_EACH_PAIR["top1"](own, other) for other in others], others
    ),
}

# Of targets (1, 2) and samples (0.5, 2), (-1, 3): the formulas above in decimal arithmetic of 50 digits.
GOLDEN = {
    "adaptive_hinge": 1.25,
    "bpr": 0.6518534658,
    "bpr_sigmoid": 0.4319505424,
    "cross_entropy": 1.0532008168,
    "bpr_max": 4.7742969345,
    "hinge": 0.875,
    "pointwise": 0.8752651610,
    "sampled_softmax": 1.0532008168,
    "top1": 1.2507319111,
    "top1_max": 1.2936940415,
}

SPOTLIGHTS = {
    "adaptive_hinge": spotlight.adaptive_hinge_loss,
    "bpr_sigmoid": spotlight.bpr_loss,
    "hinge": spotlight.hinge_loss,
    "pointwise": spotlight.pointwise_loss,
}


def by_hand(name, positive, negative, mask):
    """The loss one pair at a time."""
    layers = negative if negative.dim() > positive.dim() else negative[None]
    counts = torch.ones_like(layers, dtype=torch.bool) if mask is None else mask.expand(layers.shape)
    terms = []
    for place in torch.cartesian_prod(*map(torch.arange, positive.shape)).view(-1, positive.dim()):
        at = tuple(place.tolist())
        others = [layer[at].item() for layer, real in zip(layers, counts, strict=True) if real[at]]
        if name in FOR_EACH_PAIR:
            terms += [FOR_EACH_PAIR[name](positive[at].item(), other) for other in others]
        elif others:
            terms.append(FOR_EACH_TARGET[name](positive[at].item(), others))
    return sum(terms) / max(len(terms), 1)


def test_every_loss_has_its_runs():
    assert LOSSES.keys() == (FOR_EACH_PAIR | FOR_EACH_TARGET).keys() == GOLDEN.keys()


@pytest.mark.parametrize("check", contracts_losses.EVERY_LOSS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_keeps_the_contract(name, check):
    if (name, check) == ("bpr_max", contracts_losses.check_prefers_the_better_ranking):
        check(lambda positive, negative: LOSSES[name](positive + 6, negative + 6))  # its decay bends scores below 0
    else:
        check(LOSSES[name])


@pytest.mark.parametrize("scale", [0.1, 3.0, 30.0])
@pytest.mark.parametrize("negative", [(BATCH, TIME), (NEG, BATCH, TIME)], ids=str)
@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_its_formula(name, negative, scale):
    own, other = scores((BATCH, TIME), scale), scores(negative, scale, seed=1)
    for mask in masks((BATCH, TIME), negative).values():
        value = LOSSES[name](own, other, mask=mask).item()
        assert value == pytest.approx(by_hand(name, own, other, mask), rel=1e-12, abs=0)


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_of_one_pair_is_its_formula_at_any_score(name):
    grid = torch.linspace(-40, 40, 33, dtype=torch.float64)
    for own, other in torch.cartesian_prod(grid, grid):
        expected = by_hand(name, own[None], other[None], None)
        rounding = 1e-15 if name == "bpr_max" else 0  # the logarithm of a sum near 1
        assert LOSSES[name](own[None], other[None]).item() == pytest.approx(expected, rel=1e-12, abs=rounding)


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_has_its_golden_value(name):
    positive = torch.tensor([1.0, 2.0], dtype=torch.float64)
    negative = torch.tensor([[0.5, 2.0], [-1.0, 3.0]], dtype=torch.float64)
    assert LOSSES[name](positive, negative).item() == pytest.approx(GOLDEN[name], abs=1e-10)


@pytest.mark.parametrize("name", SPOTLIGHTS)
def test_spotlights_losses_are_spotlights(name):
    """Where those are defined: a mask of the targets with something in it, and several layers for the adaptive."""
    negatives = [(NEG, BATCH, TIME)] if name == "adaptive_hinge" else [(BATCH, TIME), (NEG, BATCH, TIME)]
    for negative in negatives:
        own, other = scores((BATCH, TIME)), scores(negative, seed=1)
        choice = masks((BATCH, TIME), negative)
        for mask in (None, choice["of targets"]):
            if mask is not None and name != "adaptive_hinge":
                mask = mask.expand(negative)
            ours, theirs = LOSSES[name](own, other, mask=mask), SPOTLIGHTS[name](own, other, mask=mask)
            torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=0)


def test_spotlights_bpr_is_not_the_papers():
    own, other = scores((7,)), scores((7,), seed=1)
    assert LOSSES["bpr"](own, other) != spotlight.bpr_loss(own, other)


def test_cross_entropy_of_all_items_is_torchs():
    """The target may stand anywhere among the items; masked there, it is compared with all others."""
    logits, targets = scores((7, 11)), torch.tensor([0, 10, 3, 3, 5, 1, 9])
    others = torch.ones(7, 11, dtype=torch.bool).scatter(1, targets[:, None], False)
    own = logits.gather(1, targets[:, None])[:, 0]
    ours = LOSSES["cross_entropy"](own, logits.T, mask=others.T)
    torch.testing.assert_close(ours, torch.nn.functional.cross_entropy(logits, targets), rtol=1e-14, atol=0)


def cross_entropies(logits, targets):
    """Value and gradient, ours and torch's."""
    found = []
    for loss in (cross_entropy_over_catalogue, lambda x, y: F.cross_entropy(x[:, 1:], y - 1)):
        scores = logits.clone().requires_grad_()
        loss(scores, targets).backward()
        found.append((scores.grad, loss(scores, targets).detach()))
    return found


@pytest.mark.parametrize(
    ("dtype", "rtol"), [(torch.float64, 1e-12), (torch.float32, 1e-5), (torch.bfloat16, 2e-2)], ids=str
)
@pytest.mark.parametrize("scale", [0.1, 3.0, 30.0, 1e4, 1e37])
def test_cross_entropy_over_the_catalogue_is_torchs_without_padding(scale, dtype, rtol):
    logits, targets = scores((7, 11), scale).to(dtype), torch.tensor([1, 10, 3, 3, 5, 1, 9])
    logits[:, 0] = 2 * logits.abs().max()
    torch.testing.assert_close(*cross_entropies(logits, targets), rtol=rtol, atol=rtol)


@pytest.mark.parametrize("value", [-torch.inf, torch.inf, torch.nan, 3e38])
@pytest.mark.parametrize("items", [[2], [5], [2, 5], range(1, 7)], ids=str)
def test_scores_without_bound_cost_what_they_cost_in_torch(items, value):
    logits = torch.randn(3, 7, generator=torch.Generator().manual_seed(0))
    logits[1, items] = value
    torch.testing.assert_close(*cross_entropies(logits, torch.tensor([1, 2, 6])), equal_nan=True)


def test_cross_entropy_over_the_catalogue_has_its_gradient_and_leaves_the_scores_alone():
    logits, targets = scores((5, 7)).requires_grad_(), torch.tensor([1, 6, 3, 3, 2])
    before = logits.detach().clone()
    assert torch.autograd.gradcheck(cross_entropy_over_catalogue, (logits, targets))
    value = 3 * cross_entropy_over_catalogue(logits, targets)
    once, again = (torch.autograd.grad(value, logits, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(once, again)
    assert torch.equal(logits, before)
    assert not once[:, 0].any()


def test_the_gradient_of_cross_entropy_may_be_made_in_the_memory_of_the_scores():
    logits, targets = scores((5, 7)), torch.tensor([1, 6, 3, 3, 2])
    total, gradient = cross_entropy_and_gradient(logits, targets)
    again, in_place = cross_entropy_and_gradient(logits, targets, out=logits)
    assert in_place is logits
    assert torch.equal(gradient, logits)
    assert total == again


def test_the_adaptive_hinge_sees_only_the_highest_sample():
    own, other = scores((7,)), scores((NEG, 7), seed=1).requires_grad_()
    LOSSES["adaptive_hinge"](own, other).backward()
    assert ((other.grad != 0).sum(dim=0) <= 1).all()
    assert other.grad.sum(dim=0).any()
    assert (other.grad != 0)[other.argmax(dim=0), torch.arange(7)].sum() == (other.grad != 0).sum()


@pytest.mark.parametrize("name", LOSSES)
def test_only_losses_that_say_so_feel_an_offset_of_all_scores(name):
    positive, negative = scores((7,)), scores((NEG, 7), seed=1)
    moved, value = (LOSSES[name](positive + offset, negative + offset) for offset in (0.5, 0.0))
    assert torch.isclose(moved, value, rtol=1e-12) == (not LOSSES[name].feels_offsets)


@pytest.mark.parametrize("name", [name for name in LOSSES if name != "bpr_max"])
def test_at_any_score_the_better_ranking_costs_less(name):
    """Even far below 0; there BPR-max, whose pull of the samples towards 0 has no bound, thinks otherwise."""
    grid = torch.linspace(-6, 6, 25, dtype=torch.float64)
    for worse, better in torch.combinations(grid)[..., None]:
        assert LOSSES[name](better, worse) < LOSSES[name](worse, better)


def test_the_mean_is_over_what_counts():
    values = torch.tensor([[1.0, 2.0], [4.0, 8.0]])
    assert masked_mean(values) == 3.75
    assert masked_mean(values, torch.tensor([True, False])) == 2.5
    assert masked_mean(values, torch.tensor([[False, False], [False, True]])) == 8
    assert masked_mean(values, torch.tensor([False, False])) == 0
    assert masked_mean(torch.tensor([torch.inf, 1.0]), torch.tensor([False, True])) == 1
    assert masked_mean(torch.zeros(0)) == 0


def test_what_does_not_count_has_no_gradient_be_it_finite_or_not():
    values = torch.tensor([torch.inf, 1.0, torch.nan, 3.0], requires_grad=True)
    masked_mean(values, torch.tensor([False, True, False, True])).backward()
    assert values.grad.tolist() == [0, 0.5, 0, 0.5]
    mask = torch.tensor([True, False, True])  # of every row
    assert torch.autograd.gradcheck(lambda values: masked_mean(values, mask), scores((2, 3)).requires_grad_())


@pytest.mark.parametrize("value", [-torch.inf, torch.inf, torch.nan, 3e38, -3e38])
@pytest.mark.parametrize("masked", [False, True])
def test_a_log_sum_of_exponentials_is_torchs(masked, value):
    values, mask = scores((5, 4), scale=30.0), torch.rand(5, 4, generator=torch.Generator().manual_seed(0)) < 0.6
    values[1, 1], values[:, 2], mask[:, 3], mask[1, 1] = value, value, False, True
    values.requires_grad_()
    total, found = log_sum_exp(values, mask if masked else None)
    kept = values.where(mask, torch.finfo(values.dtype).min) if masked else values
    torch.testing.assert_close(total, kept.logsumexp(dim=0), equal_nan=True)
    if masked:
        assert found.tolist() == mask.any(dim=0).tolist()
    gradients = [torch.autograd.grad(one[:2].sum(), values, retain_graph=True)[0] for one in (total, kept.logsumexp(0))]
    if math.isfinite(value):
        torch.testing.assert_close(*gradients)


def test_a_score_that_is_no_number_is_no_number_in_the_loss():
    positive, negative, mask = scores((3,)), scores((4, 3)), torch.ones(4, 3, dtype=torch.bool)
    negative[2, 1] = torch.nan
    for given in (None, mask):
        assert cross_entropy_loss(positive, negative, given).isnan()
    mask[2, 1] = False
    assert cross_entropy_loss(positive, negative, mask).isfinite()


def test_over_the_catalogue_the_loss_is_that_against_all_others():
    torch.manual_seed(0)
    scores, targets = torch.randn(7, 11, dtype=torch.float64), torch.randint(1, 11, (7,))
    others = torch.ones(7, 11, dtype=torch.bool)
    others[:, 0] = False
    others.scatter_(1, targets[:, None], False)
    positive = scores.gather(1, targets[:, None])[:, 0]
    for loss in [loss for loss in LOSSES.values() if loss.over_catalogue]:
        torch.testing.assert_close(loss.over_catalogue(scores, targets), loss(positive, scores.T, mask=others.T))
        assert loss.over_catalogue(scores[:0], targets[:0]) == 0
