"""upfirdn2d's Triton kernel: derivatives, tracers, other configurations, NaN, and empty batches."""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor

from sdx_kernels import launch, upfirdn2d
from sdx_kernels.testing import record
from sdx_kernels.upfirdn2d import autograd

BINOMIAL = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
SKEWED = torch.tensor([[1.0, -2.0, 0.5], [4.0, 0.25, -1.0]]) / 4
CALLS: list[tuple[Tensor | None, list[int], list[int], bool]] = [
    (None, [2, 1, 1, 1], [0, 0, 0, 0], False),
    (BINOMIAL, [2, 2, 1, 1], [2, 1, 2, 1], False),
    (SKEWED, [1, 1, 2, 3], [1, 2, 3, 4], True),
    (SKEWED, [3, 2, 2, 1], [-2, 3, 5, -1], False),
    (torch.arange(9.0) / 36, [1, 2, 1, 1], [4, 4, 5, 5], False),
]


@pytest.mark.parametrize("call", CALLS)
def test_two_orders_of_derivatives(call: tuple[Any, ...]) -> None:
    x = torch.randn(1, 1, 3, 2, dtype=torch.float64, requires_grad=True)

    def squared(x: Tensor) -> Tensor:
        result: Tensor = autograd.upfirdn2d(x, *call, 1.5)
        return result.square()  # the op alone is linear, and its second derivative nought

    assert torch.autograd.gradcheck(squared, (x,))
    assert torch.autograd.gradgradcheck(squared, (x,))


def _up(x: Tensor) -> Tensor:
    return upfirdn2d(x, BINOMIAL, up=2, padding=(2, 1, 2, 1), gain=4.0, impl="triton")


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")  # opcheck looks at it
def test_the_registered_op_keeps_its_promises() -> None:
    for order in (torch.contiguous_format, torch.channels_last):
        x = torch.randn(2, 3, 4, 5).contiguous(memory_format=order).requires_grad_()
        for filter, factors, padding, flip in CALLS:
            torch.library.opcheck(torch.ops.sdx_kernels.upfirdn2d.default, (x, filter, factors, padding, flip, 0.5))


def test_compiles_and_exports_whole() -> None:
    x = torch.randn(2, 3, 5, 4, requires_grad=True)
    compiled = torch.compile(_up, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(x), _up(x))
    (got,) = torch.autograd.grad(compiled(x).square().sum(), x)
    (plain,) = torch.autograd.grad(_up(x).square().sum(), x)
    torch.testing.assert_close(got, plain)

    class Up(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return _up(x)

    frozen = x.detach()
    assert torch.equal(torch.export.export(Up(), (frozen,)).module()(frozen), _up(frozen))


@pytest.mark.parametrize("kernel", ["upfirdn2d_kernel", "upfirdn2d_kernel_channels_last"])
def test_two_configurations_agree(kernel: str) -> None:
    last = kernel.endswith("last")
    order = torch.channels_last if last else torch.contiguous_format
    x = torch.randn(2, 5, 9, 7).contiguous(memory_format=order)
    plain = _up(x)
    other = launch.Row(kernel, {"BLOCK_P": 16, "SIDE": 8, "BLOCK_C": 2})
    with mock.patch.object(launch, "TABLE", (other, *launch.TABLE)), record() as recording:
        assert torch.equal(_up(x), plain)
    assert recording.of("upfirdn2d_kernel").grid == (9 * 2 * 3 * 2,)


def test_nan_stays_within_its_plane_and_the_filters_reach() -> None:
    x = torch.randn(2, 3, 6, 6)
    x[0, 1, 2, 2] = float("nan")
    wrong = _up(x).isnan()
    assert wrong[0, 1].sum() == 16  # the four taps of either axis
    assert wrong.sum() == 16


def test_an_empty_batch() -> None:
    x = torch.zeros(0, 3, 8, 8, requires_grad=True)
    y = _up(x)
    assert y.shape == (0, 3, 16, 16)
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.shape == x.shape
