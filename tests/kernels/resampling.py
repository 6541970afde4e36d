"""Oracles of resampling in plain torch: zeros written in, whole weights convolved."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

BINOMIAL = torch.tensor([1.0, 3.0, 3.0, 1.0])
SKEW = torch.tensor([[1.0, -2.0, 0.5], [4.0, 0.25, -1.0]]) / 4
DOUBLE = torch.float64


def four(padding: Any) -> tuple[int, int, int, int]:
    if isinstance(padding, int):
        return padding, padding, padding, padding
    return tuple(padding) if len(padding) == 4 else (padding[0], padding[0], padding[1], padding[1])


def inserted(x: Tensor, up: tuple[int, int]) -> Tensor:
    y = x.new_zeros(*x.shape[:2], x.shape[2] * up[1], x.shape[3] * up[0])
    y[:, :, :: up[1], :: up[0]] = x
    return y


def filtered(x: Tensor, f: Tensor | None, flip: bool) -> Tensor:
    if f is None:
        return x
    kernel = (torch.outer(f, f) if f.ndim == 1 else f).double()
    kernel = kernel if flip else kernel.rot90(2, (0, 1))
    n, channels, height, width = x.shape
    return functional.conv2d(x.reshape(n * channels, 1, height, width), kernel[None, None]).unflatten(0, (n, channels))[
        :, :, 0
    ]


def resampled(
    x: Tensor,
    f: Tensor | None,
    up: Any = 1,
    down: Any = 1,
    padding: Any = 0,
    flip_filter: bool = False,
    gain: float = 1,
) -> Tensor:
    ux, uy = (up, up) if isinstance(up, int) else up
    dx, dy = (down, down) if isinstance(down, int) else down
    y = functional.pad(inserted(x.double(), (ux, uy)), four(padding))
    return filtered(y, f, flip_filter)[:, :, ::dy, ::dx] * gain


def convolved(
    x: Tensor,
    w: Tensor,
    f: Tensor | None = None,
    up: int = 1,
    down: int = 1,
    padding: Any = 0,
    groups: int = 1,
    flip_weight: bool = True,
    flip_filter: bool = False,
) -> Tensor:
    """Insert zeros, pad, filter, convolve, filter, thin out: in the order of the definition, nothing merged."""
    rows, columns = (1, 1) if f is None else (f.shape[0], f.shape[-1])
    left, right, top, bottom = four(padding)
    if up > 1:
        left, right = left + (columns + up - 1) // 2, right + (columns - up) // 2
        top, bottom = top + (rows + up - 1) // 2, bottom + (rows - up) // 2
    if down > 1:
        left, right = left + (columns - down + 1) // 2, right + (columns - down) // 2
        top, bottom = top + (rows - down + 1) // 2, bottom + (rows - down) // 2
    y = functional.pad(inserted(x.double(), (up, up)), (left, right, top, bottom))
    if up > 1:
        y = filtered(y, f, flip_filter) * up**2
    y = functional.conv2d(y, w.double() if flip_weight else w.double().rot90(2, (2, 3)), groups=groups)
    if down > 1:
        y = filtered(y, f, flip_filter)
    return y[:, :, ::down, ::down]


def modulated(x: Tensor, weight: Tensor, styles: Tensor, noise: Tensor | None = None, **how: Any) -> Tensor:
    """Build the weights of every sample and convolve the batch as so many groups."""
    filter, demodulate = how.pop("resample_filter", None), how.pop("demodulate", True)
    how.pop("fused_modconv", None)
    w = weight.double()[None] * styles.double()[:, None, :, None, None]
    if demodulate:
        w = w / (w.square().sum((2, 3, 4), keepdim=True) + 1e-8).sqrt()
    y = convolved(x.flatten(0, 1)[None], w.flatten(0, 1), filter, groups=len(x), **how)
    y = y.unflatten(1, (len(x), -1))[0]
    return y if noise is None else y + noise.double()
