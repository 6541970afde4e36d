"""Slices of a batch: all of it, in order, without autograd."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from sdx.slices import over_slices


@pytest.mark.parametrize("slice_size", [1, 4, 23, 100, None])
def test_slices_change_nothing_but_rounding(slice_size: int | None) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 8, 3), nn.Flatten()).eval()
    x = torch.randn(23, 3, 16, 16)
    got = over_slices(network, [x], slice_size)
    assert got.is_inference()
    torch.testing.assert_close(got.clone(), network(x).detach())


@pytest.mark.parametrize("slice_size", [3, 10])
def test_several_inputs_in_order_and_no_slice_is_larger_than_asked(slice_size: int) -> None:
    a, b = torch.arange(10.0)[:, None], torch.arange(10.0)[:, None] * 10
    sizes = []

    def add(x: Tensor, y: Tensor) -> Tensor:
        sizes.append(len(x))
        return x + y

    assert torch.equal(over_slices(add, [a, b], slice_size), a + b)
    assert max(sizes) <= slice_size
    assert sum(sizes) == 10


def test_an_empty_batch() -> None:
    assert over_slices(lambda x: x * 2, [torch.zeros(0, 3)], 4).shape == (0, 3)
