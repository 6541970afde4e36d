"""upfirdn2d as a registered torch op: linear, and its own derivative with up and down exchanged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from sdx_kernels import launch, layout
from sdx_kernels.upfirdn2d.strip import is_strip, launch_strip

LARGEST_SQUARE = 8
"""Taps of a filter of one axis up to which one pass over its square beats two passes with a result between them."""


@torch.library.custom_op("sdx_kernels::upfirdn2d", mutates_args=())
def upfirdn2d(
    x: Tensor, filter: Tensor | None, factors: Sequence[int], padding: Sequence[int], flip_filter: bool, gain: float
) -> Tensor:
    """See `sdx_kernels.upfirdn2d`; ``factors`` = (up x, up y, down x, down y), padding (left, right, top, bottom)."""
    if filter is not None:
        filter = filter.to(x.device, layout.wide(x)).contiguous()
    out = _result(x, filter, factors, padding)
    if filter is not None and is_strip(x, filter, out, factors):
        launch_strip(x, filter, out, factors, padding, flip_filter, gain)
        return out
    if filter is None or filter.ndim == 2 or len(filter) <= LARGEST_SQUARE:
        _launch(x, filter, out, factors, padding, flip_filter, gain)
        return out
    up_x, up_y, down_x, down_y = factors
    left, right, top, bottom = padding
    columns, along_x, only_x = filter[None, :], (up_x, 1, down_x, 1), (left, right, 0, 0)
    between = _result(x, columns, along_x, only_x, layout.wide(x))
    _launch(x, columns, between, along_x, only_x, flip_filter, 1.0)
    _launch(between, filter[:, None], out, (1, up_y, 1, down_y), (0, 0, top, bottom), flip_filter, gain)
    return out


def _launch(
    x: Tensor,
    filter: Tensor | None,
    out: Tensor,
    factors: Sequence[int],
    padding: Sequence[int],
    flip_filter: bool,
    gain: float,
) -> None:
    from sdx_kernels.upfirdn2d.kernel import upfirdn2d_kernel

    up_x, up_y, down_x, down_y = factors
    left, _, top, _ = padding
    taps_y, taps_x = _taps(filter)
    n, channels, height, width = out.shape
    row = launch.config(
        name(channels > 1 and out.stride(1) == 1, max(up_x, up_y)),
        size=channels,
        bits=8 * out.element_size(),
        arch=launch.arch_of(out.device),
    )
    pixels, side = row.blocks["BLOCK_P"], row.blocks["SIDE"]
    tiles = -(-height // (pixels // side)) * -(-width // side)
    groups = -(-channels // row.blocks["BLOCK_C"])
    launch.launch(
        upfirdn2d_kernel,
        (tiles * groups * n,),
        x,
        filter,
        out,
        height,
        width,
        channels,
        *x.shape[2:],
        tiles,
        groups,
        top,
        left,
        max(-(-top // up_y), 0),
        max(-(-left // up_x), 0),
        *x.stride(),
        *out.stride(),
        float(gain),
        row=row,
        TAPS_Y=taps_y,
        TAPS_X=taps_x,
        UP_Y=up_y,
        UP_X=up_x,
        DOWN_Y=down_y,
        DOWN_X=down_x,
        FILTER=0 if filter is None else filter.ndim,
        FLIP=flip_filter,
        ACC=layout.accumulator(x),
    )


def name(channels_last: bool, up: int) -> str:
    """Return what the launch table calls the kernel."""
    return "upfirdn2d_kernel" + ("_channels_last" + ("_up" if up > 1 else "") if channels_last else "")


def _taps(filter: Tensor | None) -> tuple[int, int]:
    return (1, 1) if filter is None else (filter.shape[0], filter.shape[-1])


def _result(
    x: Tensor,
    filter: Tensor | None,
    factors: Sequence[int],
    padding: Sequence[int],
    dtype: torch.dtype | None = None,
) -> Tensor:
    up_x, up_y, down_x, down_y = factors
    left, right, top, bottom = padding
    taps_y, taps_x = _taps(filter)
    n, channels, height, width = x.shape
    shape = (
        n,
        channels,
        (height * up_y + top + bottom - taps_y) // down_y + 1,
        (width * up_x + left + right - taps_x) // down_x + 1,
    )
    return torch.empty(shape, dtype=dtype or x.dtype, device=x.device, memory_format=layout.order_of(x))


@upfirdn2d.register_fake
def _(x: Tensor, filter: Tensor | None, factors: Sequence[int], padding: Sequence[int], *_: Any) -> Tensor:
    return _result(x, filter, factors, padding)


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, filter, ctx.factors, ctx.padding, ctx.flip_filter, ctx.gain = inputs
    ctx.sides = x.shape[2], x.shape[3]
    ctx.save_for_backward(filter)


def _backward(ctx: Any, upstream: Tensor) -> tuple[Any, ...]:
    (filter,) = ctx.saved_tensors
    up_x, up_y, down_x, down_y = ctx.factors
    left, _, top, _ = ctx.padding
    taps_y, taps_x = _taps(filter)
    columns = _transposed(ctx.sides[1], upstream.shape[3], up_x, down_x, left, taps_x)
    rows = _transposed(ctx.sides[0], upstream.shape[2], up_y, down_y, top, taps_y)
    factors = [down_x, down_y, up_x, up_y]
    at_x = upfirdn2d(upstream, filter, factors, [*columns, *rows], not ctx.flip_filter, ctx.gain)
    return at_x, None, None, None, None, None


def _transposed(length: int, result: int, up: int, down: int, before: int, taps: int) -> tuple[int, int]:
    """Return the padding of one axis with which the op from the result back to the source is its transpose.

    Result pixel o meets source pixel i at tap ``i * up + before - o * down``. Read from the source that is tap
    ``o * down + (taps - 1 - before) - i * up`` of the filter turned round: the zeros before. Those after make the
    last source pixel the last one that fits.
    """
    first = taps - 1 - before
    last = (length - 1) * up + taps - 1  # under the last tap of the last source pixel
    return first, last - first - ((result - 1) * down + down - 1)


upfirdn2d.register_autograd(_backward, setup_context=_save)
