"""The layer under NVIDIA's signatures against plain torch in float64: zeros written in, whole weights convolved."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from resampling import BINOMIAL, DOUBLE, SKEW, convolved, four, modulated, resampled
from torch import Tensor
from torch.nn import functional

import tolerances
from sdx_kernels import KernelError
from sdx_kernels.compat.nvidia import (
    bias_act,
    conv2d_gradfix,
    conv2d_resample,
    fma,
    grid_sample_gradfix,
    modulated_conv2d,
    upfirdn2d,
)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"f": [1, 3, 3, 1]}, torch.outer(BINOMIAL, BINOMIAL) / 64),
        ({"f": np.array([[1.0, 2.0], [3.0, 4.0]]), "normalize": False, "flip_filter": True}, [[4.0, 3.0], [2.0, 1.0]]),
        ({"f": None}, [[1.0]]),
        ({"f": 3.0, "normalize": False}, [[9.0]]),
        ({"f": [1, 1], "gain": 4}, [[1.0, 1.0], [1.0, 1.0]]),
        ({"f": [1, 1], "gain": 4, "separable": True}, [1.0, 1.0]),
        ({"f": list(range(8))}, [k / 28 for k in range(8)]),
        ({"f": [0, 1, 3], "separable": True, "flip_filter": True, "gain": 16}, [3.0, 1.0, 0.0]),
    ],
)
def test_setup_filter(arguments: dict[str, Any], expected: Any) -> None:
    got = upfirdn2d.setup_filter(**arguments)
    torch.testing.assert_close(got, torch.as_tensor(expected, dtype=torch.float32))


def test_setup_filter_leaves_its_argument_alone() -> None:
    given = torch.ones(2, 2)
    upfirdn2d.setup_filter(given)
    assert torch.equal(given, torch.ones(2, 2))


RESAMPLINGS: list[dict[str, Any]] = [
    {"f": None, "up": [2, 3], "down": (3, 1), "padding": [1, -1]},
    {"f": BINOMIAL / 8, "up": 2, "padding": [2, 1, 2, 1], "gain": 4},
    {"f": SKEW, "up": (3, 1), "down": [2, 2], "padding": (0, 3, 5, 2)},
    {"f": SKEW, "up": 2, "padding": [-3, 1, 2, -4], "flip_filter": True},
]


@pytest.mark.parametrize("impl", ["cuda", "ref"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("case", RESAMPLINGS)
def test_upfirdn2d(case: dict[str, Any], dtype: torch.dtype, impl: str) -> None:
    x = torch.randn(2, 3, 7, 5).to(dtype)
    tolerances.check("upfirdn2d", upfirdn2d.upfirdn2d(x, **case, impl=impl), resampled(x, **case))


# Zeros (before, after) that keep the size, by number of taps.
FILTER = {1: (0, 0), 2: (1, 0), 3: (1, 1), 4: (2, 1), 5: (2, 2)}
DOUBLED = {1: (1, -1), 2: (1, 0), 3: (2, 0), 4: (2, 1), 5: (3, 1)}
HALVED = {1: (0, -1), 2: (0, 0), 3: (1, 0), 4: (1, 1), 5: (2, 1)}


@pytest.mark.parametrize("taps", [1, 2, 3, 4])
@pytest.mark.parametrize("padding", [0, [1, 2], [-1, 2, 0, 1]])
def test_the_filters_that_keep_the_size(taps: int, padding: Any) -> None:
    x, f = torch.randn(1, 2, 12, 8, dtype=DOUBLE), torch.randn(taps, taps + 1)

    def around(pads: dict[int, tuple[int, int]]) -> list[int]:
        return [a + b for a, b in zip(four(padding), pads[taps + 1] + pads[taps], strict=True)]

    torch.testing.assert_close(
        upfirdn2d.filter2d(x, f, padding, gain=3), resampled(x, f, padding=around(FILTER), gain=3)
    )
    torch.testing.assert_close(
        upfirdn2d.upsample2d(x, f, padding=padding, gain=3), resampled(x, f, 2, padding=around(DOUBLED), gain=12)
    )
    torch.testing.assert_close(
        upfirdn2d.downsample2d(x, f, padding=padding, flip_filter=True),
        resampled(x, f, 1, 2, around(HALVED), flip_filter=True),
    )


def test_a_box_repeats_pixels() -> None:
    x = torch.randn(1, 2, 4, 5, dtype=DOUBLE)
    repeated = x.repeat_interleave(2, 3).repeat_interleave(3, 2)
    torch.testing.assert_close(upfirdn2d.upsample2d(x, torch.ones(3, 2) / 6, [2, 3]), repeated)
    torch.testing.assert_close(upfirdn2d.downsample2d(repeated, torch.ones(3, 2) / 6, [2, 3]), x)


def test_resampling_keeps_a_constant_and_its_centre() -> None:
    f = upfirdn2d.setup_filter(BINOMIAL)
    flat = torch.ones(1, 1, 8, 8, dtype=DOUBLE)
    assert torch.allclose(upfirdn2d.upsample2d(flat, f)[:, :, 2:-2, 2:-2], torch.ones(1, 1, 12, 12, dtype=DOUBLE))
    assert torch.allclose(upfirdn2d.downsample2d(flat, f)[:, :, 1:-1, 1:-1], torch.ones(1, 1, 2, 2, dtype=DOUBLE))
    ramp = torch.arange(8, dtype=DOUBLE).expand(1, 1, 8, 8).contiguous()
    up = upfirdn2d.upsample2d(ramp, f)[0, 0, 8, 4:-4]
    torch.testing.assert_close(up, (torch.arange(4, 12, dtype=DOUBLE) + 0.5) / 2 - 0.5)
    torch.testing.assert_close(
        upfirdn2d.downsample2d(ramp, f)[0, 0, 2, 1:-1], 2 * torch.arange(1, 3, dtype=DOUBLE) + 0.5
    )


ACTIVATIONS: dict[str, tuple[Callable[[Tensor], Tensor], float]] = {
    "linear": (lambda x: x, 1),
    "relu": (lambda x: x * (x > 0), math.sqrt(2)),
    "lrelu": (lambda x: torch.maximum(x, x * 0.2), math.sqrt(2)),
    "tanh": (lambda x: 1 - 2 / (1 + (2 * x).exp()), 1),
    "sigmoid": (lambda x: 1 / (1 + (-x).exp()), 1),
    "elu": (lambda x: torch.where(x > 0, x, x.clamp(max=0).exp() - 1), 1),
    "selu": (
        lambda x: 1.0507009873554805 * torch.where(x > 0, x, 1.6732632423543772 * (x.clamp(max=0).exp() - 1)),
        1,
    ),
    "softplus": (lambda x: (1 + x.exp()).log(), 1),
    "swish": (lambda x: x / (1 + (-x).exp()), math.sqrt(2)),
}


@pytest.mark.parametrize("impl", ["cuda", "ref"])
@pytest.mark.parametrize("act", ACTIVATIONS)
def test_bias_act(act: str, impl: str) -> None:
    function, gain = ACTIVATIONS[act]
    x, b = torch.randn(3, 4, 5, dtype=DOUBLE), torch.randn(5, dtype=DOUBLE)
    torch.testing.assert_close(bias_act.bias_act(x, act=act, impl=impl), function(x) * gain)
    got = bias_act.bias_act(x, b, dim=2, act=act, gain=np.float64(0.5), clamp=0.4, impl=impl)
    torch.testing.assert_close(got, (function(x + b) * 0.5).clamp(-0.4, 0.4))
    spec = bias_act.activation_funcs[act]
    assert spec.def_gain == pytest.approx(gain)
    assert spec.def_alpha == (0.2 if act == "lrelu" else 0)
    torch.testing.assert_close(spec.func(x, alpha=spec.def_alpha), function(x))


def test_bias_act_takes_a_slope() -> None:
    x = torch.randn(3, 4, dtype=DOUBLE)
    got = bias_act.bias_act(x, act="lrelu", alpha=0.01, gain=1)
    torch.testing.assert_close(got, functional.leaky_relu(x, 0.01))
    assert torch.equal(bias_act.bias_act(x, act="tanh", alpha=0.01), x.tanh())


CONVOLUTIONS: list[dict[str, Any]] = [
    {"k": (3, 3), "padding": 1},
    {"k": (3, 3), "padding": 1, "flip_weight": False},
    {"k": (3, 2), "padding": [1, 0, 2, 1]},
    {"k": (1, 1), "f": BINOMIAL, "up": 2},
    {"k": (1, 1), "f": BINOMIAL, "down": 2},
    {"k": (3, 3), "f": BINOMIAL, "up": 2, "padding": 1},
    {"k": (3, 3), "f": BINOMIAL, "up": 2, "padding": 1, "flip_weight": False, "groups": 2},
    {"k": (3, 3), "f": BINOMIAL, "down": 2, "padding": 1, "groups": 2},
    {"k": (3, 2), "f": SKEW, "up": 3, "padding": [3, 1], "flip_filter": True},
    {"k": (2, 3), "f": SKEW, "down": 3, "padding": (4, 1, 2, 0), "flip_filter": True, "flip_weight": False},
    {"k": (3, 3), "f": SKEW, "up": 2, "down": 3, "padding": 2, "groups": 2},
    {"k": (1, 1), "f": SKEW, "up": 3, "down": 2, "padding": 1, "flip_filter": True},
    {"k": (3, 3), "up": 2, "padding": -2},
    {"k": (3, 3), "padding": [-1, 0]},
]


def _operands(case: dict[str, Any], dtype: torch.dtype = DOUBLE) -> tuple[Tensor, Tensor, dict[str, Any]]:
    how = dict(case)
    shape = how.pop("k")
    f = how.pop("f", None)
    how["f"] = f if f is None or f.ndim == 2 else upfirdn2d.setup_filter(f)
    return torch.randn(2, 4, 7, 6).to(dtype), torch.randn(6, 4 // how.get("groups", 1), *shape).to(dtype), how


@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_conv2d_resample(case: dict[str, Any]) -> None:
    x, w, how = _operands(case)
    torch.testing.assert_close(conv2d_resample.conv2d_resample(x, w, **how), convolved(x, w, **how))
    if "up" not in how and "down" not in how:  # a filter without resampling has no effect
        torch.testing.assert_close(conv2d_resample.conv2d_resample(x, w, **{**how, "f": SKEW}), convolved(x, w, **how))


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("how", [{}, {"up": 2}, {"down": 2}, {"demodulate": False}, {"flip_weight": False, "up": 2}])
def test_modulated_conv2d(how: dict[str, Any], dtype: torch.dtype, fused: bool) -> None:
    x, weight = torch.randn(2, 3, 8, 6).to(dtype), torch.randn(4, 3, 3, 3).to(dtype)
    styles = torch.randn(2, 3).to(dtype)
    size = (8 * how.get("up", 1) // how.get("down", 1), 6 * how.get("up", 1) // how.get("down", 1))
    weight, styles = (weight / 5, styles) if how.get("demodulate") is False else (weight, styles)
    how = {**how, "padding": 1, "resample_filter": upfirdn2d.setup_filter(BINOMIAL), "fused_modconv": fused}
    for noise in (None, torch.randn(2, 1, *size).to(dtype), torch.randn(size).to(dtype)):
        got = modulated_conv2d(x, weight, styles, noise, **how)
        tolerances.check("modulated_conv2d", got, modulated(x, weight, styles, noise, **how))


def test_float16_does_not_overflow() -> None:
    x, styles = torch.full((1, 64, 4, 4), 300.0).half(), torch.full((1, 64), 300.0).half()
    weight = torch.full((1, 64, 3, 3), 300.0).half()
    torch.testing.assert_close(modulated_conv2d(x, weight, styles), torch.full((1, 1, 2, 2), 7200.0).half())


def test_convolutions_are_torchs() -> None:
    x, w, b = torch.randn(2, 4, 7, 6), torch.randn(4, 2, 3, 3), torch.randn(4)
    got = conv2d_gradfix.conv2d(x, w, b, 2, (1, 0), 2, 2)
    assert torch.equal(got, functional.conv2d(x, w, b, 2, (1, 0), 2, 2))
    turned, bias = torch.randn(4, 3, 3, 3), torch.randn(6)
    got = conv2d_gradfix.conv_transpose2d(x, turned, bias, 2, 1, 1, 2, 1)
    assert torch.equal(got, functional.conv_transpose2d(x, turned, bias, 2, 1, 1, 2, 1))


def test_weight_gradients_are_left_out_within_the_context_alone() -> None:
    x = torch.randn(1, 2, 5, 5, dtype=DOUBLE, requires_grad=True)
    w, styles = (torch.randn(*shape, dtype=DOUBLE, requires_grad=True) for shape in ((2, 2, 3, 3), (1, 2)))
    calls: list[Callable[[], Tensor]] = [
        lambda: conv2d_gradfix.conv2d(x, w),
        lambda: conv2d_gradfix.conv_transpose2d(x, w),
        lambda: conv2d_resample.conv2d_resample(x, w, up=2),
        lambda: modulated_conv2d(x, w, styles),
    ]
    for call in calls:
        x.grad = w.grad = None
        with conv2d_gradfix.no_weight_gradients():
            call().square().sum().backward()
        assert w.grad is None
        assert x.grad is not None
        with conv2d_gradfix.no_weight_gradients(disable=False):
            call().square().sum().backward()
        assert w.grad is not None

        # The penalty that the switch is for: its own gradient reaches the weights.
        def penalty(off: bool, call: Callable[[], Tensor] = call) -> Tensor:
            with conv2d_gradfix.no_weight_gradients(off):
                (slope,) = torch.autograd.grad(call().square().sum(), x, create_graph=True)
            return torch.autograd.grad(slope.square().sum(), w)[0]

        assert torch.equal(penalty(True), penalty(False))
        assert penalty(True).abs().sum() > 0


def test_the_context_ends_after_an_error() -> None:
    def interrupted() -> None:
        with conv2d_gradfix.no_weight_gradients():
            raise RuntimeError

    with pytest.raises(RuntimeError):
        interrupted()
    assert conv2d_gradfix.weight_gradients_disabled is False


def test_fma() -> None:
    a, b, c = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 1, 1), torch.randn(2, 1, 4, 4)
    torch.testing.assert_close(fma.fma(a, b, c), a * b + c)


def test_grid_sample() -> None:
    image = torch.randn(2, 3, 5, 7, dtype=DOUBLE)
    grid = torch.rand(2, 6, 4, 2, dtype=DOUBLE) * 3 - 1.5  # some points lie outside
    expected = functional.grid_sample(image, grid, "bilinear", "zeros", align_corners=False)
    torch.testing.assert_close(grid_sample_gradfix.grid_sample(image, grid), expected)
    far = torch.tensor([math.nan, math.inf, -math.inf, 1e30]).double()[None, :, None, None].expand(1, 4, 1, 2)
    assert torch.equal(grid_sample_gradfix.grid_sample(image[:1], far), torch.zeros(1, 3, 4, 1, dtype=DOUBLE))


def test_grid_sample_reads_no_pixel_for_what_lies_outside() -> None:
    image = torch.randn(1, 2, 3, 3, dtype=DOUBLE)
    grid = torch.tensor([[[[1.2, 1.2], [0.9, -1.3]]]], dtype=DOUBLE)
    expected = grid_sample_gradfix.grid_sample(image, grid)
    image[:, :, 0, 0] = math.nan
    assert torch.equal(grid_sample_gradfix.grid_sample(image, grid), expected)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"f": "abc"}, "f as numbers, got str"),
        ({"f": [[1.0], [1.0, 2.0]]}, "f as numbers, got list"),
        ({"f": [1.0, -1.0]}, "a sum other than 0"),
        ({"f": [1.0], "gain": "a"}, "gain as a number, got str"),
        ({"f": [1.0] * 9, "gain": -1}, "gain >= 0"),
    ],
)
def test_filters_that_cannot_be_set_up(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(KernelError, match="setup_filter: expected") as error:
        upfirdn2d.setup_filter(**arguments)
    assert named in str(error.value)


def test_grid_sample_has_torchs_gradients() -> None:
    image = torch.randn(2, 3, 5, 7, dtype=DOUBLE, requires_grad=True)
    grid = (torch.rand(2, 6, 4, 2, dtype=DOUBLE) * 3 - 1.5).requires_grad_()
    upstream = torch.randn(2, 3, 6, 4, dtype=DOUBLE)
    theirs = functional.grid_sample(image, grid, "bilinear", "zeros", align_corners=False)
    ours = grid_sample_gradfix.grid_sample(image, grid)
    for got, expected in zip(
        torch.autograd.grad(ours, (image, grid), upstream),
        torch.autograd.grad(theirs, (image, grid), upstream),
        strict=True,
    ):
        torch.testing.assert_close(got, expected)
