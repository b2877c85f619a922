"""Settings of torch and of the process that a GPU needs, and that are afterwards as before."""

from __future__ import annotations

import os

import pytest
import torch
from simulated_device import SIMULATED, simulated_device

from spotlight_asars.runtime.devices import (
    CUBLAS_WORKSPACE,
    FULL_PRECISION,
    SCORES_AT_ONCE,
    SCORES_AT_ONCE_ON_GPU,
    STEPS,
    addends,
    deterministic,
    preserved_generators,
    rows_at_once,
    sums,
    take,
)

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)


def test_a_gpu_adds_up_in_a_fixed_order_inside_the_block_alone(monkeypatch):
    monkeypatch.delenv(CUBLAS_WORKSPACE, raising=False)
    with deterministic(CPU):
        assert not torch.are_deterministic_algorithms_enabled()
    with deterministic(GPU):
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.is_deterministic_algorithms_warn_only_enabled()
        assert os.environ[CUBLAS_WORKSPACE]
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.utils.deterministic.fill_uninitialized_memory
    assert CUBLAS_WORKSPACE not in os.environ


def test_full_precision_ends_with_the_last_who_asked_for_it():
    before = torch.backends.cudnn.allow_tf32
    with FULL_PRECISION:
        with FULL_PRECISION:
            assert not torch.backends.cudnn.allow_tf32
        assert not torch.backends.cudnn.allow_tf32
    assert torch.backends.cudnn.allow_tf32 == before


def test_generators_are_preserved():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    with preserved_generators():
        torch.manual_seed(4)
    assert torch.equal(torch.rand(2), expected)


def test_a_gpu_computes_more_rows_at_once_and_every_device_at_least_one():
    assert rows_at_once(CPU, 1000) == SCORES_AT_ONCE // 1000
    assert rows_at_once(GPU, 1000) == SCORES_AT_ONCE_ON_GPU // 1000
    assert rows_at_once(CPU, 2 * SCORES_AT_ONCE) == rows_at_once(GPU, 2**40) == 1
    assert rows_at_once(CPU, 1000, learning=True) == 2 * SCORES_AT_ONCE // 1000
    assert rows_at_once(GPU, 1000, learning=True) == rows_at_once(GPU, 1000), "its memory is bounded likewise"


def test_take_is_index_select():
    values, index = torch.arange(6.0).view(2, 3), torch.tensor([2, 0, 2])
    assert torch.equal(take(values, 1, index), values[:, index])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16])
def test_sums_on_a_device_are_the_same_in_any_order_and_right_to_rounding(dtype):
    draw = torch.Generator().manual_seed(0)
    values = (10 ** (4 * torch.rand(500, generator=draw, dtype=torch.float64) - 3)).to(dtype)  # from 0.001 to 10
    index = torch.randint(3, (500,), generator=draw)

    def summed(order):
        added = addends(values[order].to(SIMULATED))
        total = added.new_zeros(3).scatter_add_(0, index[order].to(SIMULATED), added)
        return sums(total, dtype).cpu()

    with simulated_device():
        found = summed(torch.arange(500))
        assert torch.equal(summed(torch.randperm(500, generator=draw)), found)
    expected = torch.zeros(3, dtype=torch.float64).scatter_add_(0, index, values.double())
    torch.testing.assert_close(found, expected.to(dtype), rtol=torch.finfo(dtype).eps, atol=500 / STEPS)
