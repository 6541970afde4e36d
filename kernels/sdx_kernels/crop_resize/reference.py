"""The specification of crop_resize: two small interpolation matrices, one for rows and one for columns."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import Parameter

from sdx_kernels import layout


def crop_resize_reference(
    image: Tensor, size: int, box: tuple[float, float, float, float], antialias: bool, clamp: float | None
) -> Tensor:
    """See `sdx_kernels.crop_resize`."""
    height, width = image.shape[-2:]
    wide = layout.wide(image)
    # A tensor that only stands for one (while tracing) must neither enter the cache nor meet what is in it.
    is_real = type(image) in (Tensor, Parameter) and not torch.compiler.is_compiling()
    matrix = _kept_matrix if is_real else _matrix
    y, rows = matrix(height, box[0], box[2], size, antialias, wide, image.device)
    x, columns = matrix(width, box[1], box[3], size, antialias, wide, image.device)
    crop = image[:, :, y, x]
    if clamp is not None:
        crop = crop.clamp(-clamp, clamp)
    if rows is None and columns is None:
        return layout.like(crop.clone(), image)  # an op's result is never its argument
    crop = crop.to(wide)
    with layout.without_autocast(image.device):
        if columns is not None:
            crop = crop @ columns.T
        if rows is not None:
            crop = rows @ crop
    return layout.like(crop.to(image.dtype), image)  # [N, C, size, size]


def _matrix(
    length: int, start: float, end: float, size: int, antialias: bool, dtype: torch.dtype, device: torch.device
) -> tuple[slice, Tensor | None]:
    """Return the span of source pixels that any output pixel reads, and their weights, None for a plain copy."""
    weights = _weights(length, start, end, size, antialias)
    first = min(min(weight) for weight in weights)
    last = max(max(weight) for weight in weights)
    span = slice(first, last + 1)  # a pixel outside may be NaN, and 0 * NaN is not 0
    if last + 1 - first == size and all(weight == {first + i: 1.0} for i, weight in enumerate(weights)):
        return span, None
    rows = [[weight.get(pixel, 0.0) for pixel in range(first, last + 1)] for weight in weights]
    with torch.inference_mode(False):  # made in inference mode and kept, it could not serve a backward pass later
        return span, torch.tensor(rows, dtype=dtype, device=device)


_kept_matrix = lru_cache(maxsize=256)(_matrix)


def _weights(length: int, start: float, end: float, size: int, antialias: bool) -> list[dict[int, float]]:
    """Return for every output pixel the source pixels that it reads, with their weights above 0."""
    first, last = start * length, end * length
    scale = (last - first) / size
    centres = [first + (i + 0.5) * scale for i in range(size)]  # in pixels from the frame's edge
    if antialias:
        weights = [_triangle(centre, max(scale, 1.0), first, last, length) for centre in centres]
        if all(weights):
            return weights
        # A box narrower than a pixel: no centre lies in it, and the plain rule below still has an answer.
    low, high = min(first, length - 1.0), max(last - 1, 0.0)
    weights = []
    for centre in centres:
        at = min(max(centre - 0.5, min(low, high), 0.0), max(low, high), length - 1.0)
        below = math.floor(at)
        pair = {pixel: 1 - abs(pixel - at) for pixel in (below, below + 1)}
        weights.append({pixel: weight for pixel, weight in pair.items() if weight > 0})
    return weights


def _triangle(centre: float, reach: float, first: float, last: float, length: int) -> dict[int, float]:
    """Return the pixels whose centres lie in the box and within ``reach``, with weights that fall off and sum to 1."""
    near = range(max(math.floor(centre - reach), 0), min(math.ceil(centre + reach), length))
    inside = {pixel: 1 - abs(pixel + 0.5 - centre) / reach for pixel in near if first < pixel + 0.5 < last}
    inside = {pixel: weight for pixel, weight in inside.items() if weight > 0}
    total = sum(inside.values())
    return {pixel: weight / total for pixel, weight in inside.items()}
