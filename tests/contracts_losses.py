"""What every loss must satisfy, as functions of one; the same for a loss of the table as for a caller's own."""

from __future__ import annotations

import pytest
import torch

NEG, BATCH, TIME = 5, 2, 3  # distinct primes: no axis can pass for another
SHAPES = {
    "one for each": ((BATCH, TIME), (BATCH, TIME)),
    "several for each": ((BATCH, TIME), (NEG, BATCH, TIME)),
    "flat": ((7,), (7,)),
    "several, flat": ((7,), (NEG, 7)),
    "one target": ((1,), (NEG, 1)),
    "one sample": ((7,), (1, 7)),
}


def scores(shape, scale=2.0, dtype=torch.float64, seed=0):
    draw = torch.Generator().manual_seed(seed + 1000 * len(shape))
    return scale * torch.randn(shape, generator=draw, dtype=dtype)


def some(shape, seed=0):
    """A mask of which about two thirds are True, and at least one is."""
    mask = torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < 0.67
    mask.view(-1)[0] = True
    return mask


def masks(positive, negative):
    """Every kind of mask for these scores."""
    return {"no": None, "of targets": some(positive), "of pairs": some(negative)}


def each_case():
    """Scores and masks of every shape that a loss takes."""
    for positive, negative in SHAPES.values():
        for mask in masks(positive, negative).values():
            yield scores(positive), scores(negative, seed=1), mask


def gradients(loss, positive, negative, mask):
    positive, negative = positive.clone().requires_grad_(), negative.clone().requires_grad_()
    value = loss(positive, negative, mask=mask)
    value.backward()
    return value.detach(), positive.grad, negative.grad


def check_gives_one_number(loss):
    for positive, negative, mask in each_case():
        value = loss(positive, negative, mask=mask)
        assert value.shape == ()
        assert value.dtype == positive.dtype


def check_survives_any_score(loss):
    """Finite, with finite gradients, at scores of +-1e4."""
    for dtype in (torch.float32, torch.float64):
        for positive, negative in SHAPES.values():
            for mask in masks(positive, negative).values():
                for high, low in ((1e4, -1e4), (-1e4, 1e4), (1e4, 1e4), (-1e4, -1e4)):
                    own = torch.full(positive, high, dtype=dtype)
                    other = torch.full(negative, low, dtype=dtype)
                    for outcome in gradients(loss, own, other, mask):
                        assert outcome.isfinite().all(), (high, low, outcome)


def check_nothing_counts(loss):
    """Where all is masked the loss is 0, and so are the gradients; the same where there is nothing at all."""
    for dtype in (torch.float32, torch.float64):
        for scale in (1.0, 1e4):
            for positive, negative in SHAPES.values():
                for shape in (positive, negative):
                    own, other = scores(positive, scale, dtype), scores(negative, scale, dtype, seed=1)
                    outcomes = gradients(loss, own, other, torch.zeros(shape, dtype=torch.bool))
                    assert all((outcome == 0).all() for outcome in outcomes), outcomes
    for mask in (None, torch.zeros(0, dtype=torch.bool)):
        assert loss(torch.zeros(0), torch.zeros(0), mask=mask) == 0
        assert loss(torch.zeros(0), torch.zeros(NEG, 0), mask=mask) == 0


def check_gradient_is_the_derivative(loss):
    for positive, negative, mask in each_case():
        inputs = (positive.requires_grad_(), negative.requires_grad_())
        assert torch.autograd.gradcheck(lambda own, other, mask=mask: loss(own, other, mask=mask), inputs)


def check_falls_as_the_target_rises(loss):
    """Never rises; and from far below the samples it falls."""
    for positive, negative, mask in each_case():
        ladder = [loss(positive + step, negative, mask=mask).item() for step in torch.linspace(-8, 8, 33)]
        assert ladder == sorted(ladder, reverse=True)
        assert ladder[0] > ladder[16] > ladder[-1] or ladder[16] == 0


def check_falls_as_the_samples_fall(loss):
    """Where the samples stay above 0: TOP1 also keeps them close to it."""
    for positive, negative, mask in each_case():
        ladder = [loss(positive, negative.abs() + step, mask=mask).item() for step in torch.linspace(8, 0, 33)]
        assert ladder == sorted(ladder, reverse=True)
        assert ladder[0] > ladder[-1]


