"""The Triton kernel of upfirdn2d: each output pixel gathers the source pixels that its taps meet, and no zeros."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def upfirdn2d_kernel(
    x,
    filter,
    out,
    height,
    width,
    channels,
    in_height,
    in_width,
    tiles,
    groups,
    top,
    left,
    shift_y,
    shift_x,
    x_n,
    x_c,
    x_y,
    x_x,
    out_n,
    out_c,
    out_y,
    out_x,
    gain,
    TAPS_Y: tl.constexpr,
    TAPS_X: tl.constexpr,
    UP_Y: tl.constexpr,
    UP_X: tl.constexpr,
    DOWN_Y: tl.constexpr,
    DOWN_X: tl.constexpr,
    FILTER: tl.constexpr,
    FLIP: tl.constexpr,
    ACC: tl.constexpr,
    BLOCK_P: tl.constexpr,
    SIDE: tl.constexpr,
    BLOCK_C: tl.constexpr,
):
    """Compute a tile of BLOCK_P pixels, SIDE wide, of BLOCK_C channels of one image.

    ``filter`` has TAPS_Y by TAPS_X values (FILTER 2), or TAPS_Y of one axis whose outer product with itself is meant
    (FILTER 1), or is the single tap 1 (FILTER 0). ``shift`` times ``up`` is at least the zeros before an axis: it keeps
    dividends from being negative.
    """
    program = tl.program_id(0)
    n = (program // (tiles * groups)).to(tl.int64)
    channel = program // tiles % groups * BLOCK_C + tl.arange(0, BLOCK_C)
    tile = program % tiles
    lane = tl.arange(0, BLOCK_P)
    across = (width + SIDE - 1) // SIDE
    row = tile // across * (BLOCK_P // SIDE) + lane // SIDE
    column = tile % across * SIDE + lane % SIDE
    valid = (row < height) & (column < width)
    present = channel < channels
    # The upsampled image's pixel under the first tap, and the first source pixel at or after it.
    first_y = row * DOWN_Y - top
    first_x = column * DOWN_X - left
    source_y = (first_y + (shift_y + 1) * UP_Y - 1) // UP_Y - shift_y
    source_x = (first_x + (shift_x + 1) * UP_X - 1) // UP_X - shift_x
    tap_y = source_y * UP_Y - first_y
    tap_x = source_x * UP_X - first_x
    x += n * x_n
    out += n * out_n
    z = tl.zeros((BLOCK_P, BLOCK_C), ACC)
    STEPS_Y: tl.constexpr = (TAPS_Y + UP_Y - 1) // UP_Y
    STEPS_X: tl.constexpr = (TAPS_X + UP_X - 1) // UP_X
    for step in range(STEPS_Y * STEPS_X):
        y = source_y + step // STEPS_X
        c = source_x + step % STEPS_X
        j = tap_y + step // STEPS_X * UP_Y
        i = tap_x + step % STEPS_X * UP_X
        inside = (y >= 0) & (y < in_height) & (c >= 0) & (c < in_width) & (j < TAPS_Y) & (i < TAPS_X) & valid
        at = y.to(tl.int64) * x_y + c.to(tl.int64) * x_x
        mask = inside[:, None] & present[None, :]
        value = tl.load(x + at[:, None] + (channel.to(tl.int64) * x_c)[None, :], mask=mask, other=0.0).to(ACC)
        if FILTER > 0:
            if not FLIP:
                j = TAPS_Y - 1 - j
                i = TAPS_X - 1 - i
            if FILTER == 1:
                tap = tl.load(filter + j, mask=inside, other=0.0).to(ACC)
                tap *= tl.load(filter + i, mask=inside, other=0.0).to(ACC)
            else:
                tap = tl.load(filter + j * TAPS_X + i, mask=inside, other=0.0).to(ACC)
            value *= tap[:, None]
        z += value
    at = row.to(tl.int64) * out_y + column.to(tl.int64) * out_x
    mask = valid[:, None] & present[None, :]
    tl.store(
        out + at[:, None] + (channel.to(tl.int64) * out_c)[None, :], (z * gain).to(out.dtype.element_ty), mask=mask
    )
