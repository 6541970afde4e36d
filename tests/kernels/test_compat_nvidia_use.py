"""The layer under NVIDIA's signatures in use: derivatives, tracers, hostile input, and the signatures themselves."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from resampling import BINOMIAL, DOUBLE, SKEW
from torch import Tensor

from sdx_kernels import KernelError
from sdx_kernels.compat import nvidia
from sdx_kernels.compat.nvidia import (
    bias_act,
    conv2d_gradfix,
    conv2d_resample,
    fma,
    grid_sample_gradfix,
    modulated_conv2d,
    upfirdn2d,
)

F4 = upfirdn2d.setup_filter(BINOMIAL)
GRADIENTS: dict[str, tuple[Callable[..., Tensor], list[list[int]]]] = {
    "upfirdn2d": (lambda x: upfirdn2d.upfirdn2d(x, SKEW, up=2, down=3, padding=[2, 1]), [[1, 2, 5, 4]]),
    "bias_act": (lambda x, b: bias_act.bias_act(x, b, act="swish", clamp=2), [[2, 3, 2], [3]]),
    "conv2d_resample up": (
        lambda x, w: conv2d_resample.conv2d_resample(x, w, F4, up=2, padding=1, groups=2, flip_weight=False),
        [[1, 4, 3, 2], [2, 2, 3, 3]],
    ),
    "conv2d_resample down": (
        lambda x, w: conv2d_resample.conv2d_resample(x, w, F4, down=2, padding=1),
        [[1, 2, 4, 5], [1, 2, 3, 3]],
    ),
    "modulated_conv2d": (
        lambda x, w, s, n: modulated_conv2d(x, w, s, n, up=2, padding=1, resample_filter=F4),
        [[2, 2, 2, 2], [2, 2, 3, 3], [2, 2], [2, 1, 4, 4]],
    ),
    "fma": (fma.fma, [[2, 3, 2], [3, 1], [2, 1, 2]]),
    # Points are kept off the lattice of pixel centres, where the interpolation has no derivative.
    "grid_sample": (
        lambda image, at: grid_sample_gradfix.grid_sample(image, (at.tanh() * 0.4).cumsum(1) * 0.9),
        [[1, 2, 4, 3], [1, 3, 2, 2]],
    ),
}


def _leaves(shapes: Sequence[Sequence[int]]) -> list[Tensor]:
    return [torch.randn(*shape, dtype=DOUBLE, requires_grad=True) for shape in shapes]


@pytest.mark.parametrize("name", GRADIENTS)
def test_first_and_second_derivatives(name: str) -> None:
    function, shapes = GRADIENTS[name]
    leaves = _leaves(shapes)
    assert torch.autograd.gradcheck(lambda *args: function(*args).square(), leaves)
    assert torch.autograd.gradgradcheck(lambda *args: function(*args).square(), leaves)


def test_a_penalty_on_gradients_trains_all_of_a_network() -> None:
    """R1 through every op at once, by differences of the penalty itself."""
    image, weight, styles, bias, grid = _leaves([[2, 3, 6, 6], [4, 3, 3, 3], [2, 3], [4], [2, 5, 5, 2]])
    head = torch.randn(1, 4, 3, 3, dtype=DOUBLE, requires_grad=True)

    def penalty(weight: Tensor, styles: Tensor, bias: Tensor, head: Tensor) -> Tensor:
        x = grid_sample_gradfix.grid_sample(image, grid.tanh())
        x = modulated_conv2d(x, weight, styles, up=2, padding=1, resample_filter=F4)
        x = bias_act.bias_act(x, bias, act="lrelu", clamp=256)
        x = upfirdn2d.downsample2d(x, F4)
        x = conv2d_resample.conv2d_resample(x, head, F4, down=2, padding=1)
        with conv2d_gradfix.no_weight_gradients():
            (slope,) = torch.autograd.grad(x.sum(), image, create_graph=True)
        return slope.square().sum()

    assert torch.autograd.gradcheck(penalty, (weight, styles, bias, head))


@pytest.mark.parametrize("name", GRADIENTS)
def test_compiles_whole(name: str) -> None:
    function, shapes = GRADIENTS[name]
    leaves = _leaves(shapes)
    compiled = torch.compile(function, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(*leaves), function(*leaves))
    got = torch.autograd.grad(compiled(*leaves).square().sum(), leaves)
    for ours, expected in zip(got, torch.autograd.grad(function(*leaves).square().sum(), leaves), strict=True):
        torch.testing.assert_close(ours, expected)


def test_an_empty_batch_stays_empty() -> None:
    x, w = torch.zeros(0, 3, 8, 8), torch.ones(2, 3, 3, 3)
    assert conv2d_resample.conv2d_resample(x, w, F4, up=2, padding=1).shape == (0, 2, 16, 16)
    assert modulated_conv2d(x, w, torch.ones(0, 3), padding=1).shape == (0, 2, 8, 8)
    assert grid_sample_gradfix.grid_sample(x, torch.zeros(0, 4, 5, 2)).shape == (0, 3, 4, 5)


IMAGE, WEIGHT = torch.zeros(1, 2, 4, 4), torch.zeros(2, 2, 3, 3)
WRONG: list[tuple[Callable[..., object], dict[str, Any], str, str]] = [
    (upfirdn2d.setup_filter, {"f": torch.ones(1, 1, 1)}, "f", "[1, 1, 1]"),
    (upfirdn2d.setup_filter, {"f": []}, "f", "[0]"),
    (upfirdn2d.setup_filter, {"f": torch.ones(2, 2), "separable": True}, "f", "[2, 2]"),
    (upfirdn2d.upfirdn2d, {"x": [1.0], "f": None}, "x", "list"),
    (upfirdn2d.upfirdn2d, {"x": IMAGE, "f": [1.0]}, "f", "list"),
    (upfirdn2d.upfirdn2d, {"x": IMAGE, "f": None, "up": (1, 2, 3)}, "up", "(1, 2, 3)"),
    (upfirdn2d.upfirdn2d, {"x": IMAGE, "f": None, "down": 0}, "down", "got 0"),
    (upfirdn2d.upfirdn2d, {"x": IMAGE, "f": None, "padding": [1, 2, 3]}, "padding", "[1, 2, 3]"),
    (upfirdn2d.upfirdn2d, {"x": IMAGE, "f": None, "padding": 0.5}, "padding", "0.5"),
    (upfirdn2d.upfirdn2d, {"x": IMAGE, "f": None, "impl": "auto"}, "impl", "'auto'"),
    (upfirdn2d.filter2d, {"x": IMAGE, "f": torch.ones(0)}, "f", "[0]"),
    (upfirdn2d.upsample2d, {"x": IMAGE, "f": None, "up": "2"}, "up", "'2'"),
    (upfirdn2d.downsample2d, {"x": IMAGE, "f": None, "down": -1}, "down", "-1"),
    (bias_act.bias_act, {"x": IMAGE, "b": 1.0}, "b", "float"),
    (bias_act.bias_act, {"x": IMAGE, "b": torch.ones(3)}, "bias", "[3]"),
    (bias_act.bias_act, {"x": IMAGE, "act": "gelu"}, "act", "'gelu'"),
    (bias_act.bias_act, {"x": IMAGE, "clamp": 0}, "clamp", "0.0"),
    (bias_act.bias_act, {"x": IMAGE, "impl": "fast"}, "impl", "'fast'"),
    (conv2d_resample.conv2d_resample, {"x": IMAGE, "w": WEIGHT.double()}, "w", "torch.float64"),
    (conv2d_resample.conv2d_resample, {"x": IMAGE, "w": WEIGHT, "groups": 2}, "w", "[2, 2, 3, 3]"),
    (conv2d_resample.conv2d_resample, {"x": IMAGE, "w": WEIGHT, "groups": 0}, "groups", "got 0"),
    (conv2d_resample.conv2d_resample, {"x": IMAGE, "w": WEIGHT, "up": (2, 2)}, "up", "(2, 2)"),
    (conv2d_resample.conv2d_resample, {"x": IMAGE, "w": WEIGHT, "padding": [-1, -1]}, "3 pixels", "got 2"),
    (modulated_conv2d, {"x": IMAGE, "weight": WEIGHT, "styles": None}, "styles", "NoneType"),
    (modulated_conv2d, {"x": IMAGE, "weight": WEIGHT, "styles": torch.ones(1, 3)}, "styles", "[1, 3]"),
    (modulated_conv2d, {"x": IMAGE, "weight": WEIGHT, "styles": IMAGE[..., 0, 0], "padding": [1, 0]}, "pad", "[1, 0]"),
    (modulated_conv2d, {"x": IMAGE, "weight": WEIGHT, "styles": IMAGE[..., 0, 0], "down": 2.0}, "down", "2.0"),
    (
        modulated_conv2d,
        {"x": IMAGE, "weight": WEIGHT, "styles": IMAGE[..., 0, 0], "noise": torch.ones(3, 3)},
        "noise",
        "[3, 3]",
    ),
    (grid_sample_gradfix.grid_sample, {"input": IMAGE, "grid": torch.ones(1, 2, 2, 3)}, "grid", "[1, 2, 2, 3]"),
    (grid_sample_gradfix.grid_sample, {"input": IMAGE, "grid": torch.ones(1, 2, 2, 2).half()}, "grid", "torch.float16"),
    (grid_sample_gradfix.grid_sample, {"input": IMAGE[:, :, :0], "grid": torch.ones(1, 2, 2, 2)}, "input", "0, 4]"),
]


@pytest.mark.parametrize(("function", "arguments", "named", "got"), WRONG)
def test_what_it_cannot_take(function: Callable[..., object], arguments: dict[str, Any], named: str, got: str) -> None:
    with pytest.raises(KernelError, match="expected") as error:
        function(**arguments)
    expected, found = str(error.value).split("got", 1)
    assert named in expected
    assert got in f"got{found}"


def test_filtered_lrelu_is_named_as_missing() -> None:
    with pytest.raises(ImportError, match="no filtered_lrelu"):
        from sdx_kernels.compat.nvidia import filtered_lrelu  # noqa: F401
    with pytest.raises(AttributeError, match="upfirdn3d"):
        nvidia.upfirdn3d  # noqa: B018


SIGNATURES = {
    upfirdn2d.setup_filter: "f device normalize flip_filter gain separable",
    upfirdn2d.upfirdn2d: "x f up down padding flip_filter gain impl",
    upfirdn2d.filter2d: "x f padding flip_filter gain impl",
    upfirdn2d.upsample2d: "x f up padding flip_filter gain impl",
    upfirdn2d.downsample2d: "x f down padding flip_filter gain impl",
    bias_act.bias_act: "x b dim act alpha gain clamp impl",
    conv2d_resample.conv2d_resample: "x w f up down padding groups flip_weight flip_filter",
    conv2d_gradfix.conv2d: "input weight bias stride padding dilation groups",
    conv2d_gradfix.conv_transpose2d: "input weight bias stride padding output_padding groups dilation",
    conv2d_gradfix.no_weight_gradients: "disable",
    grid_sample_gradfix.grid_sample: "input grid",
    fma.fma: "a b c",
    modulated_conv2d: "x weight styles noise up down padding resample_filter demodulate flip_weight fused_modconv",
}


@pytest.mark.parametrize(("function", "names"), SIGNATURES.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_signatures(function: Callable[..., object], names: str) -> None:
    assert list(inspect.signature(function).parameters) == names.split()
