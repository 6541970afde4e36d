"""Resampling by a filter: `op.upfirdn2d`."""

from __future__ import annotations

from torch import Tensor

import sdx_kernels
from sdx_kernels import arguments
from sdx_kernels.arguments import Pair

__all__ = ["upfirdn2d"]


def upfirdn2d(input: Tensor, kernel: Tensor, up: Pair = 1, down: Pair = 1, pad: tuple[int, ...] = (0, 0)) -> Tensor:
    """Return ``input`` with zeros inserted, padded or cropped, convolved, and every ``down``-th pixel kept.

    Args:
        input: float16, bfloat16, float32 or float64 [N, C, H, W].
        kernel: [rows, columns], used as given; gets no gradient.
        up: factor, or (x, y).
        down: factor, or (x, y).
        pad: (before, after) of both axes, or (left, right, top, bottom); negative numbers crop.

    Raises:
        KernelError: for what `sdx_kernels.upfirdn2d` refuses.
    """
    op = "upfirdn2d"
    arguments.tensor(op, "input", input, "[N, C, H, W]", (4,))
    arguments.tensor(op, "kernel", kernel, "[rows, columns]", (2,))
    around = arguments.numbers(op, "pad", pad, (2, 4), "(before, after) or (left, right, top, bottom)")
    left, right, top, bottom = around if len(around) == 4 else (*around, *around)
    return sdx_kernels.upfirdn2d(
        input,
        kernel,
        up=arguments.pair(op, "up", up),
        down=arguments.pair(op, "down", down),
        padding=(left, right, top, bottom),
    )
