"""What follows a convolution, cut every way: strips with borders anywhere, noise in runs, colours of few channels."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv2d, leaky_relu, pad

import tolerances
from sdx_kernels import NoiseKey, PackedWeight, Rgb, launch, styled_layer
from sdx_kernels.modulated_conv2d import fused, tiles
from sdx_kernels.noise import drawn
from sdx_kernels.testing import Recording, record

SLOPING = torch.tensor([1.0, 3.0, 2.0, -0.5]) / 8
DOWN, ACROSS = [0.25, 1.0, -0.5, 2.0], [1.0, 0.5, 0.75, -0.125]


def _recorded(row: launch.Row, call: Any) -> tuple[Any, Recording]:
    """Run a call with a row of its own; a load or store beyond the tensors raises."""
    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(launch, "TABLE", (row, *launch.TABLE)))
        stack.enter_context(mock.patch.object(tiles, "_PROGRAMS", 1))
        recording = stack.enter_context(record())
        return call(), recording


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize(
    ("steps", "pads", "size"),
    [
        (1, [1, 1], [6, 8]),
        (2, [0, 2], [5, 9]),  # one row more than whole strips, and one column
        (4, [3, 0], [9, 7]),
        (4, [-1, -2], [4, 3]),  # the low-pass starts within the image
        (8, [2, 3], [11, 13]),  # it ends beyond the image
        (32, [1, 1], [6, 8]),
    ],
)
def test_a_strip_is_the_separable_low_pass(steps: int, pads: list[int], size: list[int], dtype: torch.dtype) -> None:
    n, channels = 2, 19
    y = torch.randn(n, channels, 7, 9).to(dtype).contiguous(memory_format=torch.channels_last)
    dcoef, bias, styles = torch.rand(n, channels) + 0.5, torch.randn(channels), torch.randn(n, channels)
    noise = torch.randn(n, 1, size[0] + 2, size[1] + 3)
    place = size[1] + 3 + 2, size[1] + 3  # row 1, column 2

    def call() -> Tensor:
        result: Tensor = fused.epilogue(
            y, torch.tensor(DOWN + ACROSS), pads, size, dcoef, noise, place, bias, "lrelu", 0.2, 1.5, 2.0, styles,
            None, None, None, None, None,
        )[0]  # fmt: skip
        return result

    got, recording = _recorded(launch.Row("strip_kernel", {"STEPS": steps, "SIDE": 4, "BLOCK_C": 16}), call)
    assert recording.launches == {"strip_kernel": 1}
    stored = recording.of("strip_kernel").stores["out"]
    assert bool((stored.times == 1).all())
    exact = y.double()
    beyond = [length + 3 - had - before for length, had, before in zip(size, y.shape[2:], pads, strict=True)]
    exact = pad(exact, (pads[1], beyond[1], pads[0], beyond[0]))
    taps = torch.outer(torch.tensor(DOWN), torch.tensor(ACROSS)).double()
    exact = conv2d(exact, taps.expand(channels, 1, 4, 4), groups=channels) * dcoef[:, :, None, None]
    exact = exact + noise[:, :, 1 : 1 + size[0], 2 : 2 + size[1]] + bias[:, None, None]
    exact = (leaky_relu(exact, 0.2) * 1.5).clamp(-2, 2) * styles[:, :, None, None]
    tolerances.check("modulated_conv2d", got, exact)


@pytest.mark.parametrize("seed", [7, 2**64 - 3])
@pytest.mark.parametrize("offset", [0, 1, 6, 7, 2**33 + 3])
@pytest.mark.parametrize(("height", "width", "pitch"), [(3, 21, None), (3, 21, 22), (5, 4, 13), (1, 1, 1)])
def test_noise_in_runs_of_several_programs(height: int, width: int, pitch: int | None, offset: int, seed: int) -> None:
    index = torch.tensor([5, -2, 2**40 + 3])
    key = NoiseKey(seed, index, 2**32 - 1, offset=offset, strength=0.5, pitch=pitch)
    row = launch.Row("noise_kernel", {"BLOCK": 2})
    got, recording = _recorded(row, lambda: drawn(key, height, width))
    assert torch.equal(got, key.image(height, width))
    assert bool((recording.of("noise_kernel").stores["out"].times == 1).all())
    plain, _ = _recorded(row, lambda: drawn(key, height, width, with_strength=False))
    assert torch.equal(plain * 0.5, got)


def _layer(taps: Tensor | None, up: int, inputs: int, outputs: int, colours: bool, dtype: torch.dtype) -> Any:
    x = torch.randn(2, inputs, 5, 4).to(dtype).contiguous(memory_format=torch.channels_last)
    weight = torch.randn(outputs, inputs, 3, 3)
    styles, dcoef = torch.randn(2, outputs), torch.rand(2, inputs) + 0.5
    rgb = torch.randn(3, outputs) / outputs**0.5, torch.randn(2, outputs), torch.randn(3)
    image = torch.randn(2, 3, 5 * up, 4 * up)
    noise = torch.randn(2, 1, 5 * up, 4 * up)

    def call(impl: str, exact: bool = False) -> tuple[Tensor, ...]:
        kind = torch.float64 if exact else dtype
        vectors = torch.float64 if exact else torch.float32
        packed = PackedWeight.of(weight.to(vectors), up=up, filter=taps, dtype=kind)
        y, after = styled_layer(
            x.to(kind),
            packed,
            packed.dcoef(dcoef).to(vectors),
            noise=noise.to(vectors),
            clamp=1.5,
            next_styles=styles.to(vectors),
            rgb=Rgb(*(t.to(vectors) for t in (*rgb, image)), 0.9) if colours else None,
            impl=impl,
        )
        return (y,) if after is None else (y, after.to(kind))

    return call


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("colours", [False, True])
@pytest.mark.parametrize(
    ("taps", "up"),
    [
        (SLOPING, 2),
        (SLOPING, 3),
        (torch.outer(torch.tensor(DOWN), torch.tensor(ACROSS)) / 4, 2),
        (torch.tensor([[1.0, 0.5, 0.0, 2.0], [1.0, 1.0, 0.0, 3.0], [0.0, 1.0, 0.0, 1.0], [2.0, 0.0, 1.0, 0.0]]) / 8, 2),
        (torch.tensor([1.0, 2.0, 0.5]) / 4, 2),
        (torch.tensor([[1.0, 2.0, 0.5, -1.0, 1.0], [0.5, 0.25, 1.0, 2.0, 0.0]]) / 8, 3),
        (None, 2),
    ],
)
def test_a_layer_with_any_filter(taps: Tensor | None, up: int, colours: bool, dtype: torch.dtype) -> None:
    call = _layer(taps, up, 3, 17, colours, dtype)
    for got, exact in zip(call("triton"), call("reference", exact=True), strict=True):
        tolerances.check("styled_layer", got, exact)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("up", [1, 2])
@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (1, 33), (3, 1), (3, 2)])
def test_a_layer_of_few_channels(inputs: int, outputs: int, up: int, dtype: torch.dtype) -> None:
    call = _layer(SLOPING if up > 1 else None, up, inputs, outputs, True, dtype)
    for got, exact in zip(call("triton"), call("reference", exact=True), strict=True):
        tolerances.check("styled_layer", got, exact)


@pytest.mark.parametrize("colours", [False, True])
@pytest.mark.parametrize("up", [1, 2])
def test_an_empty_batch_of_a_layer(up: int, colours: bool) -> None:
    packed = PackedWeight.of(torch.randn(5, 3, 3, 3), up=up, filter=SLOPING if up > 1 else None)
    rgb = Rgb(torch.randn(3, 5), torch.randn(0, 5), torch.randn(3))
    y, image = styled_layer(
        torch.randn(0, 3, 5, 4),
        packed,
        torch.ones(0, 5),
        noise=NoiseKey(1, torch.zeros(0, dtype=torch.int64), 2),
        rgb=rgb if colours else None,
        impl="triton",
    )
    assert y.shape == (0, 5, 5 * up, 4 * up)
    assert (None if image is None else image.shape) == ((0, 3, 5 * up, 4 * up) if colours else None)


@pytest.mark.parametrize("channels", [1, 2, 33, 512])
@pytest.mark.parametrize("rank", [0, 1, 2])
@pytest.mark.parametrize("is_pixelwise", [False, True])
@pytest.mark.parametrize("bits", [16, 32])
def test_colours_have_the_channels_that_a_matrix_instruction_takes(
    bits: int, is_pixelwise: bool, rank: int, channels: int
) -> None:
    cut = tiles.tiles_of(
        (2, channels, 16, 16), is_pixelwise=is_pixelwise, low_pass_rank=rank, colours=True, bits=bits, arch=90
    )
    assert cut.row.blocks["BLOCK_C"] >= 16
    assert cut.row.blocks["BLOCK_P"] >= 16
    assert cut.groups == 1
