"""The specification of crop_resize: two small interpolation matrices, one for rows and one for columns."""

from __future__ import annotations

import torch
from torch import Tensor


def crop_resize_reference(
    image: Tensor, size: int, box: tuple[float, float, float, float], antialias: bool, clamp: float | None
) -> Tensor:
    """See `sdx_kernels.crop_resize`."""
    height, width = image.shape[-2:]
    if clamp is not None:
        image = image.clamp(-clamp, clamp)
    wide = torch.promote_types(image.dtype, torch.float32)
    y, rows = _used(_matrix(height, box[0], box[2], size, antialias))
    x, columns = _used(_matrix(width, box[1], box[3], size, antialias))
    rows, columns = rows.to(image.device, wide), columns.to(image.device, wide)
    with torch.autocast(image.device.type, enabled=False):  # it would multiply in half precision
        resized = (rows @ (image[:, :, y, x].to(wide) @ columns.T)).to(image.dtype)  # [N, C, size, size]
    if image.is_contiguous(memory_format=torch.channels_last) and not image.is_contiguous():
        resized = resized.contiguous(memory_format=torch.channels_last)
    return resized


def _used(weight: Tensor) -> tuple[slice, Tensor]:
    """Return the span of source pixels that any output pixel reads, with their weights; 0 * NaN is not 0."""
    read = weight.any(0).nonzero()
    span = slice(int(read[0]), int(read[-1]) + 1)
    return span, weight[:, span]


def _matrix(length: int, start: float, end: float, size: int, antialias: bool) -> Tensor:
    """Return the weights float64 [size, length] of every source pixel in every output pixel."""
    first, last = start * length, end * length
    scale = (last - first) / size
    centre = first + (torch.arange(size, dtype=torch.float64) + 0.5) * scale  # in pixels from the frame's edge
    pixel = torch.arange(length, dtype=torch.float64)
    if antialias:
        distance = (pixel[None] + 0.5 - centre[:, None]).abs() / max(scale, 1.0)
        inside = (pixel + 0.5 > first) & (pixel + 0.5 < last)
        weight = (1 - distance).clamp_min(0) * inside
        total = weight.sum(1, keepdim=True)
        if bool((total > 0).all()):
            return weight / total
        # A box narrower than a pixel: no centre lies in it, and the plain rule below still has an answer.
    low, high = min(first, length - 1.0), max(last - 1, 0.0)
    at = (centre - 0.5).clamp(min(low, high), max(low, high)).clamp(0, length - 1)
    return (1 - (pixel[None] - at[:, None]).abs()).clamp_min(0)
