"""Triangle attention against one row after the other, at any length and any score."""

from __future__ import annotations

import numpy as np
import pytest
import reference
import torch
from hypothesis import given
from hypothesis import strategies as st

from spotlight_asars.representations import attention
from spotlight_asars.representations.attention import attend_with_own_term, triangle_attention

CHUNK = attention.CHUNK


def make(batch, time, dim, spread=3.0, real=0.7, seed=0, dtype=torch.float64):
    draw = torch.Generator().manual_seed(seed)
    score = torch.randn(batch, time, generator=draw, dtype=torch.float64) * spread
    value = torch.randn(batch, time, dim, generator=draw, dtype=torch.float64)
    mask = torch.rand(batch, time, generator=draw) < real
    return score.to(dtype), value.to(dtype), mask


def by_hand(score, value, mask):
    rows = zip(score.double().numpy(), value.double().numpy(), mask.numpy(), strict=True)
    return np.stack([reference.prefix_softmax(*row) for row in rows])


@pytest.mark.parametrize("time", [1, 2, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 5 * CHUNK + 7])
def test_every_row_of_the_triangle_is_a_softmax_over_its_prefix(time):
    score, value, mask = make(2, time, 3)
    np.testing.assert_allclose(triangle_attention(score, value, mask), by_hand(score, value, mask), rtol=1e-12)


@given(st.integers(1, 40), st.floats(0, 1), st.integers(0, 10**6), st.sampled_from([2, 3, 32]))
def test_the_length_of_a_chunk_changes_nothing(time, real, seed, chunk):
    score, value, mask = make(2, time, 3, real=real, seed=seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attention, "CHUNK", chunk)
        actual = triangle_attention(score, value, mask)
    np.testing.assert_allclose(actual, by_hand(score, value, mask), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("time", [7, 100])
def test_scores_of_ten_thousand_are_safe(dtype, time):
    score, value, mask = make(3, time, 2, spread=1e4, dtype=dtype)
    score[0], score[1, ::2] = score[0].abs() - 1e4, -1e4
    score.requires_grad_()
    actual = triangle_attention(score, value, mask)
    np.testing.assert_allclose(actual.detach(), by_hand(score.detach(), value, mask), rtol=1e-5, atol=1e-6)
    actual.sum().backward()
    assert score.grad.isfinite().all()


def test_rows_without_a_real_event_are_zero_and_take_no_gradient():
    score, value, mask = make(2, 2 * CHUNK, 3)
    mask[0] = False
    score.requires_grad_(), value.requires_grad_()
    out = triangle_attention(score, value, mask)
    assert not out[0].any()
    out.sum().backward()
    assert not score.grad[0].any()
    assert not value.grad[0].any()


def test_padding_has_no_weight_whatever_it_holds():
    score, value, mask = make(2, 50, 3)
    plain = triangle_attention(score, value, mask)
    score[~mask], value[~mask] = 1e4, -1e4
    torch.testing.assert_close(triangle_attention(score, value, mask), plain)


@pytest.mark.parametrize("chunk", [2, 32])
@pytest.mark.parametrize("attend", ["triangle", "own term"])
def test_gradients_agree_with_finite_differences(monkeypatch, chunk, attend):
    monkeypatch.setattr(attention, "CHUNK", chunk)
    score, value, mask = make(2, 7, 2)
    mask[1] = False
    score.requires_grad_(), value.requires_grad_()
    if attend == "triangle":
        assert torch.autograd.gradcheck(lambda s, v: triangle_attention(s, v, mask), (score, value))
    else:
        own = torch.randn(2, 7, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(lambda s, o, v: attend_with_own_term(s, o, v, mask), (score, own, value))


@pytest.mark.parametrize("time", [1, 6, 2 * CHUNK + 3])
def test_an_own_term_replaces_the_latest_score_of_each_prefix(time):
    score, value, _ = make(2, time, 3)
    mask = torch.ones(2, time, dtype=torch.bool)
    own = make(2, time, 3, seed=1)[0]
    actual = attend_with_own_term(score, own, value, mask)
    for step in range(time):
        replaced = score[:, : step + 1].clone()
        replaced[:, step] = own[:, step]
        expected = by_hand(replaced, value[:, : step + 1], mask[:, : step + 1])[:, -1]
        np.testing.assert_allclose(actual[:, step], expected, rtol=1e-12)


def test_a_long_session_needs_no_square_matrix():
    time = 50_000  # whose square in float32 would be 10 GB
    score, value, mask = make(1, time, 2, real=1.1, dtype=torch.float32)
    weight = score.double().softmax(dim=1)
    expected = (weight.unsqueeze(2) * value).sum(dim=1)
    torch.testing.assert_close(triangle_attention(score, value, mask)[:, -1].double(), expected, rtol=1e-4, atol=1e-5)
