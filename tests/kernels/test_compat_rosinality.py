"""The layer under rosinality's signatures against plain torch in float64."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

import tolerances
from sdx_kernels import KernelError
from sdx_kernels.compat import nvidia, rosinality
from sdx_kernels.compat.rosinality import FusedLeakyReLU, fused_leaky_relu, upfirdn2d

BLUR = torch.outer(torch.tensor([1.0, 3.0, 3.0, 1.0]), torch.tensor([1.0, 3.0, 3.0, 1.0])) / 64
SKEW = torch.tensor([[1.0, -2.0, 0.5], [4.0, 0.25, -1.0]]) / 4
DOUBLE = torch.float64


def _oracle(input: Tensor, kernel: Tensor, up: Any = 1, down: Any = 1, pad: tuple[int, ...] = (0, 0)) -> Tensor:
    """A transposed convolution by a single one inserts the zeros; the kernel is turned by hand."""
    ux, uy = (up, up) if isinstance(up, int) else up
    dx, dy = (down, down) if isinstance(down, int) else down
    left, right, top, bottom = pad if len(pad) == 4 else pad * 2
    n, channels, height, width = input.shape
    planes = input.double().reshape(n * channels, 1, height, width)
    one = functional.pad(torch.ones(1, 1, 1, 1, dtype=DOUBLE), (0, ux - 1, 0, uy - 1))
    planes = functional.conv_transpose2d(planes, one, stride=(uy, ux))
    planes = functional.pad(planes, (left, right, top, bottom))
    turned = kernel.double().flip((0, 1))[None, None]
    return functional.conv2d(planes, turned, stride=(dy, dx)).unflatten(0, (n, channels))[:, :, 0]


CASES: list[dict[str, Any]] = [
    {"kernel": BLUR * 4, "up": 2, "pad": (2, 1)},
    {"kernel": BLUR, "down": 2, "pad": (1, 1)},
    {"kernel": BLUR, "pad": (2, 2)},
    {"kernel": SKEW, "up": (2, 3), "down": (3, 1), "pad": (4, 0, 1, 2)},
    {"kernel": SKEW, "up": 2, "pad": (-1, -2)},
    {"kernel": SKEW, "pad": (3, -1, 0, 2)},
]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("case", CASES)
def test_upfirdn2d(case: dict[str, Any], dtype: torch.dtype) -> None:
    x = torch.randn(2, 3, 7, 5).to(dtype)
    tolerances.check("upfirdn2d", upfirdn2d(x, **case), _oracle(x, **case))


@pytest.mark.parametrize("shape", [[2, 3], [2, 3, 5], [2, 3, 4, 5]])
@pytest.mark.parametrize(("slope", "scale"), [(0.2, 2**0.5), (0.01, 1.0)])
def test_fused_leaky_relu(shape: list[int], slope: float, scale: float) -> None:
    x, bias = torch.randn(shape, dtype=DOUBLE), torch.randn(3, dtype=DOUBLE)
    shifted = (x.movedim(1, -1) + bias).movedim(-1, 1)
    expected = torch.where(shifted > 0, shifted, slope * shifted) * scale
    torch.testing.assert_close(fused_leaky_relu(x, bias, slope, scale), expected)
    torch.testing.assert_close(
        fused_leaky_relu(x, negative_slope=slope, scale=scale), functional.leaky_relu(x, slope) * scale
    )


def test_the_defaults() -> None:
    x = torch.tensor([[-1.0, 1.0]], dtype=DOUBLE)
    torch.testing.assert_close(fused_leaky_relu(x), torch.tensor([[-0.2, 1.0]], dtype=DOUBLE) * 2**0.5)


def test_the_module_loads_what_the_other_saved() -> None:
    layer = FusedLeakyReLU(3)
    assert {name: value.tolist() for name, value in layer.state_dict().items()} == {"bias": [0.0, 0.0, 0.0]}
    layer.load_state_dict({"bias": torch.tensor([1.0, -1.0, 0.0])})
    x = torch.zeros(1, 3, 1, 1)
    torch.testing.assert_close(layer(x).flatten(), torch.tensor([2**0.5, -0.2 * 2**0.5, 0.0]))
    layer(x).sum().backward()
    assert layer.bias is not None
    assert layer.bias.grad is not None
    plain = FusedLeakyReLU(3, bias=False, negative_slope=0.5, scale=3.0)
    assert plain.bias is None
    torch.testing.assert_close(plain(x - 1), torch.full((1, 3, 1, 1), -1.5))


GRADIENTS: dict[str, tuple[Callable[..., Tensor], list[list[int]]]] = {
    "upfirdn2d": (lambda x: upfirdn2d(x, SKEW, up=2, down=3, pad=(2, 1)), [[1, 2, 5, 4]]),
    "fused_leaky_relu": (fused_leaky_relu, [[2, 3, 2], [3]]),
    "conv2d": (rosinality.conv2d_gradfix.conv2d, [[1, 2, 4, 3], [2, 2, 3, 2], [2]]),
    "conv_transpose2d": (rosinality.conv2d_gradfix.conv_transpose2d, [[1, 2, 2, 3], [2, 1, 3, 2], [1]]),
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_first_and_second_derivatives(name: str) -> None:
    function, shapes = GRADIENTS[name]
    leaves = [torch.randn(*shape, dtype=DOUBLE, requires_grad=True) for shape in shapes]
    assert torch.autograd.gradcheck(lambda *args: function(*args).square(), leaves)
    assert torch.autograd.gradgradcheck(lambda *args: function(*args).square(), leaves)


@pytest.mark.parametrize("name", GRADIENTS)
def test_compiles_whole(name: str) -> None:
    function, shapes = GRADIENTS[name]
    leaves = [torch.randn(*shape, dtype=DOUBLE, requires_grad=True) for shape in shapes]
    compiled = torch.compile(function, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(*leaves), function(*leaves))
    got = torch.autograd.grad(compiled(*leaves).square().sum(), leaves)
    for ours, expected in zip(got, torch.autograd.grad(function(*leaves).square().sum(), leaves), strict=True):
        torch.testing.assert_close(ours, expected)


IMAGE = torch.zeros(1, 2, 4, 4)


@pytest.mark.parametrize(
    ("function", "arguments", "named", "got"),
    [
        (upfirdn2d, {"input": IMAGE[0], "kernel": SKEW}, "input", "[2, 4, 4]"),
        (upfirdn2d, {"input": IMAGE, "kernel": SKEW[0]}, "kernel", "[3]"),
        (upfirdn2d, {"input": IMAGE, "kernel": None}, "kernel", "NoneType"),
        (upfirdn2d, {"input": IMAGE, "kernel": SKEW, "up": 0}, "up", "got 0"),
        (upfirdn2d, {"input": IMAGE, "kernel": SKEW, "down": (1, 1, 1)}, "down", "(1, 1, 1)"),
        (upfirdn2d, {"input": IMAGE, "kernel": SKEW, "pad": (1, 2, 3)}, "pad", "(1, 2, 3)"),
        (fused_leaky_relu, {"input": torch.zeros(2), "bias": torch.zeros(2)}, "input", "[2]"),
        (fused_leaky_relu, {"input": IMAGE, "bias": torch.zeros(3)}, "bias", "[3]"),
        (fused_leaky_relu, {"input": IMAGE.long()}, "input", "torch.int64"),
    ],
)
def test_what_it_cannot_take(function: Callable[..., object], arguments: dict[str, Any], named: str, got: str) -> None:
    with pytest.raises(KernelError, match="expected") as error:
        function(**arguments)
    expected, found = str(error.value).split("got", 1)
    assert named in expected
    assert got in f"got{found}"


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (upfirdn2d, "input kernel up down pad"),
        (fused_leaky_relu, "input bias negative_slope scale"),
        (FusedLeakyReLU, "channel bias negative_slope scale"),
    ],
)
def test_signatures(function: Callable[..., object], names: str) -> None:
    assert list(inspect.signature(function).parameters) == names.split()


def test_the_convolutions_have_one_switch() -> None:
    assert rosinality.conv2d_gradfix is nvidia.conv2d_gradfix
