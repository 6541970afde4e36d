"""Upsample, filter and downsample images in one step."""

from __future__ import annotations

from torch import Tensor

from sdx_kernels import arguments, dispatch, layout
from sdx_kernels.upfirdn2d.autograd import upfirdn2d as upfirdn2d_triton
from sdx_kernels.upfirdn2d.reference import upfirdn2d_reference

__all__ = ["upfirdn2d"]


def upfirdn2d(
    x: Tensor,
    filter: Tensor | None,
    *,
    up: arguments.Pair = 1,
    down: arguments.Pair = 1,
    padding: arguments.Sides = 0,
    flip_filter: bool = False,
    gain: float = 1.0,
    impl: dispatch.Impl = "auto",
) -> Tensor:
    """Return ``x`` with zeros inserted, padded or cropped, filtered, and every ``down``-th pixel of that kept.

    Each pixel is followed by ``up - 1`` zeros; the result is padded by zeros (cropped where ``padding`` is negative),
    convolved with ``gain * filter`` where the filter fits wholly, and thinned out. Rows and columns alike:
    ``H_out = (H * up + before + after - taps) // down + 1``. StyleGAN2's operation of that name (Karras et al. 2020).

    Args:
        x: float16, bfloat16, float32 or float64 [N, C, H, W], any strides; channels_last is kept. Gradients of any
            order flow through (the op is linear).
        filter: on the device of ``x``, [taps, taps'] (rows, columns), or [taps] for its outer product with itself, or
            None for the single tap 1. It is used as given, neither normalised nor scaled by ``up``, and gets no
            gradient.
        up: factor of upsampling, one number or (x, y), columns first as in StyleGAN2's code.
        down: factor of downsampling, likewise.
        padding: one number, (x, y), or (left, right, top, bottom), in pixels of the upsampled image.
        flip_filter: correlate instead of convolve.
        gain: multiplier of the result.
        impl: see `sdx_kernels.backend`.

    Returns:
        [N, C, H_out, W_out] in the dtype of ``x``, never ``x`` itself; accumulated in float32 or better.

    Raises:
        KernelError: for another rank or dtype, factors below 1, an output without pixels, or Triton where it cannot
            run.
    """
    triton = dispatch.runs_triton("upfirdn2d", impl, x=x, filter=filter)
    if x.ndim != 4 or x.dtype not in layout.DTYPES:
        raise dispatch.KernelError(
            f"upfirdn2d: expected floating-point images [N, C, H, W], got {x.dtype} {list(x.shape)}"
        )
    if filter is not None and (filter.ndim not in (1, 2) or filter.dtype not in layout.DTYPES or not filter.numel()):
        raise dispatch.KernelError(
            "upfirdn2d: expected a floating-point filter [taps] or [taps, taps'], "
            f"got {filter.dtype} {list(filter.shape)}"
        )
    factors = (*arguments.pair("upfirdn2d", "up", up), *arguments.pair("upfirdn2d", "down", down))
    left, right, top, bottom = arguments.sides("upfirdn2d", padding)
    gain = arguments.number("upfirdn2d", "gain", gain)
    taps_y, taps_x = (1, 1) if filter is None else (filter.shape[0], filter.shape[-1])
    height = x.shape[2] * factors[1] + top + bottom - taps_y
    width = x.shape[3] * factors[0] + left + right - taps_x
    if 0 in x.shape[2:] or height < 0 or width < 0:
        raise dispatch.KernelError(
            f"upfirdn2d: expected padded images of at least the filter's {taps_y}x{taps_x} taps, "
            f"got {height + taps_y}x{width + taps_x} from {list(x.shape)}, up={up}, padding={padding}"
        )
    if triton:
        taps = None if filter is None else filter.detach()
        y: Tensor = upfirdn2d_triton(x, taps, factors, (left, right, top, bottom), flip_filter, gain)
    else:
        y = upfirdn2d_reference(x, filter, factors, (left, right, top, bottom), flip_filter, gain)
    dispatch.checked("upfirdn2d", y)
    return y
