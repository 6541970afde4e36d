"""Calls of modulated_conv2d, with gradients and without, and by either convolution."""

from __future__ import annotations

from typing import Any
from unittest import mock

import torch
from torch import Tensor

from cases import HALF_AND_FULL, Case, normal
from sdx_kernels import NoiseKey, launch, modulated_conv2d
from sdx_kernels.modulated_conv2d import tiles

BINOMIAL = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
SLOPING = torch.tensor([1.0, 3.0, 2.0, -0.5]) / 8  # a sequence turned round is another one
SQUARE = torch.tensor([[1.0, 2.0, 0.0, 1.0], [0.0, 3.0, 1.0, 2.0], [2.0, 0.5, -1.0, 1.0], [1.0, 0.0, 1.0, 4.0]]) / 16
SKEWED = torch.tensor([[1.0, 2.0, -1.0], [0.5, 4.0, 1.0]]) / 8
INDEX = torch.tensor([3, 2**40])
LIBRARY = {"epilogue_kernel": 2}  # of x by its styles, and of what the convolution gives
NOISE = {"noise_kernel": 1}
STRIP = {"epilogue_kernel": 1, "strip_kernel": 1}  # the latter with the low-pass of an upsampling
OWN = {"epilogue_kernel": 1, "conv_kernel": 1}
# The lengths are odd, and 129 channels are more than a block of any kernel.
WIDE = {"inputs": 33, "outputs": 129, "height": 3, "width": 5}


def _tensors(
    grad: bool, channels_last: bool, inputs: int = 5, outputs: int = 7, height: int = 9, width: int = 7, kernel: int = 3
) -> Any:
    def make(dtype: torch.dtype) -> tuple[Tensor, ...]:
        x = normal(2, inputs, height, width, seed=1, dtype=dtype, grad=False)
        if channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        weight = normal(outputs, inputs, kernel, kernel, seed=2, dtype=dtype, grad=grad)
        styles = normal(2, inputs, seed=3, dtype=torch.float32, grad=grad)
        return x.requires_grad_(grad), weight, styles, normal(outputs, seed=4, dtype=torch.float32, grad=grad)

    return make


def _call(own: bool = False, noise: str | None = None, **options: Any) -> Any:
    table = [row for row in launch.TABLE if row.kernel != "modulated_conv2d"]
    table.insert(0, launch.Row("modulated_conv2d", {"IMPLICIT": int(own)}))

    def call(x: Tensor, weight: Tensor, styles: Tensor, bias: Tensor, impl: str) -> Tensor:
        given: Any = None
        if noise == "key":
            given = NoiseKey(2**63 + 1, INDEX.to(x.device), 9, offset=5, strength=0.3)
        elif noise == "tensor":
            side = x.shape[2] * options.get("up", 1), x.shape[3] * options.get("up", 1)
            given = normal(2, 1, *side, seed=5, dtype=torch.float32, grad=False).to(x.device)
        moved = {key: value.to(x.device) if isinstance(value, Tensor) else value for key, value in options.items()}
        # Whole strips, however small the image.
        with mock.patch.object(launch, "TABLE", tuple(table)), mock.patch.object(tiles, "_PROGRAMS", 1):
            return modulated_conv2d(x, weight, styles, bias=bias, noise=given, impl=impl, **moved)

    return call


def _forward(name: str, launches: dict[str, int], call: Any, channels_last: bool = True, **sizes: int) -> Case:
    make = _tensors(False, channels_last, **sizes)
    return Case(f"modulated_conv2d-{name}", "modulated_conv2d", make, call, launches, None, halo=_HALO)


# The tiles of a convolution and of a low-pass read their borders, and a small layer's its whole weight, anew.
_HALO = 1.15

CASES = [
    *(
        _forward(
            f"{'own' if own else 'library'}-{'channels_last' if last else 'nchw'}",
            (OWN if own else LIBRARY) | NOISE,
            _call(own, "key", padding=1, act="lrelu", clamp=0.9),
            last,
        )
        for own in (False, True)
        for last in (False, True)
    ),
    *(
        _forward(
            f"{'own' if own else 'library'}-up",
            STRIP | ({"conv_kernel": 4} if own else {}),
            _call(own, "tensor", up=2, padding=1, filter=SLOPING, act="lrelu", flip_weight=False),
        )
        for own in (False, True)
    ),
    _forward("own-rgb", OWN, _call(True, padding=0, demodulate=False, clamp=0.5), kernel=1, outputs=3),
    _forward("own-wide", OWN, _call(True, "tensor", padding=1, act="swish"), **WIDE),
    _forward("library-wide", LIBRARY, _call(False, "tensor", padding=1, act="tanh"), **WIDE),
    _forward("library-up3", LIBRARY, _call(False, up=3, filter=SKEWED, padding=2), False),
    _forward(
        "own-roi", {"epilogue_kernel": 2, "conv_kernel": 1} | NOISE, _call(True, "key", padding=1, roi=(2, 3, 8, 7))
    ),
    _forward("library-roi", LIBRARY, _call(False, "tensor", padding=1, roi=(2, 3, 8, 7), act="lrelu")),
    _forward("library-up3-strip", STRIP, _call(False, up=3, filter=SLOPING, padding=2)),
    _forward("library-up-nchw", LIBRARY, _call(False, up=2, filter=SLOPING, padding=1, clamp=0.9), False),
    _forward("library-up-square", LIBRARY, _call(False, up=2, filter=SQUARE, padding=1, act="lrelu")),
    *(
        _forward(
            f"library-up-roi-{noise}",
            STRIP | (NOISE if noise == "key" else {}),
            _call(False, noise, padding=1, up=2, filter=SLOPING, roi=(5, 1, 13, 9), act="relu"),
        )
        for noise in ("key", "tensor")
    ),
    *(
        Case(
            f"modulated_conv2d-grad-{name}",
            "modulated_conv2d",
            _tensors(True, last, kernel=options.pop("kernel", 3)),
            _call(**options),
            {"epilogue_kernel": 2} | (NOISE if options.get("noise") == "key" else {}),
            {"bias_act_kernel": 2},
            dtypes=dtypes,
        )
        for name, last, options, dtypes in (
            # Beside a kink, the piece that a value falls on hangs on the rounding of the convolution.
            ("lrelu", True, {"noise": "tensor", "padding": 1, "act": "lrelu", "clamp": 0.9}, (torch.float32,)),
            ("swish", False, {"noise": "key", "padding": 1, "act": "swish", "roi": (1, 2, 6, 7)}, HALF_AND_FULL),
            ("rgb", True, {"demodulate": False, "act": "softplus", "kernel": 1}, HALF_AND_FULL),
        )
    ),
]


def _compiled(dtype: torch.dtype) -> None:
    x, weight = torch.zeros(2, 64, 16, 16, dtype=dtype), torch.zeros(64, 64, 3, 3, dtype=dtype)
    noise = torch.zeros(2, 1, 16, 16)
    modulated_conv2d(
        x, weight, torch.zeros(2, 64), padding=1, noise=noise, bias=torch.zeros(64), act="swish", impl="triton"
    )


COMPILED = [("modulated_conv2d swish, NCHW", _compiled)]
"""A call at the channels of a real generator, for the compile gate."""
