"""The Triton kernels of crop_resize: a gather by one table for rows and one for columns, and its transpose."""

from __future__ import annotations

import triton
import triton.language as tl

from sdx_kernels.bias_act.kernel import limited


@triton.jit
def crop_resize_kernel(
    image,
    skip,
    segments,
    row_first,
    row_weight,
    column_first,
    column_weight,
    out,
    planes,
    channels,
    height,
    width,
    tiles,
    image_n,
    image_c,
    image_y,
    image_x,
    skip_n,
    skip_c,
    skip_y,
    skip_x,
    clamp,
    SIZES: tl.constexpr,
    REACH_Y: tl.constexpr,
    REACH_X: tl.constexpr,
    HAS_SKIP: tl.constexpr,
    HAS_CLAMP: tl.constexpr,
    LAST: tl.constexpr,
    ACC: tl.constexpr,
    BLOCK_P: tl.constexpr,
    BLOCK_C: tl.constexpr,
):
    """Compute BLOCK_P pixels of one size, of BLOCK_C planes; a plane is a channel of an image.

    ``segments`` holds for each size its first tile, its side, and where its table and its results begin. Line i of a
    table reads the source lines from ``first[i]`` on with ``weight[i, :]``, and none where that is 0. With LAST the
    channels of a pixel lie together in ``out``.
    """
    program = tl.program_id(0)
    tile = program % tiles
    plane = (program // tiles).to(tl.int64) * BLOCK_C + tl.arange(0, BLOCK_C)
    begin = tl.zeros((), tl.int64)
    side = tl.zeros((), tl.int64)
    table = tl.zeros((), tl.int64)
    place = tl.zeros((), tl.int64)
    for s in tl.static_range(SIZES):
        here = tile >= tl.load(segments + 4 * s)
        begin = tl.where(here, tl.load(segments + 4 * s), begin)
        side = tl.where(here, tl.load(segments + 4 * s + 1), side)
        table = tl.where(here, tl.load(segments + 4 * s + 2), table)
        place = tl.where(here, tl.load(segments + 4 * s + 3), place)
    pixel = (tile - begin).to(tl.int32) * BLOCK_P + tl.arange(0, BLOCK_P)
    row = pixel // side.to(tl.int32)
    column = pixel % side.to(tl.int32)
    valid = row < side
    present = plane < planes
    n = plane // channels
    c = plane % channels
    row += table.to(tl.int32)
    column += table.to(tl.int32)
    first_y = tl.load(row_first + row, mask=valid, other=0)
    first_x = tl.load(column_first + column, mask=valid, other=0)
    of_plane = (n * image_n + c * image_c)[None, :]
    of_skip = (n * skip_n + c * skip_c)[None, :]
    z = tl.zeros((BLOCK_P, BLOCK_C), ACC)
    for tap in range(REACH_Y * REACH_X):
        weight_y = tl.load(row_weight + row * REACH_Y + tap // REACH_X, mask=valid, other=0.0)
        weight_x = tl.load(column_weight + column * REACH_X + tap % REACH_X, mask=valid, other=0.0)
        weight = weight_y.to(ACC) * weight_x.to(ACC)
        read = (weight_y != 0) & (weight_x != 0)
        y = first_y + tap // REACH_X
        x = first_x + tap % REACH_X
        at = y.to(tl.int64) * image_y + x.to(tl.int64) * image_x
        mask = read[:, None] & present[None, :]
        value = tl.load(image + at[:, None] + of_plane, mask=mask, other=0.0).to(ACC)
        if HAS_SKIP:
            value += _upsampled(
                skip, of_skip, y, x, read, present, height, width, skip_y, skip_x, ACC, BLOCK_P, BLOCK_C
            )
        if HAS_CLAMP:
            value = limited(value, clamp)
        z += value * weight[:, None]
    if LAST:
        at = place + ((n * side * side)[None, :] + pixel[:, None]) * channels + c[None, :]
    else:
        at = place + (plane * side * side)[None, :] + pixel[:, None]
    tl.store(out + at, z.to(out.dtype.element_ty), mask=valid[:, None] & present[None, :])


@triton.jit
def _upsampled(
    skip, of_skip, y, x, read, present, height, width, skip_y, skip_x, ACC: tl.constexpr, BLOCK_P: tl.constexpr,
    BLOCK_C: tl.constexpr,
):  # fmt: skip
    """Return pixels (y, x) of ``skip`` upsampled by 2 with [1, 3, 3, 1]: 3/4 of the nearer line, 1/4 of the other."""
    total = tl.zeros((BLOCK_P, BLOCK_C), ACC)
    for tap in tl.static_range(4):
        source_y = y // 2 + (tap // 2) * (y % 2 * 2 - 1)
        source_x = x // 2 + (tap % 2) * (x % 2 * 2 - 1)
        inside = (source_y >= 0) & (source_y < height // 2) & (source_x >= 0) & (source_x < width // 2) & read
        at = source_y.to(tl.int64) * skip_y + source_x.to(tl.int64) * skip_x
        share = (0.25 if tap // 2 else 0.75) * (0.25 if tap % 2 else 0.75)
        total += share * tl.load(skip + at[:, None] + of_skip, mask=inside[:, None] & present[None, :], other=0.0).to(
            ACC
        )
    return total


@triton.jit
def crop_resize_grad_kernel(
    upstream,
    image,
    skip,
    row_first,
    row_weight,
    column_first,
    column_weight,
    sides,
    out,
    planes,
    channels,
    height,
    width,
    tiles,
    image_n,
    image_c,
    image_y,
    image_x,
    skip_n,
    skip_c,
    skip_y,
    skip_x,
    out_n,
    out_c,
    out_y,
    out_x,
    clamp,
    SIZES: tl.constexpr,
    REACH_Y: tl.constexpr,
    REACH_X: tl.constexpr,
    HAS_SKIP: tl.constexpr,
    HAS_CLAMP: tl.constexpr,
    LAST: tl.constexpr,
    ACC: tl.constexpr,
    BLOCK_P: tl.constexpr,
    BLOCK_C: tl.constexpr,
):
    """Gather the gradient of BLOCK_P pixels of BLOCK_C planes from the results of all sizes.

    The tables are transposed: line i of the image gives to the lines of size s from ``first[s, i]`` on. ``sides`` holds
    each size and where its results begin in ``upstream``.
    """
    program = tl.program_id(0)
    pixel = program % tiles * BLOCK_P + tl.arange(0, BLOCK_P)
    plane = (program // tiles).to(tl.int64) * BLOCK_C + tl.arange(0, BLOCK_C)
    row = pixel // width
    column = pixel % width
    valid = row < height
    present = plane < planes
    n = plane // channels
    c = plane % channels
    z = tl.zeros((BLOCK_P, BLOCK_C), ACC)
    for s in tl.static_range(SIZES):
        side = tl.load(sides + 2 * s)
        place = tl.load(sides + 2 * s + 1)
        y_line = row + s * height
        x_line = column + s * width
        first_y = tl.load(row_first + y_line, mask=valid, other=0)
        first_x = tl.load(column_first + x_line, mask=valid, other=0)
        for tap in range(REACH_Y * REACH_X):
            weight_y = tl.load(row_weight + y_line * REACH_Y + tap // REACH_X, mask=valid, other=0.0)
            weight_x = tl.load(column_weight + x_line * REACH_X + tap % REACH_X, mask=valid, other=0.0)
            weight = weight_y.to(ACC) * weight_x.to(ACC)
            read = (weight_y != 0) & (weight_x != 0)
            at = (first_y + tap // REACH_X) * side + first_x + tap % REACH_X
            if LAST:
                at = place + ((n * side * side)[None, :] + at[:, None]) * channels + c[None, :]
            else:
                at = place + (plane * side * side)[None, :] + at[:, None]
            z += weight[:, None] * tl.load(upstream + at, mask=read[:, None] & present[None, :], other=0.0).to(ACC)
    mask = valid[:, None] & present[None, :]
    if HAS_CLAMP:
        at = row.to(tl.int64) * image_y + column.to(tl.int64) * image_x
        value = tl.load(image + at[:, None] + (n * image_n + c * image_c)[None, :], mask=mask, other=0.0).to(ACC)
        if HAS_SKIP:
            of_skip = (n * skip_n + c * skip_c)[None, :]
            value += _upsampled(
                skip, of_skip, row, column, valid, present, height, width, skip_y, skip_x, ACC, BLOCK_P, BLOCK_C
            )
        z = tl.where(tl.abs(value) <= clamp, z, 0.0)
    at = row.to(tl.int64) * out_y + column.to(tl.int64) * out_x
    tl.store(out + at[:, None] + (n * out_n + c * out_c)[None, :], z.to(out.dtype.element_ty), mask=mask)
