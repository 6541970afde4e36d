"""The specification of crop_resize: two small interpolation matrices, one for rows and one for columns."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import Parameter

from sdx_kernels import layout
from sdx_kernels.crop_resize.tables import weights_of
from sdx_kernels.upfirdn2d.reference import upfirdn2d_reference

SKIP_FILTER = (0.125, 0.375, 0.375, 0.125)
"""The low-pass of StyleGAN2's upsampled colours."""


def crop_resize_reference(
    image: Tensor,
    size: int,
    box: tuple[float, float, float, float],
    antialias: bool,
    clamp: float | None,
    skip: Tensor | None,
) -> Tensor:
    """See `sdx_kernels.crop_resize`; one size."""
    height, width = image.shape[-2:]
    wide = layout.wide(image)
    # A tensor that only stands for one (while tracing) must neither enter the cache nor meet what is in it.
    is_real = type(image) in (Tensor, Parameter) and not torch.compiler.is_compiling()
    matrix = _kept_matrix if is_real else _matrix
    y, rows = matrix(height, box[0], box[2], size, antialias, wide, image.device)
    x, columns = matrix(width, box[1], box[3], size, antialias, wide, image.device)
    crop = image[:, :, y, x]
    if skip is not None:
        upsampled = upfirdn2d_reference(
            skip.to(wide),
            torch.tensor(SKIP_FILTER, dtype=wide, device=skip.device),
            (2, 2, 1, 1),
            (2, 1, 2, 1),
            False,
            4.0,
        )
        crop = crop.to(wide) + upsampled[:, :, y, x]
    if clamp is not None:
        crop = crop.clamp(-clamp, clamp)
    if rows is None and columns is None:
        copy = crop.clone() if crop.dtype == image.dtype else crop.to(image.dtype)
        return layout.like(copy, image)  # an op's result is never its argument
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
    weights = weights_of(length, start, end, size, antialias)
    first = min(min(weight) for weight in weights)
    last = max(max(weight) for weight in weights)
    span = slice(first, last + 1)  # a pixel outside may be NaN, and 0 * NaN is not 0
    if last + 1 - first == size and all(weight == {first + i: 1.0} for i, weight in enumerate(weights)):
        return span, None
    rows = [[weight.get(pixel, 0.0) for pixel in range(first, last + 1)] for weight in weights]
    with torch.inference_mode(False):  # made in inference mode and kept, it could not serve a backward pass later
        return span, torch.tensor(rows, dtype=dtype, device=device)


_kept_matrix = lru_cache(maxsize=256)(_matrix)
