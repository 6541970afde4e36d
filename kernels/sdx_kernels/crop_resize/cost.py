"""The cost of crop_resize."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sdx_kernels import launch
from sdx_kernels.cost import Cost
from sdx_kernels.crop_resize.tables import Weights, weights_of

_Mask = NDArray[np.bool_]


def cost(
    shape: tuple[int, ...],
    dtype: torch.dtype,
    *,
    size: int | Sequence[int],
    box: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0),
    antialias: bool = False,
    skip: bool = False,
    arch: int = 80,
) -> Cost:
    """Return the cost for an image [N, C, H, W]; of image and skip the least is what the results depend on.

    Args:
        shape: of the image.
        dtype: of the image.
        size: side of the result, or several.
        box: see `sdx_kernels.crop_resize`.
        antialias: see there.
        skip: whether there is a coarser part.
        arch: compute capability.
    """
    n, channels, height, width = shape
    planes, sizes = n * channels, (size,) if isinstance(size, int) else tuple(size)
    blocks = launch.config("crop_resize_kernel", size=planes, bits=8 * dtype.itemsize, arch=arch).blocks
    rows = [weights_of(height, box[0], box[2], each, antialias) for each in sizes]
    columns = [weights_of(width, box[1], box[3], each, antialias) for each in sizes]
    reaches = [max(max(line) - min(line) + 1 for lines in axis for line in lines) for axis in (rows, columns)]
    of_any = np.zeros((height, width), bool)
    read = read_of_skip = tables = taps = 0
    for side, row_lines, column_lines in zip(sizes, rows, columns, strict=True):
        taps += sum(map(len, row_lines)) * sum(map(len, column_lines))
        met_rows, met_columns = _met(row_lines, height), _met(column_lines, width)
        for start in range(0, side**2, blocks["BLOCK_P"]):
            pixel = np.arange(start, min(start + blocks["BLOCK_P"], side**2))
            row, column = pixel // side, pixel % side
            met = np.zeros((height, width), bool)
            for line in np.unique(row):
                across = met_columns[column[row == line]].any(0)
                met |= met_rows[line][:, None] & across[None, :]
            of_any |= met
            read += int(met.sum())
            read_of_skip += int(_of_skip(met).sum()) if skip else 0
            tables += 4 * (len(np.unique(row)) * (1 + reaches[0]) + len(np.unique(column)) * (1 + reaches[1]))
            tables += 32 * len(sizes)  # where each size begins, and its side
    out = planes * sum(side**2 for side in sizes)
    groups = -(-planes // blocks["BLOCK_C"])
    moved = (planes * (read + read_of_skip) + out) * dtype.itemsize + groups * tables
    least = planes * (int(of_any.sum()) + (int(_of_skip(of_any).sum()) if skip else 0)) + out
    return Cost(planes * taps * (10 if skip else 2), least * dtype.itemsize, moved, 1)


def _met(lines: Weights, length: int) -> _Mask:
    found = np.zeros((len(lines), length), bool)
    for i, line in enumerate(lines):
        found[i, list(line)] = True
    return found


def _of_skip(met: _Mask) -> _Mask:
    """Return which pixels of the coarser part some pixels depend on: along each axis two of it."""
    found: Any = met
    for axis in (0, 1):
        length = found.shape[axis]
        near = np.zeros((length // 2, *np.delete(found.shape, axis)), bool)
        lines = np.moveaxis(found, axis, 0)
        for pixel in range(length):
            for source in (pixel // 2, pixel // 2 + (1 if pixel % 2 else -1)):
                if 0 <= source < length // 2:
                    near[source] |= lines[pixel]
        found = np.moveaxis(near, 0, axis)
    return np.asarray(found, bool)
