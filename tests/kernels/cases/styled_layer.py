"""Calls of styled_layer, by either convolution."""

from __future__ import annotations

from typing import Any
from unittest import mock

import torch
from torch import Tensor

from cases import HALF_AND_FULL, Case, normal
from sdx_kernels import NoiseKey, PackedWeight, Rgb, launch, styled_layer
from sdx_kernels.modulated_conv2d import tiles

SLOPING = torch.tensor([1.0, 3.0, 2.0, -0.5]) / 8  # turned round it is another one
SQUARE = torch.tensor([[1.0, 2.0, 0.0], [0.0, 3.0, 1.0]]) / 4


def _make(inputs: int, outputs: int) -> Any:
    def make(dtype: torch.dtype) -> tuple[Tensor, ...]:
        x = normal(2, inputs, 9, 7, seed=1, dtype=dtype, grad=False).contiguous(memory_format=torch.channels_last)
        full = torch.float64 if dtype == torch.float64 else torch.float32
        rest = ((outputs, inputs, 3, 3), (2, inputs), (outputs,), (2, outputs), (3, outputs), (2, outputs))
        return x, *(normal(*shape, seed=2 + i, dtype=full, grad=False) for i, shape in enumerate(rest))

    return make


def _call(own: bool, up: int, noise: bool, colours: bool, clamp: float | None, taps: Tensor = SLOPING) -> Any:
    table = [row for row in launch.TABLE if row.kernel != "modulated_conv2d"]
    table.insert(0, launch.Row("modulated_conv2d", {"IMPLICIT": int(own)}))

    def call(x: Tensor, weight: Tensor, styles: Tensor, bias: Tensor, *rest: Tensor, impl: str) -> Any:
        packed = PackedWeight.of(weight, up=up, filter=taps.to(x.device) if up > 1 else None, dtype=x.dtype)
        n, side = len(x), (up * x.shape[2], up * x.shape[3])
        image = normal(n, 3, *side, seed=20, dtype=weight.dtype, grad=False).to(x.device)
        rgb = Rgb(rest[1], rest[2] / len(weight) ** 0.5, weight.new_tensor([0.1, 0.2, -0.3]), image, clamp)
        # Whole strips, however small the image.
        with mock.patch.object(launch, "TABLE", tuple(table)), mock.patch.object(tiles, "_PROGRAMS", 1):
            y, image_after = styled_layer(
                x,
                packed,
                packed.dcoef(styles).to(weight.dtype),
                noise=NoiseKey(7, torch.tensor([4, 1], device=x.device), 3, strength=0.5) if noise else None,
                bias=bias,
                clamp=clamp,
                next_styles=rest[0],
                rgb=rgb if colours else None,
                impl=impl,
            )
        # The colours are a product in the format of x.
        return (y,) if image_after is None else (y, image_after.to(x.dtype))

    return call


CASES = [
    Case(
        f"styled_layer-{name}",
        "styled_layer",
        _make(*sizes),
        _call(*options),
        launches,
        None,
        halo=1.35,  # a tile of a convolution reads its borders and the weight anew
        dtypes=HALF_AND_FULL,
    )
    for name, sizes, options, launches in (
        ("library", (5, 7), (False, 1, True, True, None), {"epilogue_kernel": 1, "noise_kernel": 1}),
        ("library-129", (3, 129), (False, 1, False, True, 0.7), {"epilogue_kernel": 1}),
        ("library-up", (5, 63), (False, 2, True, True, 0.7), {"epilogue_kernel": 1, "noise_kernel": 1}),
        ("library-of-one-channel", (1, 5), (False, 2, False, True, None), {"epilogue_kernel": 1}),
        ("library-up-square", (5, 7), (False, 2, False, False, None, SQUARE), {"epilogue_kernel": 1}),
        ("library-strip", (5, 63), (False, 2, True, False, 0.7), {"strip_kernel": 1, "noise_kernel": 1}),
        ("own", (5, 100), (True, 1, True, False, None), {"conv_kernel": 1, "noise_kernel": 1}),
        (
            "own-colours",
            (33, 7),
            (True, 1, True, True, 0.7),
            {"conv_kernel": 1, "epilogue_kernel": 1, "noise_kernel": 1},
        ),
        ("own-up", (5, 7), (True, 2, False, True, None), {"conv_kernel": 4, "epilogue_kernel": 1}),
    )
]


def _compiled(dtype: torch.dtype, inputs: int, outputs: int, options: tuple[Any, ...]) -> None:
    shapes = ((outputs, inputs, 3, 3), (2, inputs), (outputs,), (2, outputs), (3, outputs), (2, outputs))
    x = torch.zeros(2, inputs, 16, 16, dtype=dtype).contiguous(memory_format=torch.channels_last)
    _call(*options)(x, *map(torch.zeros, shapes), impl="triton")


COMPILED = [
    (f"styled_layer {name}", lambda dtype, sizes=sizes, options=options: _compiled(dtype, *sizes, options))
    for name, sizes, options in (
        ("64, colours", (64, 64), (False, 1, True, True, 256.0)),
        ("32, colours", (64, 32), (False, 1, True, True, 256.0)),
        ("64, up", (64, 64), (False, 2, True, False, 256.0)),
        ("32, up", (64, 32), (False, 2, True, False, 256.0)),
        ("64, own convolution", (64, 64), (True, 1, True, False, 256.0)),
        ("128, own convolution", (64, 128), (True, 1, True, False, 256.0)),
        ("128, own convolution, up", (64, 128), (True, 2, True, False, 256.0)),
    )
]
"""Calls at the channels of a real generator, for the compile gate."""
