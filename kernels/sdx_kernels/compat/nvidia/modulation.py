"""The modulated convolution of `training.networks_stylegan2` and `training.networks`."""

from __future__ import annotations

from torch import Tensor

import sdx_kernels
from sdx_kernels import arguments
from sdx_kernels.arguments import Sides
from sdx_kernels.compat.nvidia.conv2d_gradfix import switchable
from sdx_kernels.dispatch import KernelError

__all__ = ["modulated_conv2d"]


def modulated_conv2d(
    x: Tensor,
    weight: Tensor,
    styles: Tensor,
    noise: Tensor | None = None,
    up: int = 1,
    down: int = 1,
    padding: Sides = 0,
    resample_filter: Tensor | None = None,
    demodulate: bool = True,
    flip_weight: bool = True,
    fused_modconv: bool = True,
) -> Tensor:
    """Return the convolution of ``x`` by weights modulated per sample, resampled, plus noise.

    Args:
        x: float16, bfloat16, float32 or float64 [N, I, H, W]; under autocast the result is in its format, as theirs.
        weight: [O, I, kh, kw].
        styles: [N, I].
        noise: [H', W'], [1, 1, H', W'] or [N, 1, H', W'], added to the result.
        up: factor of upsampling.
        down: factor of downsampling.
        padding: one number, or the same on every side.
        resample_filter: of `upfirdn2d.setup_filter`.
        demodulate: bring each output channel back to unit expected variance.
        flip_weight: correlate; False convolves.
        fused_modconv: taken and without effect: both values mean the same function, and weights of a sample are never
            built. Float16 needs no scaling beforehand either, as it accumulates in float32.

    Raises:
        KernelError: for what `sdx_kernels.modulated_conv2d` refuses, or sides that differ.
    """
    op = "modulated_conv2d"
    arguments.tensor(op, "x", x, "[N, I, H, W]", (4,))
    arguments.tensor(op, "weight", weight, "[O, I, kh, kw]", (4,))
    arguments.tensor(op, "styles", styles, "[N, I]", (2,))
    if noise is not None:
        arguments.tensor(op, "noise", noise, "[H', W'] or [N or 1, 1, H', W']", (2, 4))
    arguments.size(op, "resample_filter", resample_filter)
    for name, value in (("up", up), ("down", down)):
        if not isinstance(value, int) or value < 1:
            raise KernelError(f"{op}: expected {name} as an int >= 1, got {value!r}")
    around = arguments.sides(op, padding)
    if len(set(around)) > 1:
        raise KernelError(f"{op}: expected the same padding on every side, got {padding!r}; use conv2d_resample")
    return sdx_kernels.modulated_conv2d(
        x,
        switchable(weight),
        styles,
        demodulate=demodulate,
        up=up,
        down=down,
        padding=around[0],
        filter=resample_filter,
        noise=noise,
        flip_weight=flip_weight,
    )
