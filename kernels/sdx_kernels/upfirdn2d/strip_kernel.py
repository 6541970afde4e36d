"""The Triton kernel of upfirdn2d for four taps of one axis: a program goes down a strip of rows, each filtered once.

A source row is filtered along x as it comes. The vertical filter needs no row again: each adds its share to the results
that it reaches, of which at most three are under way.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def upfirdn2d_strip_kernel(
    x,
    filter,
    out,
    height,
    width,
    channels,
    in_height,
    in_width,
    across,
    groups,
    strips,
    length,
    total,
    top,
    left,
    x_n,
    x_c,
    x_y,
    out_n,
    out_c,
    out_y,
    out_x,
    gain,
    UP: tl.constexpr,
    DOWN: tl.constexpr,
    FLIP: tl.constexpr,
    X_X: tl.constexpr,
    ACC: tl.constexpr,
    BLOCK_P: tl.constexpr,
    BLOCK_C: tl.constexpr,
):
    """Compute ``length`` of the ``total`` steps of a strip of BLOCK_P columns and BLOCK_C channels of one image.

    UP and DOWN, one of which is 1 and neither above 2, hold for both axes. A step is a row of the result, or with UP
    the two that two source rows give. X_X is the stride of columns of ``x``, so that the taps lie at constant offsets.
    """
    program = tl.program_id(0)
    channel = program % groups * BLOCK_C + tl.arange(0, BLOCK_C)
    tile = program // groups
    column = tile % across * BLOCK_P + tl.arange(0, BLOCK_P)
    start = tile // across % strips * length
    n = (tile // across // strips).to(tl.int64)
    if FLIP:
        w0, w1, w2, w3 = tl.load(filter), tl.load(filter + 1), tl.load(filter + 2), tl.load(filter + 3)
    else:
        w0, w1, w2, w3 = tl.load(filter + 3), tl.load(filter + 2), tl.load(filter + 1), tl.load(filter)
    # The first source column under the taps: with UP every other tap meets one, from the first or the second tap on.
    first = column * DOWN - left
    if UP == 2:
        first = (first + 1) >> 1
        odd = ((column - left) & 1) != 0
        a0 = tl.where(odd, w1, w0)[:, None]
        a1 = tl.where(odd, w3, w2)[:, None]
        a2 = a0
        a3 = a0
        TAPS: tl.constexpr = 2
        PRIMING: tl.constexpr = 1
        row = start - (top >> 1)
    else:
        a0 = w0
        a1 = w1
        a2 = w2
        a3 = w3
        TAPS: tl.constexpr = 4
        PRIMING: tl.constexpr = 3 // DOWN
        row = start * DOWN - top
    valid = column < width
    present = (channel < channels)[None, :]
    place = x + n * x_n + row.to(tl.int64) * x_y
    place += (first.to(tl.int64) * X_X)[:, None] + (channel.to(tl.int64) * x_c)[None, :]
    begin = start * UP
    if UP == 2:
        begin += (top & 1) - 1
    y = begin - PRIMING * UP
    result = out + n * out_n + y.to(tl.int64) * out_y
    result += (column.to(tl.int64) * out_x)[:, None] + (channel.to(tl.int64) * out_c)[None, :]
    w0 = w0.to(ACC) * gain
    w1 = w1.to(ACC) * gain
    w2 = w2.to(ACC) * gain
    w3 = w3.to(ACC) * gain
    z0 = tl.zeros((BLOCK_P, BLOCK_C), ACC)
    z1 = z0
    z2 = z0
    for _ in range(min(length, total - start) + PRIMING):
        h = _across(place, row, first, valid, present, in_height, in_width, a0, a1, a2, a3, TAPS, X_X, ACC)
        end = tl.where(y >= begin, width, 0)
        if UP == 2:
            upper = tl.where(y >= 0, end, 0)
            lower = tl.where(y + 1 < height, end, 0)
            _store(result, z0 + w3 * h, (column < upper)[:, None] & present)
            result += out_y
            _store(result, z1 + w2 * h, (column < lower)[:, None] & present)
            z0 = w1 * h
            z1 = w0 * h
        elif DOWN == 2:
            place += x_y
            g = _across(place, row + 1, first, valid, present, in_height, in_width, a0, a1, a2, a3, TAPS, X_X, ACC)
            _store(result, z0 + w2 * h + w3 * g, (column < end)[:, None] & present)
            z0 = w0 * h + w1 * g
        else:
            _store(result, z0 + w3 * h, (column < end)[:, None] & present)
            z0 = z1 + w2 * h
            z1 = z2 + w1 * h
            z2 = w0 * h
        row += DOWN
        y += UP
        place += x_y
        result += out_y


@triton.jit
def _across(
    place, row, first, valid, present, in_height, in_width, a0, a1, a2, a3,
    TAPS: tl.constexpr, X_X: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    """Return a source row filtered along x, 0 for one outside of the image."""
    end = tl.where((row >= 0) & (row < in_height), in_width, 0)
    h = tl.zeros(place.shape, ACC)
    for tap in tl.static_range(TAPS):
        inside = (first + tap >= 0) & (first + tap < end) & valid
        value = tl.load(place + tap * X_X, mask=inside[:, None] & present, other=0.0).to(ACC)
        h += value * (a0 if tap == 0 else a1 if tap == 1 else a2 if tap == 2 else a3)
    return h


@triton.jit
def _store(place, z, mask):
    tl.store(place, z.to(place.dtype.element_ty), mask=mask)
