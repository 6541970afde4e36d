"""modulated_conv2d's Triton kernels: derivatives, tracers, float16's range, and what is read of the image."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor

import tolerances
from sdx_kernels import NoiseKey, PackedWeight, Rgb, launch, modulated_conv2d, styled_layer
from sdx_kernels.cost import cost
from sdx_kernels.modulated_conv2d import autograd, fused
from sdx_kernels.modulated_conv2d.cost import loads_of_convolution
from sdx_kernels.random import normals
from sdx_kernels.testing import library_calls, record

BINOMIAL = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8


def _own_convolution() -> Any:
    rows = [row for row in launch.TABLE if row.kernel != "modulated_conv2d"]
    return mock.patch.object(launch, "TABLE", (launch.Row("modulated_conv2d", {"IMPLICIT": 1}), *rows))


@pytest.mark.parametrize("act", ["linear", "lrelu", "swish"])
def test_two_orders_of_derivatives_of_what_follows_the_convolution(act: str) -> None:
    y = torch.randn(2, 3, 2, 3, dtype=torch.float64, requires_grad=True)
    dcoef = torch.rand(2, 3, dtype=torch.float64).add(0.5).requires_grad_()
    noise = torch.randn(1, 1, 2, 3, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(3, dtype=torch.float64, requires_grad=True)

    def op(*tensors: Tensor) -> Tensor:
        result: Tensor = autograd.epilogue(*tensors, act, 1.5, 4.0)
        return result

    assert torch.autograd.gradcheck(op, (y, dcoef, noise, bias), fast_mode=True)
    assert torch.autograd.gradgradcheck(op, (y, dcoef, noise, bias), fast_mode=True)


@pytest.mark.parametrize("up", [1, 2])
def test_second_derivatives_agree_with_the_reference(up: int) -> None:
    shapes = (2, 3, 5, 4), (4, 3, 3, 3), (2, 3), (4,)
    tensors = tuple(torch.randn(shape, requires_grad=True) for shape in shapes)

    def second(impl: Any, *inputs: Tensor) -> tuple[Tensor, ...]:
        x, weight, styles, bias = inputs
        filter = BINOMIAL if up > 1 else None
        y = modulated_conv2d(x, weight, styles, up=up, padding=1, filter=filter, bias=bias, act="swish", impl=impl)
        first = torch.autograd.grad(y.square().sum(), inputs, create_graph=True)
        return torch.autograd.grad(sum(g.square().sum() for g in first), inputs)

    exact = second("reference", *(t.detach().double().requires_grad_() for t in tensors))
    for got, expected in zip(second("triton", *tensors), exact, strict=True):
        assert ((got - expected).norm() / expected.norm()).item() < 2e-6


def _layer(x: Tensor, weight: Tensor, styles: Tensor, bias: Tensor) -> Tensor:
    return modulated_conv2d(
        x, weight, styles, up=2, padding=1, filter=BINOMIAL, bias=bias, act="lrelu", clamp=2.0, impl="triton"
    )


@pytest.mark.parametrize("grad", [False, True])
def test_compiles_and_exports_whole(grad: bool) -> None:
    shapes = (2, 3, 5, 4), (4, 3, 3, 3), (2, 3), (4,)
    tensors = tuple(torch.randn(shape, requires_grad=grad) for shape in shapes)
    compiled = torch.compile(_layer, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(*tensors), _layer(*tensors))
    if grad:
        got = torch.autograd.grad(compiled(*tensors).square().sum(), tensors)
        for one, other in zip(got, torch.autograd.grad(_layer(*tensors).square().sum(), tensors), strict=True):
            torch.testing.assert_close(one, other)
        return

    class Layer(torch.nn.Module):
        def forward(self, *inputs: Tensor) -> Tensor:
            return _layer(*inputs)

    exported = torch.export.export(Layer(), tensors)
    assert torch.equal(exported.module()(*tensors), _layer(*tensors))


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")  # opcheck looks at it
def test_the_registered_ops_keep_their_promises() -> None:
    y, dcoef, bias, styles = torch.randn(2, 3, 4, 5), torch.rand(2, 3), torch.randn(3), torch.randn(2, 3)
    ops = torch.ops.sdx_kernels
    activation = "tanh", 1.5, None
    first, second, third = (t.clone().requires_grad_() for t in (y, dcoef, bias))
    torch.library.opcheck(ops.modulated_epilogue.default, (first, second, None, third, *activation))
    no_noise = None, [0, 0]
    follows = dcoef, *no_noise, bias, "relu", 0.2, 1.0, 0.5, styles
    torch.library.opcheck(ops.styled_conv.default, (y, torch.randn(3, 3, 3, 3), 1, 1, *follows))
    colours = torch.randn(3, 3), styles, bias, None, 1.0
    for after, rest in ((styles, colours), (None, colours), (styles, (None,) * 5)):
        given = y, torch.rand(2, 2), [1, 1], [4, 5], *follows[:-1], after, *rest
        torch.library.opcheck(ops.styled_epilogue.default, given)
    torch.library.opcheck(ops.noise.default, (torch.arange(2), torch.ones(1), 7, 2**31, 3, 5, 4, 5, 9))


def test_float16_holds_large_weights_and_styles() -> None:
    x, weight, styles = torch.randn(2, 40, 5, 5), torch.randn(6, 40, 3, 3) * 3e3, torch.randn(2, 40) * 1e3
    half = x.half(), weight.half(), styles
    got = modulated_conv2d(*half, padding=1, impl="triton")
    tolerances.check("modulated_conv2d", got, modulated_conv2d(*(t.double() for t in half), padding=1))
    packed = PackedWeight.of(half[1], dtype=torch.float16)
    size = styles.abs().amax(1, keepdim=True)
    prescaled = (half[0] * (styles / size)[:, :, None, None]).half()
    y, _ = styled_layer(prescaled, packed, packed.dcoef(styles) * size, act="linear", impl="triton")
    assert ((y.double() - got.double()).norm() / got.double().norm()).item() < 2e-3


def test_no_library_convolution_is_reached_from_our_own() -> None:
    tensors = torch.randn(1, 3, 5, 4), torch.randn(4, 3, 3, 3), torch.randn(1, 3), torch.randn(4)
    with library_calls() as library:
        _layer(*tensors)
    assert any("conv" in name for name in library if name.startswith("aten::"))  # the default's is the library's
    with _own_convolution(), library_calls() as own:
        _layer(*tensors)
    assert own["sdx_kernels::styled_conv"] == 1
    assert not [name for name in own if name.startswith(("aten::", "mkldnn")) and "conv" in name]


def test_what_lies_outside_of_the_roi_is_not_read() -> None:
    x, weight, styles, bias = torch.randn(1, 3, 12, 12), torch.randn(4, 3, 3, 3), torch.randn(1, 3), torch.randn(4)
    whole = _layer(x, weight, styles, bias)
    x[:, :, :3] = float("nan")  # rows 0 to 5 of the upsampled image; row 10 needs input rows from 4 on, less a margin
    part = modulated_conv2d(
        x, weight, styles, up=2, padding=1, filter=BINOMIAL, bias=bias, act="lrelu", clamp=2.0, roi=(10, 0, 24, 20),
        impl="triton",
    )  # fmt: skip
    torch.testing.assert_close(part, whole[:, :, 10:, :20], rtol=1e-5, atol=1e-5)


def test_nan_stays_within_its_sample() -> None:
    tensors = torch.randn(2, 3, 5, 4), torch.randn(4, 3, 3, 3), torch.randn(2, 3), torch.randn(4)
    tensors[0][0, 1, 2, 2] = float("nan")
    for context in (mock.patch.object(launch, "TABLE", launch.TABLE), _own_convolution()):
        with context:
            y = _layer(*tensors)
        assert bool(y[0].isnan().any())
        assert bool(y[1].isfinite().all())


def test_an_empty_batch() -> None:
    weight = torch.randn(4, 3, 3, 3, requires_grad=True)
    y = modulated_conv2d(torch.randn(0, 3, 5, 4), weight, torch.randn(0, 3), padding=1, impl="triton")
    assert y.shape == (0, 4, 5, 4)
    y.sum().backward()
    assert weight.grad is not None
    assert not weight.grad.any()


def test_noise_of_the_epilogue_is_the_hosts() -> None:
    index = torch.tensor([5, 2**40 + 3])
    key = NoiseKey(2**64 - 3, index, 2**32 - 1, offset=7, strength=1.0)
    _, weight, styles = None, torch.zeros(1, 1, 1, 1), torch.ones(2, 1)
    y = modulated_conv2d(torch.zeros(2, 1, 3, 5), weight, styles, noise=key, impl="triton")
    assert torch.equal(y.flatten(1), normals(2**64 - 3, 2**32 - 1, index, 15, offset=7))


@pytest.mark.parametrize("roi", [None, (1, 2, 3, 5)])
def test_noise_of_the_epilogue_in_a_window_is_that_of_the_whole(roi: tuple[int, int, int, int] | None) -> None:
    index = torch.tensor([5, 2**40 + 3])
    whole = normals(7, 3, index, 8 * 11, offset=4).view(2, 1, 8, 11)
    key = NoiseKey(7, index, 3, offset=4 + 2 * 11 + 3, pitch=11)
    weight, styles = torch.zeros(1, 1, 1, 1), torch.ones(2, 1)
    y = modulated_conv2d(torch.zeros(2, 1, 3, 5), weight, styles, noise=key, roi=roi, impl="triton")
    top, left, bottom, right = roi or (0, 0, 3, 5)
    assert torch.equal(y, whole[:, :, 2 + top : 2 + bottom, 3 + left : 3 + right])
    packed = PackedWeight.of(weight)
    x = torch.zeros(2, 1, 3, 5).contiguous(memory_format=torch.channels_last)
    y, _ = styled_layer(x, packed, torch.ones(2, 1), noise=key, act="linear", impl="triton")
    assert torch.equal(y, whole[:, :, 2:5, 3:8])


def test_two_configurations_of_a_kernel_agree() -> None:
    x, weight = torch.randn(2, 5, 9, 7), torch.randn(7, 5, 3, 3)
    rest = (None, None, fused.NO_NOISE, None, "tanh", 0.2, 1.0, None, None)
    plain = fused.convolution(x, weight, 1, 1, *rest)
    other = launch.Row("conv_kernel", {"BLOCK_M": 16, "BLOCK_N": 16, "BLOCK_K": 16})
    with mock.patch.object(launch, "TABLE", (other, *launch.TABLE)):
        assert torch.equal(fused.convolution(x, weight, 1, 1, *rest), plain)  # the chunks of the inputs are the same
    colours = torch.randn(3, 5), torch.randn(2, 5), torch.randn(3), None, 1.0
    arguments = (x, torch.rand(3, 3), [1, 1], [9, 7], torch.rand(2, 5), *rest[1:8])
    y, image = fused.epilogue(*arguments, None, *colours)
    other = launch.Row("epilogue_kernel_low_pass", {"BLOCK_P": 16, "SIDE": 8, "BLOCK_C": 1})
    with mock.patch.object(launch, "TABLE", (other, *launch.TABLE)):
        again, image_again = fused.epilogue(*arguments, None, *colours)
    assert torch.equal(again, y)
    torch.testing.assert_close(image_again, image)  # one channel at a time instead of two: the order differs


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("colours", [False, True])
@pytest.mark.parametrize("up", [1, 2])
def test_the_cost_is_what_the_kernels_move(up: int, colours: bool, own: bool) -> None:
    n, inputs, outputs, height, width = 2, 5, 37, 9, 13
    x = torch.randn(n, inputs, height, width).contiguous(memory_format=torch.channels_last)
    packed = PackedWeight.of(torch.randn(outputs, inputs, 3, 3), up=up, filter=BINOMIAL if up > 1 else None)
    vectors = torch.randn(n, outputs)
    bias, own_styles = torch.randn(outputs), torch.randn(n, outputs)
    rgb = Rgb(torch.randn(3, outputs), own_styles, torch.zeros(3), torch.zeros(n, 3, height * up, width * up))
    key = NoiseKey(1, torch.arange(n), 2)
    with _own_convolution() if own else nullcontext(), record() as recording:
        styled_layer(
            x, packed, vectors.abs(), noise=key, bias=bias, next_styles=vectors, rgb=rgb if colours else None,
            impl="triton",
        )  # fmt: skip
    options = {"outputs": outputs, "up": up}
    shape = n, inputs, height, width
    expected = cost("styled_layer", shape, torch.float32, colours=colours, own=own, **options)
    convolved = packed.weight.numel() * 4 + x.numel() * 4
    drawn = recording.of("noise_kernel").bytes()
    if own:
        parts = [launch for launch in recording.each if launch.kernel == "conv_kernel"]
        loads = sum(launch.loads["x"].issued + launch.loads["weight"].issued for launch in parts)
        assert loads == loads_of_convolution(shape, torch.float32, **options)
        assert len(parts) == up**2
        convolved = loads
    after = [launch for launch in recording.each if launch.kernel in ("epilogue_kernel", "strip_kernel")]
    assert len(after) == (not own or up == 2 or colours)
    if after:
        written = n * outputs * (height if up == 1 else 2 * height + 1) * (width if up == 1 else 2 * width + 1) * 4
        assert expected.bytes_kernel == convolved + written + after[0].bytes() + drawn
    assert expected.launches == len(recording.each) + (not own)
    assert expected.flops >= 2 * 9 * n * inputs * outputs * height * width
    assert expected.bytes_min < expected.bytes_kernel
