"""upfirdn2d's Triton kernel: derivatives, tracers, other configurations, NaN, and empty batches."""

from __future__ import annotations

from functools import partial
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor

from sdx_kernels import launch, upfirdn2d
from sdx_kernels.testing import record
from sdx_kernels.upfirdn2d import autograd, strip

BINOMIAL = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
SKEWED = torch.tensor([[1.0, -2.0, 0.5], [4.0, 0.25, -1.0]]) / 4
CALLS: list[tuple[Tensor | None, list[int], list[int], bool]] = [
    (None, [2, 1, 1, 1], [0, 0, 0, 0], False),
    (BINOMIAL, [2, 2, 1, 1], [2, 1, 2, 1], False),
    (BINOMIAL * torch.tensor([1.0, -1.0, 2.0, 0.5]), [1, 1, 1, 1], [0, 2, 3, -1], True),
    (BINOMIAL * torch.tensor([1.0, -1.0, 2.0, 0.5]), [1, 1, 2, 2], [2, 1, 1, 3], False),
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

    assert torch.autograd.gradcheck(squared, (x,), fast_mode=True)
    assert torch.autograd.gradgradcheck(squared, (x,), fast_mode=True)


def _up(x: Tensor) -> Tensor:
    return upfirdn2d(x, BINOMIAL, up=2, padding=(2, 1, 2, 1), gain=4.0, impl="triton")


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")  # opcheck looks at it
def test_the_registered_op_keeps_its_promises() -> None:
    # A filter in strips and one in tiles, in either order; then the other cases.
    for order, calls in ((torch.channels_last, CALLS[3:5]), (torch.contiguous_format, CALLS)):
        x = torch.randn(1, 2, 3, 4).contiguous(memory_format=order).requires_grad_()
        for filter, factors, padding, flip in calls:
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


@pytest.mark.parametrize("kernel", ["upfirdn2d_kernel", "upfirdn2d_kernel_channels_last_up"])
def test_two_configurations_agree(kernel: str) -> None:
    order = torch.channels_last if "last" in kernel else torch.contiguous_format
    x = torch.randn(2, 5, 9, 7).contiguous(memory_format=order)
    call = partial(upfirdn2d, x, SKEWED, up=2, padding=(1, 1, 1, 0), impl="triton")
    plain = call()
    other = launch.Row(kernel, {"BLOCK_P": 16, "SIDE": 8, "BLOCK_C": 2})
    with mock.patch.object(launch, "TABLE", (other, *launch.TABLE)), record() as recording:
        assert torch.equal(call(), plain)
    assert recording.of("upfirdn2d_kernel").grid == (9 * 2 * 3 * 2,)


@pytest.mark.parametrize("kernel", ["upfirdn2d_strip_kernel", "upfirdn2d_strip_kernel_channels_last"])
def test_two_cuts_of_strips_agree(kernel: str) -> None:
    order = torch.channels_last if "last" in kernel else torch.contiguous_format
    x = torch.randn(2, 5, 9, 7).contiguous(memory_format=order)
    plain = _up(x)
    other = launch.Row(kernel, {"BLOCK_P": 8, "BLOCK_C": 2})
    with (
        mock.patch.object(launch, "TABLE", (other, *launch.TABLE)),
        mock.patch.object(strip, "_SHORTEST", 1),
        record() as recording,
    ):
        assert torch.equal(_up(x), plain)
    assert recording.of("upfirdn2d_strip_kernel").grid == (2 * 3 * 2 * 10,)  # a pair for rows -1 and 0


@pytest.mark.parametrize("shape", [(0, 3, 5, 4), (1, 1, 1, 1), (64, 64, 256, 256), (1, 512, 4, 4), (3, 100, 129, 63)])
@pytest.mark.parametrize("top", [-3, 0, 1, 2])
@pytest.mark.parametrize("up", [1, 2])
def test_strips_cover_each_row_and_are_long_where_there_are_many(shape: tuple[int, ...], top: int, up: int) -> None:
    cut = strip.plan(shape, up, top, channels_last=True, bits=16, arch=90)
    n, channels, height, width = shape
    rows = cut.total * up - (1 - top % 2 if up == 2 else 0)  # the first pair may begin above the result
    assert height <= rows < height + up
    assert (cut.strips - 1) * cut.length < cut.total <= cut.strips * cut.length
    assert cut.across * cut.row.blocks["BLOCK_P"] >= width
    assert cut.groups * cut.row.blocks["BLOCK_C"] >= channels
    programs = n * cut.strips * cut.across * cut.groups
    assert 4 <= cut.length <= 32
    assert cut.length == 4 or programs >= 2048


def test_a_filter_of_one_axis_with_four_taps_goes_down_strips() -> None:
    x = torch.randn(1, 2, 8, 8)
    for filter, factors, strips in (
        (BINOMIAL, {}, True),
        (BINOMIAL, {"up": 2}, True),
        (BINOMIAL, {"down": 2}, True),
        (BINOMIAL.outer(BINOMIAL), {}, False),
        (BINOMIAL[:3], {}, False),
        (BINOMIAL, {"up": (2, 1)}, False),
        (BINOMIAL, {"up": 2, "down": 2}, False),
        (BINOMIAL, {"down": 3}, False),
    ):
        with record() as recording:
            upfirdn2d(x, filter, padding=2, impl="triton", **factors)
        assert recording.launches == {"upfirdn2d_strip_kernel" if strips else "upfirdn2d_kernel": 1}


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("filter", [BINOMIAL, BINOMIAL.outer(BINOMIAL)])
@pytest.mark.parametrize("place", [2, 0, 5])
def test_nan_stays_within_its_plane_and_the_filters_reach(
    place: int, filter: Tensor, order: torch.memory_format
) -> None:
    x = torch.randn(2, 3, 6, 6).contiguous(memory_format=order)
    x[0, 1, place, place] = float("nan")
    for factors, reach in (({"up": 2}, (4, 3, 3)), ({}, (4, 3, 2)), ({"down": 2}, (2, 2, 1))):
        wrong = upfirdn2d(x, filter, padding=(2, 1, 2, 1), impl="triton", **factors).isnan()
        expected = reach[(2, 0, 5).index(place)] ** 2  # of the four taps of either axis, less at a border
        assert wrong[0, 1].sum() == expected
        assert wrong.sum() == expected


def test_an_empty_batch() -> None:
    x = torch.zeros(0, 3, 8, 8, requires_grad=True)
    y = _up(x)
    assert y.shape == (0, 3, 16, 16)
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.shape == x.shape
