"""The frozen layer against modulated_conv2d in float64, cut at the other place."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import tolerances
from sdx_kernels import KernelError, NoiseKey, PackedWeight, Rgb, modulated_conv2d, styled_layer

BINOMIAL = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8


def _layer(up: int = 1, n: int = 3, inputs: int = 6, outputs: int = 5) -> dict[str, Tensor]:
    torch.manual_seed(up)
    side = 4 * up
    return {
        "x": torch.randn(n, inputs, 4, 4),
        "weight": torch.randn(outputs, inputs, 3, 3),
        "styles": torch.randn(n, inputs),
        "noise": torch.randn(n, 1, side, side),
        "bias": torch.randn(outputs),
        "next": torch.randn(n, outputs),
        "rgb_weight": torch.randn(3, outputs),
        "rgb_styles": torch.randn(n, outputs),
        "rgb_bias": torch.randn(3),
        "image": torch.randn(n, 3, side, side),
    }


def _oracle(p: dict[str, Tensor], up: int, clamp: float | None, noise: bool) -> tuple[Tensor, Tensor]:
    p = {name: tensor.double() for name, tensor in p.items()}
    y = modulated_conv2d(
        p["x"], p["weight"], p["styles"], up=up, padding=1, filter=BINOMIAL if up > 1 else None,
        noise=p["noise"] if noise else None, bias=p["bias"], act="lrelu", clamp=clamp,
    )  # fmt: skip
    colours = modulated_conv2d(
        y, p["rgb_weight"][:, :, None, None], p["rgb_styles"], demodulate=False, bias=p["rgb_bias"], clamp=clamp
    )
    return y * p["next"][:, :, None, None], p["image"] + colours


def _fast(p: dict[str, Tensor], up: int, clamp: float | None, noise: bool, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    packed = PackedWeight.of(p["weight"], up=up, filter=BINOMIAL if up > 1 else None, dtype=dtype)
    x = (p["x"] * p["styles"][:, :, None, None]).to(dtype).contiguous(memory_format=torch.channels_last)
    y, image = styled_layer(
        x, packed, packed.dcoef(p["styles"]),
        noise=p["noise"] if noise else None, bias=p["bias"], clamp=clamp, next_styles=p["next"],
        rgb=Rgb(p["rgb_weight"], p["rgb_styles"], p["rgb_bias"], p["image"], clamp),
    )  # fmt: skip
    assert image is not None
    return y, image


@pytest.mark.parametrize("noise", [False, True])
@pytest.mark.parametrize("clamp", [None, 0.7])
@pytest.mark.parametrize("up", [1, 2])
def test_it_is_the_layer(up: int, clamp: float | None, noise: bool) -> None:
    p = _layer(up)
    for got, oracle in zip(_fast(p, up, clamp, noise, torch.float32), _oracle(p, up, clamp, noise), strict=True):
        tolerances.check("styled_layer", got, oracle)


@pytest.mark.parametrize("outputs", [5, 16, 24, 40, 64])
@pytest.mark.parametrize("noise", [False, True])
@pytest.mark.parametrize("up", [1, 2])
def test_bfloat16_with_any_number_of_channels(up: int, noise: bool, outputs: int) -> None:
    p = _layer(up, outputs=outputs)
    p = {name: tensor.bfloat16().float() for name, tensor in p.items()}  # the oracle sees what is rounded here
    p["styles"] = torch.ones_like(p["styles"]) * 2  # so that x times its styles needs no rounding
    p["rgb_styles"] /= outputs**0.5
    for got, oracle in zip(_fast(p, up, None, noise, torch.bfloat16), _oracle(p, up, None, noise), strict=True):
        tolerances.check("styled_layer", got.bfloat16(), oracle)


def test_a_filter_without_upsampling_is_refused() -> None:
    with pytest.raises(KernelError, match="expected a filter with up above 1 alone, got one with up=1"):
        PackedWeight.of(torch.ones(3, 2, 3, 3), filter=BINOMIAL)


@pytest.mark.parametrize(
    "taps", [torch.tensor([0.1, 0.2, 0.3, 0.4]), torch.rand(4, 4), torch.rand(3), torch.rand(2, 5)]
)
def test_a_filter_that_bfloat16_does_not_hold_and_other_lengths(taps: Tensor) -> None:
    p = _layer(2)
    p = {name: tensor.bfloat16().float() for name, tensor in p.items()}
    for dtype in (torch.float32, torch.bfloat16):
        packed = PackedWeight.of(p["weight"], up=2, filter=taps, dtype=dtype)
        y, _ = styled_layer(p["x"].to(dtype), packed, packed.dcoef(torch.ones(3, 6)))
        p64 = {name: tensor.double() for name, tensor in p.items()}
        oracle = modulated_conv2d(
            p64["x"], p64["weight"], torch.ones(3, 6).double(), up=2, padding=1, filter=taps.double(), act="lrelu"
        )
        tolerances.check("styled_layer", y, oracle)


def test_a_style_out_of_half_range_is_divided_out() -> None:
    """x scaled by styles / m and dcoef times m is the same layer."""
    p = _layer()
    packed = PackedWeight.of(p["weight"])
    m = p["styles"].abs().amax(1, keepdim=True)
    plain, _ = styled_layer(p["x"] * p["styles"][:, :, None, None], packed, packed.dcoef(p["styles"]))
    scaled, _ = styled_layer(p["x"] * (p["styles"] / m)[:, :, None, None], packed, packed.dcoef(p["styles"]) * m)
    tolerances.check("styled_layer", scaled, plain.double())


def test_an_image_does_not_depend_on_its_batch_and_nothing_that_came_in_changes() -> None:
    p = _layer()
    before = {name: tensor.clone() for name, tensor in p.items()}
    whole = _fast(p, 1, None, True, torch.float32)
    part = _fast({k: v[1:2] if len(v) == 3 and k not in ("rgb_weight", "rgb_bias") else v for k, v in p.items()},
                 1, None, True, torch.float32)  # fmt: skip
    for a, b in zip(whole, part, strict=True):
        torch.testing.assert_close(a[1:2], b, rtol=1e-6, atol=1e-6)
    assert all(torch.equal(before[name], p[name]) for name in p)


def test_no_gradient_and_no_batch() -> None:
    p = _layer()
    packed = PackedWeight.of(p["weight"].requires_grad_())
    y, image = styled_layer(p["x"][:0], packed, packed.dcoef(p["styles"][:0]))
    assert y.shape == (0, 5, 4, 4)
    assert image is None
    assert not styled_layer(p["x"].requires_grad_(), packed, packed.dcoef(p["styles"]))[0].requires_grad


@pytest.mark.parametrize(
    ("options", "named"),
    [({"act": "swish"}, "'swish'"), ({"gain": -1.0}, "-1.0"), ({"gain": 0.0}, "0.0"), ({"impl": "cuda"}, "'cuda'")],
)
def test_what_it_cannot_take(options: dict[str, Any], named: str) -> None:
    p = _layer()
    packed = PackedWeight.of(p["weight"])
    with pytest.raises(KernelError, match="styled_layer: expected") as error:
        styled_layer(p["x"], packed, packed.dcoef(p["styles"]), **options)
    assert named in str(error.value)


def test_x_has_the_dtype_of_the_packed_weight() -> None:
    p = _layer()
    packed = PackedWeight.of(p["weight"], dtype=torch.float16)
    with pytest.raises(KernelError, match=r"expected x in torch\.float16 as packed, got torch\.float32"):
        styled_layer(p["x"], packed, packed.dcoef(p["styles"]))


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("x", (3, 5, 4, 4), r"expected x \[N, 6, H, W\], got \[3, 5, 4, 4\]"),
        ("dcoef", (3, 4), r"expected dcoef \[3, 5\], got \[3, 4\]"),
        ("noise", (2, 1, 4, 4), r"expected noise \[4, 4\] or \[1, 1, 4, 4\] or \[3, 1, 4, 4\], got \[2, 1, 4, 4\]"),
        ("bias", (6,), r"expected bias \[5\], got \[6\]"),
        ("next", (3, 6), r"expected next_styles \[3, 5\], got \[3, 6\]"),
        ("rgb_weight", (5, 3), r"expected rgb\.weight \[3, 5\], got \[5, 3\]"),
        ("rgb_styles", (1, 5), r"expected rgb\.styles \[3, 5\], got \[1, 5\]"),
        ("rgb_bias", (1,), r"expected rgb\.bias \[3\], got \[1\]"),
        ("image", (3, 3, 2, 2), r"expected rgb\.image \[3, 3, 4, 4\], got \[3, 3, 2, 2\]"),
    ],
)
@pytest.mark.parametrize("impl", ["reference", "triton"])
def test_a_shape_that_does_not_fit_is_named(impl: Any, name: str, shape: tuple[int, ...], message: str) -> None:
    p = _layer()
    p["dcoef"] = torch.rand(3, 5)
    p[name] = torch.rand(shape)
    with pytest.raises(KernelError, match=message):
        styled_layer(
            p["x"], PackedWeight.of(p["weight"]), p["dcoef"], noise=p["noise"], bias=p["bias"], next_styles=p["next"],
            rgb=Rgb(p["rgb_weight"], p["rgb_styles"], p["rgb_bias"], p["image"]), impl=impl,
        )  # fmt: skip


def test_a_key_or_colours_that_do_not_fit_are_named() -> None:
    p = _layer()
    packed, dcoef = PackedWeight.of(p["weight"]), torch.rand(3, 5)
    with pytest.raises(KernelError, match=r"the noise key's index \[3\], got \[2\]"):
        styled_layer(p["x"], packed, dcoef, noise=NoiseKey(1, torch.arange(2), 3))
    with pytest.raises(KernelError, match=r"int64 index, got torch\.int32"):
        styled_layer(p["x"], packed, dcoef, noise=NoiseKey(1, torch.arange(3, dtype=torch.int32), 3))
    elsewhere = Rgb(p["rgb_weight"].to("meta"), p["rgb_styles"], p["rgb_bias"])
    with pytest.raises(KernelError, match=r"expected rgb\.weight on cpu as x, got meta"):
        styled_layer(p["x"], packed, dcoef, rgb=elsewhere)
