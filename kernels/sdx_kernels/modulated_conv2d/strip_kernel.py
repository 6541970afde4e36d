"""The Triton kernel of what follows an upsampling convolution, with its low-pass of four taps down and four across."""

from __future__ import annotations

import triton
import triton.language as tl

from sdx_kernels.modulated_conv2d.kernel import activated, noise_of, of_channels


@triton.jit
def strip_kernel(
    y,
    low_pass,
    dcoef,
    noise,
    bias,
    styles,
    out,
    height,
    width,
    channels,
    tiles,
    groups,
    in_height,
    in_width,
    pad_y,
    pad_x,
    y_n,
    y_c,
    y_y,
    y_x,
    out_n,
    out_c,
    out_y,
    out_x,
    noise_n,
    noise_start,
    noise_y,
    alpha,
    gain,
    clamp,
    HAS_DCOEF: tl.constexpr,
    HAS_NOISE: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    HAS_CLAMP: tl.constexpr,
    HAS_STYLES: tl.constexpr,
    ACT: tl.constexpr,
    FOLDS: tl.constexpr,
    ACC: tl.constexpr,
    STEPS: tl.constexpr,
    SIDE: tl.constexpr,
    BLOCK_C: tl.constexpr,
):
    """Finish STEPS rows of SIDE pixels of one image, BLOCK_C channels.

    Each row of ``y`` is filtered across once, and the last three stay in registers: four loads a pixel, not sixteen.
    ``low_pass`` is float32 [8], the taps down and then those across. Else as `epilogue_kernel`.
    """
    program = tl.program_id(0)
    n = (program // (tiles * groups)).to(tl.int64)
    channel = program // tiles % groups * BLOCK_C + tl.arange(0, BLOCK_C)
    tile = program % tiles
    wide = (width + SIDE - 1) // SIDE
    top = tile // wide * STEPS
    column = tile % wide * SIDE + tl.arange(0, SIDE)
    present = channel < channels
    scale, shift, after = of_channels(
        dcoef, bias, styles, n, channel, channels, gain, HAS_DCOEF, HAS_BIAS, HAS_STYLES, FOLDS, ACC
    )
    # What stays the same from row to row: addresses, masks and taps.
    first = column - pad_x
    source = y + n * y_n + (first.to(tl.int64) * y_x)[:, None] + (channel.to(tl.int64) * y_c)[None, :]
    place = out + n * out_n + (column.to(tl.int64) * out_x)[:, None] + (channel.to(tl.int64) * out_c)[None, :]
    a = ((first >= 0) & (first < in_width))[:, None] & present[None, :]
    b = ((first >= -1) & (first < in_width - 1))[:, None] & present[None, :]
    c = ((first >= -2) & (first < in_width - 2))[:, None] & present[None, :]
    d = ((first >= -3) & (first < in_width - 3))[:, None] & present[None, :]
    mask = (column < width)[:, None] & present[None, :]
    across_a = tl.load(low_pass + 4).to(ACC)
    across_b = tl.load(low_pass + 5).to(ACC)
    across_c = tl.load(low_pass + 6).to(ACC)
    across_d = tl.load(low_pass + 7).to(ACC)
    down_a = tl.load(low_pass).to(ACC)
    down_b = tl.load(low_pass + 1).to(ACC)
    down_c = tl.load(low_pass + 2).to(ACC)
    down_d = tl.load(low_pass + 3).to(ACC)
    line = top - pad_y
    above = _across(source, line, in_height, y_y, y_x, a, b, c, d, across_a, across_b, across_c, across_d, ACC)
    middle = _across(source, line + 1, in_height, y_y, y_x, a, b, c, d, across_a, across_b, across_c, across_d, ACC)
    below = _across(source, line + 2, in_height, y_y, y_x, a, b, c, d, across_a, across_b, across_c, across_d, ACC)
    # Several rows at a time: their loads are under way together, and no register is moved to the one before.
    ROWS: tl.constexpr = 4 if STEPS % 4 == 0 else 1
    for step in range(0, STEPS, ROWS):
        for k in tl.static_range(ROWS):
            row = top + step + k
            lowest = _across(
                source, line + step + (k + 3), in_height, y_y, y_x, a, b, c, d, across_a, across_b, across_c, across_d,
                ACC,
            )  # fmt: skip
            z = above * down_a + middle * down_b + below * down_c + lowest * down_d
            above = middle
            middle = below
            below = lowest
            if HAS_DCOEF or FOLDS:
                z *= scale[None, :]
            inside = tl.zeros((1, 1), tl.int32) + row < height
            if HAS_NOISE:
                valid = (column < width) & (column * 0 + row < height)
                z += noise_of(noise, n, noise_n, noise_start, noise_y, row, column, valid, gain, FOLDS, ACC)[:, None]
            z = activated(z, shift, alpha, gain, clamp, HAS_BIAS, HAS_CLAMP, ACT, FOLDS)
            if HAS_STYLES:
                z *= after[None, :]
            tl.store(place + tl.cast(row, tl.int64) * out_y, z.to(out.dtype.element_ty), mask=mask & inside)


@triton.jit
def _across(source, row, height, y_y, y_x, a, b, c, d, across_a, across_b, across_c, across_d, ACC: tl.constexpr):
    """Return a row filtered across; a row beyond the image is nought."""
    line = tl.zeros((1, 1), tl.int32) + row
    known = (line >= 0) & (line < height)
    place = source + tl.cast(row, tl.int64) * y_y
    z = tl.load(place, mask=a & known, other=0.0).to(ACC) * across_a
    z += tl.load(place + y_x, mask=b & known, other=0.0).to(ACC) * across_b
    z += tl.load(place + 2 * y_x, mask=c & known, other=0.0).to(ACC) * across_c
    z += tl.load(place + 3 * y_x, mask=d & known, other=0.0).to(ACC) * across_d
    return z
