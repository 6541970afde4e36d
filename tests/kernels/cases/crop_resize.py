"""Calls of crop_resize."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from cases import Case, normal
from sdx_kernels import crop_resize
from sdx_kernels.cost import cost

EVERY = (torch.float32, torch.float16, torch.bfloat16)  # values are widened as soon as they are loaded
BOX = (0.13, 0.21, 0.87, 0.93)
FORWARD, BACKWARD = {"crop_resize_kernel": 1}, {"crop_resize_grad_kernel": 1}
_SHAPE = (2, 3, 30, 22)


def _image(channels_last: bool = False, skip: bool = False) -> Any:
    def make(dtype: torch.dtype) -> tuple[Tensor, ...]:
        n, channels, height, width = _SHAPE
        x = normal(*_SHAPE, seed=1, dtype=dtype, grad=False)
        if channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        coarse = normal(n, channels, height // 2, width // 2, seed=2, dtype=dtype)
        return (x.requires_grad_(), coarse) if skip else (x.requires_grad_(),)

    return make


def _call(size: Any, **options: Any) -> Any:
    return lambda image, skip=None, impl="": crop_resize(image, size, skip=skip, impl=impl, **options)


def _case(
    name: str, size: Any, clamp: float | None = None, channels_last: bool = False, skip: bool = False, **options: Any
) -> Case:
    backward = {**BACKWARD, "upfirdn2d_strip_kernel": 1} if skip else BACKWARD
    # Tiles that meet within a line, and lines that two tiles read, are read twice; so is what several sizes share.
    halo = 1.9
    return Case(
        f"crop_resize-{name}",
        "crop_resize",
        _image(channels_last, skip),
        _call(size, clamp=clamp, **options),
        FORWARD,
        backward,
        halo=halo,
        cost=lambda: cost("crop_resize", _SHAPE, torch.float32, size=size, skip=skip, **options),
        dtypes=EVERY,
    )


CASES = [
    _case("smaller", 7, box=BOX),
    _case("larger", 63, box=BOX, clamp=0.9),
    _case("antialias", 5, antialias=True, channels_last=True),
    _case("several", (9, 1, 17), box=BOX, clamp=0.9),
    _case("several-channels_last", (9, 4), box=BOX, antialias=True, channels_last=True),
    _case("skip", 13, box=BOX, skip=True),
    _case("skip-several", (13, 6), clamp=0.9, skip=True, antialias=True, channels_last=True),
    Case(
        "crop_resize-copy-strided",
        "crop_resize",
        lambda dtype: (normal(9, 9, 4, 1, seed=3, dtype=dtype),),
        lambda x, impl: crop_resize(x[:, :, ::2].permute(2, 3, 0, 1), 9, impl=impl),
        FORWARD,
        BACKWARD,
        dtypes=EVERY,
    ),
]


def _compiled(dtype: torch.dtype, size: Any, skip: bool) -> None:
    image = torch.zeros(2, 3, 256, 256, dtype=dtype, requires_grad=True)
    coarse = torch.zeros(2, 3, 128, 128, dtype=dtype) if skip else None
    faces = crop_resize(
        image, size, box=(21 / 256, 22 / 256, 234 / 256, 235 / 256), clamp=1.0, skip=coarse, impl="triton"
    )
    faces = faces if isinstance(faces, tuple) else (faces,)
    torch.autograd.grad(faces, image, [torch.zeros_like(face) for face in faces])


COMPILED = [
    ("crop_resize", lambda dtype: _compiled(dtype, 112, False)),
    ("crop_resize, skip, two sizes", lambda dtype: _compiled(dtype, (112, 96), True)),
]
"""Calls at the sizes of SynthDistill, for the compile gate."""
