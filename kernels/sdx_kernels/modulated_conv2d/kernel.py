"""The Triton kernel of all that follows a convolution in modulated_conv2d and styled_layer.

One read and one write: the low-pass of an upsampling, dcoef, noise, bias, activation, gain, clamp, the colours, the
next layer's styles.
"""

from __future__ import annotations

import triton
import triton.language as tl

from sdx_kernels.bias_act.kernel import activation, limited


@triton.jit
def epilogue_kernel(
    y,
    low_pass,
    dcoef,
    noise,
    bias,
    styles,
    rgb_weight,
    rgb_styles,
    rgb_bias,
    skip,
    out,
    image,
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
    rgb_clamp,
    LOW_PASS: tl.constexpr,
    TAPS_Y: tl.constexpr,
    TAPS_X: tl.constexpr,
    HAS_DCOEF: tl.constexpr,
    HAS_NOISE: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    HAS_CLAMP: tl.constexpr,
    HAS_STYLES: tl.constexpr,
    HAS_RGB: tl.constexpr,
    HAS_SKIP: tl.constexpr,
    HAS_RGB_CLAMP: tl.constexpr,
    ACT: tl.constexpr,
    FOLDS: tl.constexpr,
    ACC: tl.constexpr,
    CHUNKS: tl.constexpr,
    STEPS: tl.constexpr,
    BLOCK_P: tl.constexpr,
    SIDE: tl.constexpr,
    BLOCK_C: tl.constexpr,
):
    """Finish STEPS tiles of BLOCK_P pixels of one image, one below the other, CHUNKS times BLOCK_C channels.

    The pixels of a tile follow each other in rows of the image (SIDE 0, STEPS 1), or are SIDE wide. LOW_PASS 1 is a
    filter of TAPS_Y by TAPS_X, 2 one of four taps down and four across, a tile being one row: each row of ``y`` is
    filtered across once, and the last three stay in registers. With FOLDS the gain goes through the activation, and is
    taken with dcoef, noise and bias.
    """
    program = tl.program_id(0)
    n = (program // (tiles * groups)).to(tl.int64)
    group = program // tiles % groups
    tile = program % tiles
    lane = tl.arange(0, BLOCK_P)
    y += n * y_n
    out += n * out_n
    if SIDE > 0:
        across = (width + SIDE - 1) // SIDE
        top = tile // across * (BLOCK_P // SIDE * STEPS)
        column = tile % across * SIDE + lane % SIDE
    channel = group * CHUNKS * BLOCK_C + tl.arange(0, BLOCK_C)
    if CHUNKS == 1:  # else they would not stay in registers
        scale, shift, after = _of_channels(
            dcoef, bias, styles, n, channel, channels, gain, HAS_DCOEF, HAS_BIAS, HAS_STYLES, FOLDS, ACC
        )
        if HAS_RGB:
            to_red, to_green, to_blue = _to_colours(rgb_weight, rgb_styles, n, channel, channels, ACC)
    if LOW_PASS == 2:
        rows = y + (channel.to(tl.int64) * y_c)[None, :]
        present = channel < channels
        first = top - pad_y
        above = _across(rows, low_pass, first, column - pad_x, present, in_height, in_width, y_y, y_x, ACC)
        middle = _across(rows, low_pass, first + 1, column - pad_x, present, in_height, in_width, y_y, y_x, ACC)
        below = _across(rows, low_pass, first + 2, column - pad_x, present, in_height, in_width, y_y, y_x, ACC)
    for step in range(STEPS):
        if SIDE == 0:
            pixel = tile * BLOCK_P + lane
            row = pixel // width
            column = pixel % width
        else:
            row = top + step * (BLOCK_P // SIDE) + lane // SIDE
            pixel = row * width + column
        valid = (row < height) & (column < width)
        if HAS_NOISE:
            number = noise_start + row.to(tl.int64) * noise_y + column
            grain = tl.load(noise + n * noise_n + number, mask=valid, other=0.0).to(ACC)
            if FOLDS:
                grain *= gain
        if HAS_RGB:
            red = tl.zeros((BLOCK_P,), ACC)
            green = tl.zeros((BLOCK_P,), ACC)
            blue = tl.zeros((BLOCK_P,), ACC)
        for chunk in range(CHUNKS):
            if CHUNKS > 1:
                channel = (group * CHUNKS + chunk) * BLOCK_C + tl.arange(0, BLOCK_C)
                scale, shift, after = _of_channels(
                    dcoef, bias, styles, n, channel, channels, gain, HAS_DCOEF, HAS_BIAS, HAS_STYLES, FOLDS, ACC
                )
                if HAS_RGB:
                    to_red, to_green, to_blue = _to_colours(rgb_weight, rgb_styles, n, channel, channels, ACC)
            mask = valid[:, None] & (channel < channels)[None, :]
            if LOW_PASS == 0:
                at = row.to(tl.int64) * y_y + column.to(tl.int64) * y_x
                z = tl.load(y + at[:, None] + (channel.to(tl.int64) * y_c)[None, :], mask=mask, other=0.0).to(ACC)
            elif LOW_PASS == 1:
                z = tl.zeros((BLOCK_P, BLOCK_C), ACC)
                for tap in tl.static_range(TAPS_Y * TAPS_X):
                    source_row = row + (tap // TAPS_X - pad_y)
                    source_column = column + (tap % TAPS_X - pad_x)
                    inside = (source_row >= 0) & (source_row < in_height) & (source_column >= 0)
                    inside = inside & (source_column < in_width)
                    at = source_row.to(tl.int64) * y_y + source_column.to(tl.int64) * y_x
                    met = inside[:, None] & mask
                    value = tl.load(y + at[:, None] + (channel.to(tl.int64) * y_c)[None, :], mask=met, other=0.0)
                    z += value.to(ACC) * tl.load(low_pass + tap).to(ACC)
            else:
                lowest = _across(
                    rows, low_pass, first + step + 3, column - pad_x, present, in_height, in_width, y_y, y_x, ACC
                )
                z = above * tl.load(low_pass).to(ACC) + middle * tl.load(low_pass + 1).to(ACC)
                z += below * tl.load(low_pass + 2).to(ACC) + lowest * tl.load(low_pass + 3).to(ACC)
                above = middle
                middle = below
                below = lowest
            if HAS_DCOEF or FOLDS:
                z *= scale[None, :]
            if HAS_NOISE:
                z += grain[:, None]
            if HAS_BIAS:
                z += shift[None, :]
            z = activation(z, alpha, ACT)
            if not FOLDS:
                z *= gain
            if HAS_CLAMP:
                z = limited(z, clamp)
            if HAS_RGB:
                red += tl.sum(z * to_red[None, :], 1)
                green += tl.sum(z * to_green[None, :], 1)
                blue += tl.sum(z * to_blue[None, :], 1)
            if HAS_STYLES:
                z *= after[None, :]
            at = row.to(tl.int64) * out_y + column.to(tl.int64) * out_x
            place = out + at[:, None] + (channel.to(tl.int64) * out_c)[None, :]
            tl.store(place, z.to(out.dtype.element_ty), mask=mask)
        if HAS_RGB:
            start = n * 3 * height * width + pixel
            for colour in tl.static_range(3):
                total = (red if colour == 0 else green if colour == 1 else blue) + tl.load(rgb_bias + colour)
                if HAS_RGB_CLAMP:
                    total = limited(total, rgb_clamp)
                place = start + colour * height * width
                if HAS_SKIP:
                    total += tl.load(skip + place, mask=valid, other=0.0)
                tl.store(image + place, total, mask=valid)


@triton.jit
def _of_channels(
    dcoef, bias, styles, n, channel, channels, gain, HAS_DCOEF: tl.constexpr, HAS_BIAS: tl.constexpr,
    HAS_STYLES: tl.constexpr, FOLDS: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    """Return what multiplies each channel first, what is added, and what multiplies it last; anything where unused."""
    present = channel < channels
    scale = (channel * 0 + 1).to(ACC)
    shift = scale
    after = scale
    if HAS_DCOEF:
        scale = tl.load(dcoef + n * channels + channel, mask=present, other=0.0).to(ACC)
    if HAS_BIAS:
        shift = tl.load(bias + channel, mask=present, other=0.0).to(ACC)
    if FOLDS:
        scale *= gain
        shift *= gain
    if HAS_STYLES:
        after = tl.load(styles + n * channels + channel, mask=present, other=0.0).to(ACC)
    return scale, shift, after


@triton.jit
def _to_colours(weight, styles, n, channel, channels, ACC: tl.constexpr):
    """Return what each channel gives to red, green and blue."""
    present = channel < channels
    own = tl.load(styles + n * channels + channel, mask=present, other=0.0)
    red = own * tl.load(weight + channel, mask=present, other=0.0)
    green = own * tl.load(weight + channels + channel, mask=present, other=0.0)
    blue = own * tl.load(weight + 2 * channels + channel, mask=present, other=0.0)
    return red.to(ACC), green.to(ACC), blue.to(ACC)


@triton.jit
def _across(rows, low_pass, row, column, present, height, width, y_y, y_x, ACC: tl.constexpr):
    """Return a row filtered across: four pixels from each of ``column`` on; the taps follow those of the other axis."""
    line = column * 0 + row
    known = (line >= 0) & (line < height)
    rows += row.to(tl.int64) * y_y
    z = tl.zeros((column.shape[0], present.shape[0]), ACC)
    for tap in tl.static_range(4):
        at = column + tap
        met = ((at >= 0) & (at < width) & known)[:, None] & present[None, :]
        value = tl.load(rows + (at.to(tl.int64) * y_x)[:, None], mask=met, other=0.0)
        z += value.to(ACC) * tl.load(low_pass + 4 + tap).to(ACC)
    return z
