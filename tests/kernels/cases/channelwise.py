"""Calls of channelwise."""

from __future__ import annotations

import torch
from torch import Tensor

from cases import Case, normal
from sdx_kernels.channelwise import channelwise

KERNEL = {"channelwise_kernel": 1}
EVERY = (torch.float32, torch.float16, torch.bfloat16)  # values are widened as soon as they are loaded
FULL = torch.float32
LAST = torch.channels_last


def _image(*shape: int, seed: int, dtype: torch.dtype) -> Tensor:
    return normal(*shape, seed=seed, dtype=dtype, grad=False).contiguous(memory_format=LAST)


def _channels(count: int, seed: int, dtype: torch.dtype = FULL) -> Tensor:
    return normal(count, seed=seed, dtype=dtype, grad=False)


def _case(name: str, *shape: int, slope: bool = False, added: bool = False, halo: float = 1.05) -> Case:
    def make(dtype: torch.dtype) -> tuple[Tensor, ...]:
        given = [_image(*shape, seed=1, dtype=dtype), _channels(shape[1], 2)]
        return (
            *given,
            *([_channels(shape[1], 3)] if slope else []),
            *([_image(*shape, seed=4, dtype=dtype)] if added else []),
        )

    def call(x: Tensor, bias: Tensor, *rest: Tensor, impl: str) -> Tensor:
        return channelwise(x, bias, slope=rest[0] if slope else None, added=rest[-1] if added else None, impl=impl)

    return Case(f"channelwise-{name}", "channelwise", make, call, KERNEL, None, halo, dtypes=EVERY)


CASES = [
    _case("bias", 2, 63, 9, 7),
    _case("slope", 3, 64, 9, 7, slope=True),
    _case("added", 2, 32, 11, 9, added=True),
    _case("slope and added", 3, 100, 7, 5, slope=True, added=True),
    # Each of five programs reads the bias and slope of its channels, of which an image of two pixels holds few less.
    _case("wider than a program", 1, 4100, 2, 1, slope=True, added=True, halo=1.4),
    _case("one channel", 2, 1, 63, 33, slope=True),
    _case("one pixel", 3, 129, 1, 1, slope=True),
    Case(
        "channelwise-strided",
        "channelwise",
        lambda dtype: (
            normal(2, 24, 5, 9, seed=5, dtype=dtype, grad=False),
            _channels(24, 6, dtype),
            _channels(12, 7, dtype),
            normal(9, 5, 12, 2, seed=8, dtype=dtype, grad=False),
        ),
        lambda x, bias, slope, added, impl: channelwise(
            x[:, ::2], bias[::2], slope=slope, added=added.permute(3, 2, 1, 0), impl=impl
        ),
        KERNEL,
        None,
    ),
]


def _compiled(dtype: torch.dtype, channels: int, slope: bool, added: bool) -> None:
    x = torch.zeros(2, channels, 16, 16, dtype=dtype).contiguous(memory_format=LAST)
    each = torch.zeros(channels)
    channelwise(x, each, slope=each if slope else None, added=x if added else None, impl="triton")


COMPILED = [
    ("channelwise slope", lambda dtype: _compiled(dtype, 64, True, False)),
    ("channelwise added", lambda dtype: _compiled(dtype, 512, False, True)),
    ("channelwise slope, 24 channels", lambda dtype: _compiled(dtype, 24, True, False)),
]
"""Calls at sizes of a real layer, for the compile gate."""
