"""The Triton kernel of all that follows a convolution in modulated_conv2d and styled_layer.

One read and one write: the low-pass of an upsampling, dcoef, noise, bias, activation, gain, clamp, the colours, the
next layer's styles.
"""

from __future__ import annotations

import triton
import triton.language as tl

from sdx_kernels.bias_act.kernel import activation, limited

_COLOURS = tl.constexpr(16)  # columns of a matrix instruction, of which three are used


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
    BLOCK_P: tl.constexpr,
    SIDE: tl.constexpr,
    BLOCK_C: tl.constexpr,
):
    """Finish BLOCK_P pixels of one image, CHUNKS times BLOCK_C channels.

    TAPS_Y = 0 means no low-pass. The pixels follow each other in rows of the image (SIDE 0), or are a tile SIDE wide,
    of which a low-pass reads fewer around. With FOLDS the gain goes through the activation, and is taken with dcoef,
    noise and bias. The colours are a matrix product in the format of y, as sums over channels they would be shuffles.
    """
    program = tl.program_id(0)
    n = (program // (tiles * groups)).to(tl.int64)
    group = program // tiles % groups
    tile = program % tiles
    lane = tl.arange(0, BLOCK_P)
    if SIDE == 0:
        corner = tile.to(tl.int64) * BLOCK_P
        first = corner // width
        rest = (corner - first * width).to(tl.int32) + lane  # 32 bits suffice beyond the first row, and divide quicker
        row = first.to(tl.int32) + rest // width
        column = rest % width
        beyond = lane
    else:
        across = (width + SIDE - 1) // SIDE
        row = tile // across * (BLOCK_P // SIDE) + lane // SIDE
        column = tile % across * SIDE + lane % SIDE
        corner = (tile // across * (BLOCK_P // SIDE)).to(tl.int64) * width + tile % across * SIDE
        beyond = lane // SIDE * width + lane % SIDE
    valid = (row < height) & (column < width)
    y += n * y_n
    out += n * out_n
    if HAS_NOISE:
        grain = noise_of(noise, n, noise_n, noise_start, noise_y, row, column, valid, gain, FOLDS, ACC)
    if HAS_RGB:
        colour = tl.arange(0, _COLOURS)
        colours = tl.zeros((BLOCK_P, _COLOURS), ACC)
    for chunk in range(CHUNKS):
        channel = (group * CHUNKS + chunk) * BLOCK_C + tl.arange(0, BLOCK_C)
        present = channel < channels
        mask = valid[:, None] & present[None, :]
        if TAPS_Y == 0:
            at = row.to(tl.int64) * y_y + column.to(tl.int64) * y_x
            z = tl.load(y + at[:, None] + (channel.to(tl.int64) * y_c)[None, :], mask=mask, other=0.0).to(ACC)
        else:
            z = tl.zeros((BLOCK_P, BLOCK_C), ACC)
            for tap in tl.static_range(TAPS_Y * TAPS_X):
                source_row = row + (tap // TAPS_X - pad_y)
                source_column = column + (tap % TAPS_X - pad_x)
                inside = (source_row >= 0) & (source_row < in_height) & (source_column >= 0)
                inside = inside & (source_column < in_width)
                at = source_row.to(tl.int64) * y_y + source_column.to(tl.int64) * y_x
                met = inside[:, None] & mask
                value = tl.load(y + at[:, None] + (channel.to(tl.int64) * y_c)[None, :], mask=met, other=0.0).to(ACC)
                z += value * tl.load(low_pass + tap).to(ACC)
        scale, shift, after = of_channels(
            dcoef, bias, styles, n, channel, channels, gain, HAS_DCOEF, HAS_BIAS, HAS_STYLES, FOLDS, ACC
        )
        if HAS_DCOEF or FOLDS:
            z *= scale[None, :]
        if HAS_NOISE:
            z += grain[:, None]
        z = activated(z, shift, alpha, gain, clamp, HAS_BIAS, HAS_CLAMP, ACT, FOLDS)
        if HAS_RGB:
            own = tl.load(rgb_styles + n * channels + channel, mask=present, other=0.0)
            known = present[:, None] & (colour < 3)[None, :]
            weight = tl.load(rgb_weight + channel[:, None] + colour[None, :] * channels, mask=known, other=0.0)
            share = (own[:, None] * weight).to(y.dtype.element_ty)
            colours = tl.dot(z.to(y.dtype.element_ty), share, colours, input_precision="ieee", out_dtype=ACC)
        if HAS_STYLES:
            z *= after[None, :]
        at = row.to(tl.int64) * out_y + column.to(tl.int64) * out_x
        tl.store(out + at[:, None] + (channel.to(tl.int64) * out_c)[None, :], z.to(out.dtype.element_ty), mask=mask)
    if HAS_RGB:
        shown = valid[:, None] & (colour < 3)[None, :]
        colours += tl.load(rgb_bias + colour, mask=colour < 3, other=0.0)[None, :]
        if HAS_RGB_CLAMP:
            colours = limited(colours, rgb_clamp)
        place = n * 3 * height * width + corner + beyond[:, None] + colour[None, :].to(tl.int64) * height * width
        if HAS_SKIP:
            colours += tl.load(skip + place, mask=shown, other=0.0)
        tl.store(image + place, colours, mask=shown)


@triton.jit
def noise_of(noise, n, noise_n, start, pitch, row, column, valid, gain, FOLDS: tl.constexpr, ACC: tl.constexpr):
    """Return the noise of pixels."""
    number = start + row.to(tl.int64) * pitch + column
    grain = tl.load(noise + n * noise_n + number, mask=valid, other=0.0).to(ACC)
    if FOLDS:
        grain *= gain
    return grain


@triton.jit
def of_channels(
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
def activated(
    z, shift, alpha, gain, clamp, HAS_BIAS: tl.constexpr, HAS_CLAMP: tl.constexpr, ACT: tl.constexpr,
    FOLDS: tl.constexpr,
):  # fmt: skip
    """Return what bias, activation, gain and clamp make of z."""
    if HAS_BIAS:
        z += shift[None, :]
    z = activation(z, alpha, ACT)
    if not FOLDS:
        z *= gain
    if HAS_CLAMP:
        z = limited(z, clamp)
    return z