def check_prefers_the_better_ranking(loss):
    """Of two scores, the higher one belongs to the target (the sign of eqs. 21-23).

    The lower one no farther from 0: some losses also want samples close to it.
    """
    grid = torch.linspace(-6, 6, 49, dtype=torch.float64)
    low, high = torch.combinations(grid).unbind(1)
    for better, worse in zip(high, low, strict=True):
        if worse < -better:
            continue
        right = loss(better[None], worse[None])
        wrong = loss(worse[None], better[None])
        assert right < wrong, (better, worse)


def check_leaves_its_arguments_alone(loss):
    for positive, negative, mask in each_case():
        before = [None if tensor is None else tensor.clone() for tensor in (positive, negative, mask)]
        gradients(loss, positive, negative, mask)
        loss(positive, negative, mask=mask)
        for now, then in zip((positive, negative, mask), before, strict=True):
            assert now is then is None or torch.equal(now, then)


def check_reads_transposed_scores(loss):
    """As the objective hands them over: one row for each target, turned."""
    positive, negative = scores((7,)), scores((NEG, 7))
    mask = some((NEG, 7))
    turned = [tensor.T.contiguous().T for tensor in (negative, mask)]
    assert not turned[0].is_contiguous()
    expected = gradients(loss, positive, negative, mask)
    for now, then in zip(gradients(loss, positive, turned[0], turned[1]), expected, strict=True):
        torch.testing.assert_close(now, then, rtol=1e-14, atol=0)


def check_masked_entries_take_no_part(loss):
    """Neither their scores nor their gradients; a target without a sample that counts has no gradient, either."""
    for positive, negative, mask in each_case():
        if mask is None:
            continue
        pairs = mask.expand(negative.shape)
        value, own, other = gradients(loss, positive, negative, mask)
        assert not other[~pairs].any()
        counts = pairs if pairs.dim() == positive.dim() else pairs.any(dim=0)
        assert not own[~counts].any()
        for stranger in (1e4, -1e4):
            changed = loss(positive.where(counts, -stranger), negative.where(pairs, stranger), mask=mask)
            assert changed == value


def check_order_does_not_matter(loss):
    """Shuffled targets and shuffled samples give the same loss."""
    positive, negative, mask = scores((7,)), scores((NEG, 7)), some((NEG, 7))
    targets, samples = torch.tensor([3, 6, 0, 2, 5, 1, 4]), torch.tensor([4, 0, 3, 1, 2])
    shuffled = loss(positive[targets], negative[samples][:, targets], mask=mask[samples][:, targets])
    torch.testing.assert_close(shuffled, loss(positive, negative, mask=mask), rtol=1e-14, atol=0)


def check_shapes_must_fit(loss):
    good, several = torch.zeros(BATCH, TIME), torch.zeros(NEG, BATCH, TIME)
    for wrong in ((TIME, BATCH), (TIME,), (BATCH, 1), (BATCH, TIME, NEG), (7, NEG, BATCH, TIME), ()):
        with pytest.raises(ValueError, match=r"negative must have the shape of positive, \(2, 3\), .*; got") as error:
            loss(good, torch.zeros(wrong))
        assert str(error.value).endswith(f"got {wrong}")
    for negative in (good, several):
        for wrong in ((TIME, BATCH), (NEG, BATCH), (BATCH, 1), (NEG, 1, 1), (1, BATCH, TIME), ()):
            with pytest.raises(ValueError, match="mask must have the shape of positive or of negative; got") as error:
                loss(good, negative, mask=torch.ones(wrong, dtype=torch.bool))
            assert str(error.value).endswith(f"got {wrong}")
    with pytest.raises(ValueError, match=r"mask must be bool; got 'torch.float32'"):
        loss(good, several, mask=torch.ones(BATCH, TIME))


EVERY_LOSS = (
    check_gives_one_number,
    check_survives_any_score,
    check_nothing_counts,
    check_gradient_is_the_derivative,
    check_falls_as_the_target_rises,
    check_falls_as_the_samples_fall,
    check_prefers_the_better_ranking,
    check_leaves_its_arguments_alone,
    check_reads_transposed_scores,
    check_masked_entries_take_no_part,
    check_order_does_not_matter,
    check_shapes_must_fit,
)
