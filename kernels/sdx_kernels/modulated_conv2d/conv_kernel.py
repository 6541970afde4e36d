"""The convolution of modulated_conv2d as an implicit matrix product, with what follows it done to its accumulator."""

from __future__ import annotations

import triton
import triton.language as tl

from sdx_kernels.bias_act.kernel import activation, limited


@triton.jit
def conv_kernel(
    x,
    weight,
    dcoef,
    noise,
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
    HAS_NOISE: tl.constexpr,
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
    start = tl.program_id(0).to(tl.int64) * BLOCK_M
    lane = tl.arange(0, BLOCK_M)
    output = tl.program_id(1) * BLOCK_N + tl.arange(0, BLOCK_N)
    valid = lane < pixels - start
    present = output < outputs
    # The first pixel is found in 64 bits: from there on 32 suffice, and divide quicker.
    first = start // width
    image = first // height
    rest = (start - first * width).to(tl.int32) + lane
    line = (first - image * height).to(tl.int32) + rest // width
    column = rest % width
    beyond = line // height
    row = line - beyond * height
    n = image + beyond
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
        b_at = place * weight_t + (input.to(tl.int64) * weight_i)[:, None] + (output.to(tl.int64) * weight_o)[None, :]
        b = tl.load(weight + b_at, mask=known[:, None] & present[None, :], other=0.0)
        z = tl.dot(a, b, z, input_precision="ieee", out_dtype=ACC)
    mask = valid[:, None] & present[None, :]
    if HAS_DCOEF:
        z *= tl.load(dcoef + (n * outputs)[:, None] + output[None, :], mask=mask, other=0.0).to(ACC)
    if HAS_NOISE:
        number = noise_start + row.to(tl.int64) * noise_y + column
        z += tl.load(noise + n * noise_n + number, mask=valid, other=0.0).to(ACC)[:, None]
    if HAS_BIAS:
        z += tl.load(bias + output, mask=present, other=0.0).to(ACC)[None, :]
    z = gain * activation(z, alpha, ACT)
    if HAS_CLAMP:
        z = limited(z, clamp)
    if HAS_STYLES:
        z *= tl.load(styles + (n * outputs)[:, None] + output[None, :], mask=mask, other=0.0).to(ACC)
    at = n * out_n + row.to(tl.int64) * out_y + column.to(tl.int64) * out_x
    tl.store(out + at[:, None] + output[None, :], z.to(out.dtype.element_ty), mask=mask)
