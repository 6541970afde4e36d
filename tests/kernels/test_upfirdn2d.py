"""upfirdn2d against loops over pixels and taps in float64, torch's own pooling, and hostile input."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

import tolerances
from sdx_kernels import KernelError, upfirdn2d

BINOMIAL = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
SKEW = torch.tensor([[1.0, -2.0, 0.5], [4.0, 0.25, -1.0]]) / 4


def _axis(length: int, taps: int, up: int, down: int, before: int, after: int) -> list[list[tuple[int, int]]]:
    """For every output position, the (source position, tap) pairs that meet there; zeros are left out."""
    count = (length * up + before + after - taps) // down + 1
    meet = []
    for out in range(count):
        at = [(out * down + tap - before, tap) for tap in range(taps)]
        meet.append([(p // up, tap) for p, tap in at if 0 <= p < length * up and p % up == 0])
    return meet


def _oracle(
    x: Tensor,
    filter: Tensor | None,
    up: tuple[int, int] = (1, 1),
    down: tuple[int, int] = (1, 1),
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    flip_filter: bool = False,
    gain: float = 1.0,
) -> Tensor:
    source: NDArray[np.float64] = x.detach().cpu().double().numpy()
    kernel = np.ones((1, 1)) if filter is None else filter.double().numpy()
    if kernel.ndim == 1:
        kernel = np.outer(kernel, kernel)
    if not flip_filter:
        kernel = kernel[::-1, ::-1]
    rows = _axis(source.shape[2], kernel.shape[0], up[1], down[1], padding[2], padding[3])
    columns = _axis(source.shape[3], kernel.shape[1], up[0], down[0], padding[0], padding[1])
    result = np.zeros((*source.shape[:2], len(rows), len(columns)))
    for i, j in itertools.product(range(len(rows)), range(len(columns))):
        for (y, ty), (z, tz) in itertools.product(rows[i], columns[j]):
            result[:, :, i, j] += gain * kernel[ty, tz] * source[:, :, y, z]
    return torch.from_numpy(result)


CASES: list[dict[str, Any]] = [
    {"filter": None},
    {"filter": BINOMIAL},
    {"filter": SKEW},
    {"filter": SKEW, "flip_filter": True},
    {"filter": None, "up": (2, 3), "down": (3, 1)},
    {"filter": BINOMIAL, "up": (2, 2), "padding": (2, 1, 2, 1), "gain": 4.0},
    {"filter": BINOMIAL, "down": (2, 2), "padding": (1, 1, 1, 1)},
    {"filter": SKEW, "up": (3, 1), "down": (2, 2), "padding": (0, 3, 5, 2)},
    {"filter": SKEW, "up": (2, 2), "padding": (-3, 1, 2, -4)},
    {"filter": None, "padding": (-1, -2, -2, 0)},
    {"filter": torch.ones(1, 7), "padding": (9, 9, 0, 0)},
    {"filter": None, "padding": (-7, 9, 0, 0)},
]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("case", CASES)
def test_agrees_with_loops(case: dict[str, Any], dtype: torch.dtype, device: torch.device) -> None:
    x = torch.randn(2, 3, 7, 5).to(device, dtype)
    there = {key: value.to(device) if isinstance(value, torch.Tensor) else value for key, value in case.items()}
    got = upfirdn2d(x, **there)
    assert got.dtype == dtype
    tolerances.check("upfirdn2d", got.cpu(), _oracle(x, **case))


def test_shorthands() -> None:
    x = torch.randn(1, 2, 6, 9)
    full = upfirdn2d(x, SKEW, up=(2, 2), down=(3, 3), padding=(1, 1, 1, 1))
    assert torch.equal(upfirdn2d(x, SKEW, up=2, down=3, padding=1), full)
    assert torch.equal(
        upfirdn2d(x, SKEW, padding=(1, 2)),
        upfirdn2d(x, SKEW, padding=(1, 1, 2, 2)),
    )
    torch.testing.assert_close(upfirdn2d(x, BINOMIAL), upfirdn2d(x, torch.outer(BINOMIAL, BINOMIAL)))


def test_box_filters_are_torchs_pooling_and_nearest() -> None:
    x = torch.randn(2, 3, 8, 6, dtype=torch.float64)
    torch.testing.assert_close(upfirdn2d(x, torch.ones(2, 2) / 4, down=2), avg_pool2d(x, 2))
    torch.testing.assert_close(upfirdn2d(x, torch.ones(2), up=2, padding=(1, 0, 1, 0)), interpolate(x, scale_factor=2))


@pytest.mark.parametrize("case", CASES)
def test_first_and_second_derivatives(case: dict[str, Any]) -> None:
    x = torch.randn(1, 2, 7, 5, dtype=torch.float64, requires_grad=True)

    def squared(x: Tensor) -> Tensor:
        return upfirdn2d(x, **case).square()  # the op alone is linear, and its second derivative nought

    assert torch.autograd.gradcheck(squared, (x,))
    assert torch.autograd.gradgradcheck(squared, (x,))


def test_the_filter_gets_no_gradient() -> None:
    taps = BINOMIAL.clone().requires_grad_()
    assert not upfirdn2d(torch.randn(1, 1, 8, 8), taps).requires_grad


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_accumulates_in_float32(dtype: torch.dtype) -> None:
    x = torch.randn(1, 2, 12, 12).to(dtype)
    assert torch.equal(upfirdn2d(x, BINOMIAL, up=2), upfirdn2d(x.float(), BINOMIAL, up=2).to(dtype))


def test_autocast_does_not_lower_the_precision() -> None:
    x = torch.randn(1, 2, 12, 12)
    plain = upfirdn2d(x, BINOMIAL)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(upfirdn2d(x, BINOMIAL), plain)


def test_any_strides_and_channels_last() -> None:
    x = torch.randn(2, 3, 7, 5)
    plain = upfirdn2d(x, SKEW, up=2, padding=1)
    last = upfirdn2d(x.contiguous(memory_format=torch.channels_last), SKEW, up=2, padding=1)
    assert plain.is_contiguous()
    assert last.is_contiguous(memory_format=torch.channels_last)
    views = [x.transpose(2, 3).contiguous().transpose(2, 3), torch.stack([x, x], -1)[..., 0], x.flip(3).flip(3)]
    for got in [last, *(upfirdn2d(view, SKEW, up=2, padding=1) for view in views)]:
        torch.testing.assert_close(got, plain, rtol=1e-6, atol=1e-6)


def test_the_result_is_never_the_argument() -> None:
    x = torch.randn(1, 2, 4, 4)
    before = x.clone()
    got = upfirdn2d(x, None)
    assert torch.equal(got, x)
    got.fill_(7.0)
    assert torch.equal(x, before)


@pytest.mark.parametrize("taps", [torch.ones(4), torch.ones(4, 4), None])
@pytest.mark.parametrize("up", [1, 2])
def test_no_channels_stay_none(taps: Tensor | None, up: int) -> None:
    x = torch.randn(2, 0, 6, 5, requires_grad=True)
    y = upfirdn2d(x, taps, up=up, padding=(2, 1, 2, 1))
    assert y.shape == upfirdn2d(torch.randn(2, 1, 6, 5), taps, up=up, padding=(2, 1, 2, 1))[:, :0].shape
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert gradient.shape == x.shape


def test_an_empty_batch_stays_empty() -> None:
    x = torch.zeros(0, 3, 8, 8, requires_grad=True)
    got = upfirdn2d(x, BINOMIAL, up=2, down=3, padding=1)
    assert got.shape == (0, 3, 5, 5)
    got.sum().backward()
    assert x.grad is not None
    assert x.grad.shape == x.shape


IMAGE = torch.zeros(1, 2, 4, 4)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"x": torch.zeros(2, 4, 4), "filter": None}, "[2, 4, 4]"),
        ({"x": IMAGE.long(), "filter": None}, "torch.int64"),
        ({"x": torch.zeros(1, 2, 0, 4), "filter": None}, "0x4"),
        ({"x": IMAGE, "filter": torch.ones(1, 2, 3)}, "[1, 2, 3]"),
        ({"x": IMAGE, "filter": torch.ones(2).long()}, "torch.int64"),
        ({"x": IMAGE, "filter": torch.ones(0)}, "[0]"),
        ({"x": IMAGE, "filter": None, "up": 0}, "up >= 1, got 0"),
        ({"x": IMAGE, "filter": None, "down": (1, -1)}, "down >= 1, got (1, -1)"),
        ({"x": IMAGE, "filter": torch.ones(5)}, "4x4"),
        ({"x": IMAGE, "filter": None, "padding": (-2, -2, 0, 0)}, "4x0"),
        ({"x": IMAGE, "filter": None, "padding": (1, 2, 3)}, "(1, 2, 3)"),
        ({"x": IMAGE, "filter": None, "padding": 1.5}, "1.5"),
        ({"x": IMAGE, "filter": None, "up": 2.0}, "2.0"),
        ({"x": IMAGE, "filter": None, "up": (1, 2, 3)}, "(1, 2, 3)"),
        ({"x": IMAGE, "filter": None, "gain": None}, "NoneType"),
        ({"x": IMAGE, "filter": None, "gain": torch.ones(())}, "Tensor"),
        ({"x": IMAGE, "filter": torch.ones(2, device="meta")}, "filter on cpu as x, got meta"),
        ({"x": IMAGE, "filter": [1.0, 1.0]}, "list"),
        ({"x": None, "filter": None}, "NoneType"),
    ],
)
def test_what_it_cannot_take(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(KernelError, match="upfirdn2d: expected") as error:
        upfirdn2d(**arguments)
    assert named in str(error.value)
