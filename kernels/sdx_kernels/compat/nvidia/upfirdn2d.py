"""Resampling by a filter: `torch_utils.ops.upfirdn2d`."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

import sdx_kernels
from sdx_kernels import arguments
from sdx_kernels.arguments import Pair, Sides
from sdx_kernels.compat.nvidia.implementation import implementation
from sdx_kernels.dispatch import KernelError

__all__ = ["downsample2d", "filter2d", "setup_filter", "upfirdn2d", "upsample2d"]

_SEPARABLE_TAPS = 8
"""Taps from which `setup_filter` leaves a filter of one axis as it is."""


def setup_filter(
    f: Tensor | Sequence[float] | Sequence[Sequence[float]] | float | None,
    device: torch.device | str = "cpu",
    normalize: bool = True,
    flip_filter: bool = False,
    gain: float = 1,
    separable: bool | None = None,
) -> Tensor:
    """Return the float32 filter that the other functions take.

    Args:
        f: [rows, columns], [taps], one number, or None for 1; a tensor, an array or nested lists. Never changed.
        device: where the filter is put.
        normalize: divide by the sum of the taps (of each axis, where it stays separable).
        flip_filter: turn it round.
        gain: of the whole filter; a separable one has the square root of it on each axis.
        separable: keep [taps] as it is, for a pass per axis, rather than take its outer product. None: from 8 taps on.

    Raises:
        KernelError: for another rank, no taps, or two axes with ``separable=True``.
    """
    try:
        taps = torch.as_tensor(1.0 if f is None else f, dtype=torch.float32, device=device)
    except (TypeError, ValueError) as error:
        raise KernelError(f"setup_filter: expected f as numbers, got {type(f).__name__}: {error}") from None
    total_gain = arguments.number("setup_filter", "gain", gain)
    if taps.ndim > 2 or not taps.numel():
        raise KernelError(f"setup_filter: expected f as [taps] or [rows, columns], got shape {list(taps.shape)}")
    if taps.ndim == 2 and separable:
        raise KernelError(f"setup_filter: expected f as [taps] for separable=True, got shape {list(taps.shape)}")
    # One factor for all taps, found first: of a filter of one axis it counts for either axis.
    total = float(taps.sum()) if normalize else 1.0
    if total == 0.0:
        raise KernelError("setup_filter: expected f with a sum other than 0 for normalize=True, got 0")
    if taps.ndim == 2:
        filter = taps * (total_gain / total)
    else:
        line = taps.reshape(-1)
        keep = len(line) >= _SEPARABLE_TAPS if separable is None and taps.ndim == 1 else bool(separable)
        if keep and total_gain < 0:
            raise KernelError(f"setup_filter: expected gain >= 0 for a filter of one axis, got {gain}")
        line = line / total
        filter = line * math.sqrt(total_gain) if keep else torch.outer(line, line) * total_gain
    return filter.flip(tuple(range(filter.ndim))) if flip_filter else filter


def upfirdn2d(
    x: Tensor,
    f: Tensor | None,
    up: Pair = 1,
    down: Pair = 1,
    padding: Sides = 0,
    flip_filter: bool = False,
    gain: float = 1,
    impl: str = "cuda",
) -> Tensor:
    """Return ``x`` with zeros inserted, padded or cropped, filtered, and every ``down``-th pixel kept.

    Args:
        x: float16, bfloat16, float32 or float64 [N, C, H, W].
        f: [rows, columns], [taps] for each axis, or None for the single tap 1; gets no gradient.
        up: factor, or (x, y).
        down: factor, or (x, y).
        padding: one number, (x, y), or (left, right, top, bottom), in pixels of the upsampled image.
        flip_filter: correlate rather than convolve.
        gain: multiplier of the result.
        impl: "cuda" = `sdx_kernels`' "auto", "ref" = its "reference".

    Raises:
        KernelError: for what `sdx_kernels.upfirdn2d` refuses, or another ``impl``.
    """
    return _run("upfirdn2d", x, f, up, down, arguments.sides("upfirdn2d", padding), flip_filter, gain, impl)


def filter2d(
    x: Tensor,
    f: Tensor | None,
    padding: Sides = 0,
    flip_filter: bool = False,
    gain: float = 1,
    impl: str = "cuda",
) -> Tensor:
    """Return ``x`` filtered to its own size, enlarged by ``padding``; see `upfirdn2d`."""
    taps = arguments.size("filter2d", "f", f)
    around = _around("filter2d", padding, [(n // 2, (n - 1) // 2) for n in taps])
    return _run("filter2d", x, f, 1, 1, around, flip_filter, gain, impl)


def upsample2d(
    x: Tensor,
    f: Tensor | None,
    up: Pair = 2,
    padding: Sides = 0,
    flip_filter: bool = False,
    gain: float = 1,
    impl: str = "cuda",
) -> Tensor:
    """Return ``x`` upsampled to ``up`` times its size and enlarged by ``padding``; see `upfirdn2d`.

    The result is multiplied by the product of the factors besides ``gain``, which makes up for the inserted zeros.
    """
    factors = arguments.pair("upsample2d", "up", up)
    taps = arguments.size("upsample2d", "f", f)
    own = [((n + k - 1) // 2, (n - k) // 2) for n, k in zip(taps, factors, strict=True)]
    around = _around("upsample2d", padding, own)
    return _run("upsample2d", x, f, factors, 1, around, flip_filter, gain * factors[0] * factors[1], impl)


def downsample2d(
    x: Tensor,
    f: Tensor | None,
    down: Pair = 2,
    padding: Sides = 0,
    flip_filter: bool = False,
    gain: float = 1,
    impl: str = "cuda",
) -> Tensor:
    """Return ``x``, enlarged by ``padding``, downsampled to a ``down``-th of its size; see `upfirdn2d`."""
    factors = arguments.pair("downsample2d", "down", down)
    taps = arguments.size("downsample2d", "f", f)
    own = [((n - k + 1) // 2, (n - k) // 2) for n, k in zip(taps, factors, strict=True)]
    return _run("downsample2d", x, f, 1, factors, _around("downsample2d", padding, own), flip_filter, gain, impl)


def _around(op: str, padding: Sides, own: Sequence[tuple[int, int]]) -> tuple[int, int, int, int]:
    left, right, top, bottom = arguments.sides(op, padding)
    (before_x, after_x), (before_y, after_y) = own
    return left + before_x, right + after_x, top + before_y, bottom + after_y


def _run(
    op: str,
    x: Tensor,
    f: Tensor | None,
    up: Pair,
    down: Pair,
    padding: tuple[int, int, int, int],
    flip_filter: bool,
    gain: float,
    impl: str,
) -> Tensor:
    arguments.tensor(op, "x", x, "[N, C, H, W]", (4,))
    arguments.size(op, "f", f)
    return sdx_kernels.upfirdn2d(
        x,
        f,
        up=arguments.pair(op, "up", up),
        down=arguments.pair(op, "down", down),
        padding=padding,
        flip_filter=flip_filter,
        gain=float(gain),
        impl=implementation(op, impl),
    )
