"""The Triton kernels of modulated_conv2d and styled_layer.

`epilogue_kernel` is everything that follows a convolution, in one read and one write: the low-pass of an upsampling,
dcoef, noise, bias, activation, gain, clamp, the colours, the next layer's styles. `conv_kernel` is the convolution
itself as an implicit matrix product, with the same things done to its accumulator.
"""

from __future__ import annotations

import triton
import triton.language as tl

from sdx_kernels.bias_act.kernel import activation, limited
from sdx_kernels.random_kernel import normals


@triton.jit
def epilogue_kernel(
    y,
    low_pass,
    dcoef,
    noise,
    index,
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
    seed_low,
    seed_high,
    stream,
    alpha,
    gain,
    clamp,
    rgb_clamp,
    TAPS_Y: tl.constexpr,
    TAPS_X: tl.constexpr,
    HAS_DCOEF: tl.constexpr,
    NOISE: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    HAS_CLAMP: tl.constexpr,
    HAS_STYLES: tl.constexpr,
    HAS_RGB: tl.constexpr,
    HAS_SKIP: tl.constexpr,
    HAS_RGB_CLAMP: tl.constexpr,
    ACT: tl.constexpr,
    ACC: tl.constexpr,
    CHUNKS: tl.constexpr,
    BLOCK_P: tl.constexpr,
    SIDE: tl.constexpr,
    BLOCK_C: tl.constexpr,
):
    """Finish BLOCK_P pixels of one image, CHUNKS times BLOCK_C channels.

    ``noise`` is a tensor (NOISE 1), or what multiplies the normals of (seed, stream, index) (NOISE 2); pixel (row,
    column) has number ``noise_start + row * noise_y + column`` in it. TAPS_Y = 0 means no low-pass. The pixels follow
    each other in rows of the image (SIDE 0), or are a tile SIDE wide, of which a low-pass reads fewer around.
    """
    program = tl.program_id(0)
    n = (program // (tiles * groups)).to(tl.int64)
    group = program // tiles % groups
    tile = program % tiles
    lane = tl.arange(0, BLOCK_P)
    if SIDE == 0:
        pixel = tile * BLOCK_P + lane
        row = pixel // width
        column = pixel % width
    else:
        across = (width + SIDE - 1) // SIDE
        row = tile // across * (BLOCK_P // SIDE) + lane // SIDE
        column = tile % across * SIDE + lane % SIDE
        pixel = row * width + column
    valid = (row < height) & (column < width)
    y += n * y_n
    out += n * out_n
    if NOISE > 0:
        grain = _noise(
            noise, index, n, noise_start + row.to(tl.int64) * noise_y + column, valid, noise_n, seed_low, seed_high,
            stream, NOISE, ACC,
        )  # fmt: skip
    if HAS_RGB:
        red = tl.zeros((BLOCK_P,), ACC)
        green = tl.zeros((BLOCK_P,), ACC)
        blue = tl.zeros((BLOCK_P,), ACC)
    for chunk in range(CHUNKS):
        channel = (group * CHUNKS + chunk) * BLOCK_C + tl.arange(0, BLOCK_C)
        present = channel < channels
        if TAPS_Y == 0:
            at = row.to(tl.int64) * y_y + column.to(tl.int64) * y_x
            mask = valid[:, None] & present[None, :]
            z = tl.load(y + at[:, None] + (channel.to(tl.int64) * y_c)[None, :], mask=mask, other=0.0).to(ACC)
        else:
            z = tl.zeros((BLOCK_P, BLOCK_C), ACC)
            for tap in tl.static_range(TAPS_Y * TAPS_X):
                source_row = row + (tap // TAPS_X - pad_y)
                source_column = column + (tap % TAPS_X - pad_x)
                inside = (source_row >= 0) & (source_row < in_height) & (source_column >= 0)
                inside = inside & (source_column < in_width) & valid
                at = source_row.to(tl.int64) * y_y + source_column.to(tl.int64) * y_x
                mask = inside[:, None] & present[None, :]
                value = tl.load(y + at[:, None] + (channel.to(tl.int64) * y_c)[None, :], mask=mask, other=0.0).to(ACC)
                z += value * tl.load(low_pass + tap).to(ACC)
        if HAS_DCOEF:
            z *= tl.load(dcoef + n * channels + channel, mask=present, other=0.0).to(ACC)[None, :]
        if NOISE > 0:
            z += grain[:, None]
        if HAS_BIAS:
            z += tl.load(bias + channel, mask=present, other=0.0).to(ACC)[None, :]
        z = gain * activation(z, alpha, ACT)
        if HAS_CLAMP:
            z = limited(z, clamp)
        if HAS_RGB:
            own = tl.load(rgb_styles + n * channels + channel, mask=present, other=0.0)
            for colour in tl.static_range(3):
                share = own * tl.load(rgb_weight + colour * channels + channel, mask=present, other=0.0)
                part = tl.sum(z * share.to(ACC)[None, :], 1)
                if colour == 0:
                    red += part
                elif colour == 1:
                    green += part
                else:
                    blue += part
        if HAS_STYLES:
            z *= tl.load(styles + n * channels + channel, mask=present, other=0.0).to(ACC)[None, :]
        at = row.to(tl.int64) * out_y + column.to(tl.int64) * out_x
        mask = valid[:, None] & present[None, :]
        tl.store(out + at[:, None] + (channel.to(tl.int64) * out_c)[None, :], z.to(out.dtype.element_ty), mask=mask)
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
def conv_kernel(
    x,
    weight,
    dcoef,
    noise,
    index,
    bias,
    styles,
    out,
    pixels,
    height,
    width,
    outputs,
    in_height,
    in_width,
    x_n,
    x_c,
    x_y,
    x_x,
    weight_o,
    weight_i,
    weight_t,
    out_n,
    out_y,
    out_x,
    noise_n,
    noise_start,
    noise_y,
    seed_low,
    seed_high,
    stream,
    alpha,
    gain,
    clamp,
    INPUTS: tl.constexpr,
    KERNEL_X: tl.constexpr,
    TAPS_Y: tl.constexpr,
    TAPS_X: tl.constexpr,
    FIRST_Y: tl.constexpr,
    FIRST_X: tl.constexpr,
    UP: tl.constexpr,
    PAD: tl.constexpr,
    HAS_DCOEF: tl.constexpr,
    NOISE: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    HAS_CLAMP: tl.constexpr,
    HAS_STYLES: tl.constexpr,
    ACT: tl.constexpr,
    ACC: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    """Compute BLOCK_M pixels, of all images in a row, by BLOCK_N channels.

    With UP = 1, pixel (q, r) takes x at (q - PAD + j, r - PAD + i) times tap (j, i). With UP > 1 this is one phase of a
    transposed convolution: pixel (q, r) of the phase, (UP q + FIRST_Y, UP r + FIRST_X) of the result, takes x at
    (q - j, r - i) times tap (FIRST_Y + UP j, FIRST_X + UP i). The output's strides are those of the phase.
    """
    pixel = tl.program_id(0).to(tl.int64) * BLOCK_M + tl.arange(0, BLOCK_M)
    output = tl.program_id(1) * BLOCK_N + tl.arange(0, BLOCK_N)
    valid = pixel < pixels
    present = output < outputs
    n = pixel // (height * width)
    rest = (pixel % (height * width)).to(tl.int32)
    row = rest // width
    column = rest % width
    inner = tl.arange(0, BLOCK_K)
    CHUNKS: tl.constexpr = (INPUTS + BLOCK_K - 1) // BLOCK_K
    z = tl.zeros((BLOCK_M, BLOCK_N), ACC)
    for step in range(TAPS_Y * TAPS_X * CHUNKS):
        tap = step // CHUNKS
        input = (step % CHUNKS) * BLOCK_K + inner
        tap_y = tap // TAPS_X
        tap_x = tap % TAPS_X
        if UP == 1:
            source_row = row + (tap_y - PAD)
            source_column = column + (tap_x - PAD)
        else:
            source_row = row - tap_y
            source_column = column - tap_x
        place = (FIRST_Y + UP * tap_y) * KERNEL_X + FIRST_X + UP * tap_x
        inside = (source_row >= 0) & (source_row < in_height) & (source_column >= 0) & (source_column < in_width)
        at = n * x_n + source_row.to(tl.int64) * x_y + source_column.to(tl.int64) * x_x
        known = input < INPUTS
        mask = (inside & valid)[:, None] & known[None, :]
        a = tl.load(x + at[:, None] + (input.to(tl.int64) * x_c)[None, :], mask=mask, other=0.0)
        b = tl.load(
            weight + place * weight_t + (input * weight_i)[:, None] + (output * weight_o)[None, :],
            mask=known[:, None] & present[None, :],
            other=0.0,
        )
        z = tl.dot(a, b, z, input_precision="ieee", out_dtype=ACC)
    mask = valid[:, None] & present[None, :]
    if HAS_DCOEF:
        z *= tl.load(dcoef + (n * outputs)[:, None] + output[None, :], mask=mask, other=0.0).to(ACC)
    if NOISE > 0:
        number = noise_start + row.to(tl.int64) * noise_y + column
        z += _noise(noise, index, n, number, valid, noise_n, seed_low, seed_high, stream, NOISE, ACC)[:, None]
    if HAS_BIAS:
        z += tl.load(bias + output, mask=present, other=0.0).to(ACC)[None, :]
    z = gain * activation(z, alpha, ACT)
    if HAS_CLAMP:
        z = limited(z, clamp)
    if HAS_STYLES:
        z *= tl.load(styles + (n * outputs)[:, None] + output[None, :], mask=mask, other=0.0).to(ACC)
    at = n * out_n + row.to(tl.int64) * out_y + column * out_x
    tl.store(out + at[:, None] + output[None, :], z.to(out.dtype.element_ty), mask=mask)


@triton.jit
def _noise(
    noise, index, n, number, valid, noise_n, seed_low, seed_high, stream, NOISE: tl.constexpr, ACC: tl.constexpr
):
    """Return the noise of pixels by their numbers, with its strength in it."""
    if NOISE == 1:
        grain = tl.load(noise + n * noise_n + number, mask=valid, other=0.0).to(ACC)
    else:
        image = tl.load(index + n + number * 0, mask=valid, other=0)
        grain = (normals(seed_low, seed_high, stream, image, number) * tl.load(noise)).to(ACC)
    return grain
