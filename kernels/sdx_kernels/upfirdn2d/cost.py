"""The cost of upfirdn2d."""

from __future__ import annotations

import torch

from sdx_kernels import launch
from sdx_kernels.cost import Cost
from sdx_kernels.upfirdn2d.autograd import LARGEST_SQUARE, name
from sdx_kernels.upfirdn2d.strip import FACTORS, TAPS, plan


def cost(
    shape: tuple[int, ...],
    dtype: torch.dtype,
    *,
    up: int = 1,
    down: int = 1,
    taps: int = 4,
    padding: tuple[int, int] = (0, 0),
    channels_last: bool = False,
    arch: int = 80,
) -> Cost:
    """Return the cost for images [N, C, H, W] and a filter [taps], alike along both axes.

    Args:
        shape: of x.
        dtype: of x.
        up: factor of upsampling.
        down: factor of downsampling.
        taps: of the filter; more than 8 are met in two passes with a float32 result between them.
        padding: before and after each axis.
        channels_last: the memory format of x.
        arch: compute capability.
    """
    n, channels, height, width = shape
    size = dtype.itemsize
    rows, columns = _Axis(height, up, down, taps, *padding), _Axis(width, up, down, taps, *padding)
    bytes_min = n * channels * (height * width + rows.out * columns.out) * size + 4 * taps
    planes = n, channels
    if taps == TAPS and (up, down) in FACTORS:
        only = _strips(planes, rows, columns, size, channels_last, arch)
        return Cost(only.flops, bytes_min, only.bytes_kernel, 1)
    if taps <= LARGEST_SQUARE:
        only = _pass(planes, rows, columns, (size, size), True, channels_last, arch)
        return Cost(only.flops, bytes_min, only.bytes_kernel, 1)
    first = _pass(planes, _Axis(height, 1, 1, 1, 0, 0), columns, (size, 4), False, channels_last, arch)
    second = _pass(planes, rows, _Axis(columns.out, 1, 1, 1, 0, 0), (4, size), False, channels_last, arch)
    return Cost(first.flops + second.flops, bytes_min, first.bytes_kernel + second.bytes_kernel, 2)


class _Axis:
    """One axis: its lengths, and what a tile of its result meets."""

    def __init__(self, length: int, up: int, down: int, taps: int, before: int, after: int) -> None:
        self.length, self.up, self.down, self.taps, self.before = length, up, down, taps, before
        self.out = (length * up + before + after - taps) // down + 1

    def met(self, tile: int, first: int = 0) -> list[tuple[set[int], set[int]]]:
        """Return the source pixels and the taps that each tile of ``tile`` pixels, counted from ``first``, reads."""
        found = []
        for start in range(first, self.out, tile):
            pairs = [
                (pixel // self.up, tap)
                for out in range(max(start, 0), min(start + tile, self.out))
                for tap in range(self.taps)
                if (pixel := out * self.down + tap - self.before) % self.up == 0 and 0 <= pixel // self.up < self.length
            ]
            found.append(({pixel for pixel, _ in pairs}, {tap for _, tap in pairs}))
        return found


def _strips(planes: tuple[int, int], rows: _Axis, columns: _Axis, size: int, channels_last: bool, arch: int) -> Cost:
    """Return the cost of a launch that filters each source row of a strip once, along x and then along y."""
    shape, up = (*planes, rows.out, columns.out), rows.up
    cut = plan(shape, up, rows.before, channels_last=channels_last, bits=8 * size, arch=arch)
    first = rows.before % 2 - 1 if up == 2 else 0  # a pair of rows begins here
    lines = sum(len(met) for met, _ in rows.met(up * cut.length, first))
    read = sum(len(met) for met, _ in columns.met(cut.row.blocks["BLOCK_P"]))
    n, channels = planes
    written = n * channels * rows.out * columns.out
    filtered = n * channels * lines * columns.out
    moved = n * channels * lines * read * size + written * size
    taps = 4 * rows.taps * n * cut.strips * cut.across * cut.groups
    return Cost(2 * (rows.taps // up) * (filtered + written), 0, moved + taps, 1)


def _pass(
    planes: tuple[int, int],
    rows: _Axis,
    columns: _Axis,
    sizes: tuple[int, int],
    square: bool,
    channels_last: bool,
    arch: int,
) -> Cost:
    """Return the cost of a launch; ``sizes`` of an element read and written, the square of a filter or a full one."""
    n, channels = planes
    called = name(channels_last, max(rows.up, columns.up))
    blocks = launch.config(called, size=channels, bits=8 * sizes[1], arch=arch).blocks
    groups = -(-channels // blocks["BLOCK_C"])
    pixels = filter = 0
    for source_rows, row_taps in rows.met(blocks["BLOCK_P"] // blocks["SIDE"]):
        for source_columns, column_taps in columns.met(blocks["SIDE"]):
            pixels += len(source_rows) * len(source_columns)
            if source_rows and source_columns:
                filter += len(row_taps | column_taps) if square else len(row_taps) * len(column_taps)
    steps = -(-rows.taps // rows.up) * -(-columns.taps // columns.up)
    written = n * channels * rows.out * columns.out
    moved = n * channels * pixels * sizes[0] + written * sizes[1] + 4 * n * groups * filter
    return Cost(2 * steps * written, 0, moved, 1)
