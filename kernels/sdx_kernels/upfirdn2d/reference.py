"""The specification of upfirdn2d: inserted zeros, padding, one depthwise convolution per axis or for both.

Upsampling by a filter of one axis is a small matrix for each axis instead: no zero is inserted or multiplied.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from sdx_kernels import layout

_LARGEST_MATRIX = 256
"""Pixels of an axis up to which a dense product beats a convolution over inserted zeros."""


def upfirdn2d_reference(
    x: Tensor,
    filter: Tensor | None,
    factors: tuple[int, int, int, int],
    padding: tuple[int, int, int, int],
    flip_filter: bool,
    gain: float,
) -> Tensor:
    """See `sdx_kernels.upfirdn2d`; ``factors`` = (up x, up y, down x, down y)."""
    wide = layout.wide(x)
    signal = x.to(wide)
    if filter is not None:
        filter = filter.detach().to(x.device, wide)
        if not flip_filter:
            filter = filter.flip(tuple(range(filter.ndim)))  # conv2d correlates
    with layout.without_autocast(x.device):
        if filter is not None and filter.ndim == 1 and max(factors[:2]) > 1 and max(x.shape[2:]) <= _LARGEST_MATRIX:
            signal = _by_matrices(signal, filter, factors, padding) * gain
        else:
            signal = _by_convolution(signal, filter, factors, padding) * gain
    return layout.like(signal.to(x.dtype), x)


def _by_matrices(
    x: Tensor, filter: Tensor, factors: tuple[int, int, int, int], padding: tuple[int, int, int, int]
) -> Tensor:
    up_x, up_y, down_x, down_y = factors
    left, right, top, bottom = padding
    taps = torch.cat([filter, filter.new_zeros(1)])
    index = _index if torch.compiler.is_compiling() else _kept_index
    rows = taps[index(x.shape[2], up_y, down_y, top, bottom, len(filter), x.device)]
    columns = taps[index(x.shape[3], up_x, down_x, left, right, len(filter), x.device)]
    return rows @ (x @ columns.T)


def _index(length: int, up: int, down: int, before: int, after: int, taps: int, device: torch.device) -> Tensor:
    """Return which tap each output pixel gives each pixel of the axis, int64 [L_out, L]; ``taps`` where none."""
    out = torch.arange((length * up + before + after - taps) // down + 1)[:, None]
    tap = torch.arange(length) * up + before - out * down
    with torch.inference_mode(False):  # made in inference mode and kept, it could not serve a backward pass later
        return torch.where((tap >= 0) & (tap < taps), tap, taps).to(device)


_kept_index = lru_cache(maxsize=256)(_index)


def _by_convolution(
    x: Tensor, filter: Tensor | None, factors: tuple[int, int, int, int], padding: tuple[int, int, int, int]
) -> Tensor:
    up_x, up_y, down_x, down_y = factors
    n, channels, height, width = x.shape
    if channels == 0:  # no convolution of torch's takes that
        return _by_convolution(pad(x, (0, 0, 0, 0, 0, 1)), filter, factors, padding)[:, :0]
    if up_x > 1 or up_y > 1:
        spread = x.new_zeros(n, channels, height * up_y, width * up_x)
        spread[:, :, ::up_y, ::up_x] = x
        x = spread
    left, right, top, bottom = padding
    even = left == right >= 0 and top == bottom >= 0  # then the convolution pads, and no padded copy is made
    if not even or filter is None:
        x = pad(x, [max(side, 0) for side in padding])
        x = x[:, :, max(-top, 0) : x.shape[2] - max(-bottom, 0), max(-left, 0) : x.shape[3] - max(-right, 0)]
        left = top = 0
    if filter is None:
        return x[:, :, ::down_y, ::down_x]
    shape = (channels, 1, len(filter), filter.shape[-1])
    if filter.ndim == 2:
        return conv2d(x, filter.expand(shape), None, (down_y, down_x), (top, left), groups=channels)
    x = conv2d(x, filter[None, :].expand(channels, 1, 1, -1), None, (1, down_x), (0, left), groups=channels)
    return conv2d(x, filter[:, None].expand(channels, 1, -1, 1), None, (down_y, 1), (top, 0), groups=channels)
