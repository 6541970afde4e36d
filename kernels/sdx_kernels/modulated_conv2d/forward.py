"""The forward passes of modulated_conv2d and styled_layer on their Triton kernels, where no gradient is wanted.

The library's convolution, or `fused.convolution` where the launch table has measured that it wins; all that follows in
one kernel; of a part of the result only what that part depends on.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d

from sdx_kernels import launch
from sdx_kernels.modulated_conv2d import fused
from sdx_kernels.modulated_conv2d.geometry import Geometry, pads_of
from sdx_kernels.modulated_conv2d.packed import PackedWeight, Rgb
from sdx_kernels.random import NoiseKey

_SLOPE = 0.2  # of lrelu below 0


def styled(
    x: Tensor,
    weight: Tensor,
    geometry: Geometry,
    dcoef: Tensor | None,
    noise: Tensor | NoiseKey | None,
    bias: Tensor | None,
    act: str,
    gain: float,
    clamp: float | None,
) -> Tensor:
    """Return the roi of a layer from its scaled input; no gradient flows, and only what the roi needs is computed."""
    n, kernel = len(x), (weight.shape[2], weight.shape[3])
    top, left, bottom, right = geometry.roi
    first_row, first_column, last_row, last_column = geometry.needed(x, kernel)
    part = x[:, :, first_row:last_row, first_column:last_column]
    size = [bottom - top, right - left]
    values, place = fused.noise_arguments(noise, n, geometry.size, geometry.roi)
    packed = weight if geometry.up == 1 else weight.flip((2, 3)).transpose(0, 1)
    implicit = uses_conv_kernel(x, len(weight))
    none = None, None, None, None, None, None
    if geometry.up == 1:
        padding = geometry.pads[0]
        if implicit and (first_row, first_column) == (top, left) == (0, 0) and part.shape == x.shape:
            done: Tensor = fused.convolution(
                part, packed, 1, padding, dcoef, values, place, bias, act, _SLOPE, gain, clamp, None
            )
            return done
        y = _convolve(part, packed, 1, padding, implicit)
        y = y[:, :, top - first_row :, left - first_column :]
        low_pass, pads = None, [0, 0]
    else:
        y = _convolve(part, packed, geometry.up, 0, implicit)
        low_pass = _correlated(geometry.filter, geometry.up, x.device)
        pads = [
            pad - kernel[axis] + 1 - start + geometry.up * first
            for axis, pad, start, first in (
                (0, geometry.pads[2], top, first_row),
                (1, geometry.pads[0], left, first_column),
            )
        ]
    result: Tensor = fused.epilogue(
        y, low_pass, pads, size, dcoef, values, place, bias, act, _SLOPE, gain, clamp, *none
    )[0]
    return result


def styled_layer_triton(
    x: Tensor,
    packed: PackedWeight,
    dcoef: Tensor,
    noise: Tensor | NoiseKey | None,
    bias: Tensor | None,
    act: str,
    gain: float,
    clamp: float | None,
    styles: Tensor | None,
    rgb: Rgb | None,
) -> tuple[Tensor, Tensor | None]:
    """See `sdx_kernels.styled_layer`."""
    n, up, kernel = len(x), packed.up, packed.weight.shape[2]
    half = (kernel - 1) // 2
    size = [up * length for length in x.shape[2:]]
    values, place = fused.noise_arguments(noise, n, size)
    x = x.contiguous(memory_format=torch.channels_last)
    implicit = uses_conv_kernel(x, len(packed.square_sum))
    if implicit and up == 1 and rgb is None:
        y = fused.convolution(x, packed.weight, 1, half, dcoef, values, place, bias, act, _SLOPE, gain, clamp, styles)
        return y, None
    y = _convolve(x, packed.weight, up, half if up == 1 else 0, implicit)
    low_pass, pads = None, [0, 0]
    if packed.low_pass is not None:
        low_pass = packed.low_pass[0, 0].float() if packed.separable is None else packed.separable
        pads = [pads_of(half, taps, up, 1)[0] - kernel + 1 for taps in packed.low_pass.shape[2:]]
    colours = (None,) * 4 if rgb is None else (rgb.weight, rgb.styles, rgb.bias, rgb.image)
    y, image = fused.epilogue(
        y, low_pass, pads, size, dcoef, values, place, bias, act, _SLOPE, gain, clamp, styles, *colours,
        None if rgb is None else rgb.clamp,
    )  # fmt: skip
    return y, None if rgb is None else image


def uses_conv_kernel(x: Tensor, outputs: int) -> bool:
    """Return whether the launch table prefers `fused.convolution` to the library's for an image and its outputs."""
    row = launch.config("modulated_conv2d", size=outputs, bits=8 * x.element_size(), arch=launch.arch_of(x.device))
    return row.blocks["IMPLICIT"] == 1


def _convolve(x: Tensor, weight: Tensor, up: int, padding: int, implicit: bool) -> Tensor:
    """Return the bare convolution, transposed for ``up`` > 1."""
    if implicit:
        y: Tensor = fused.convolution(
            x, weight, up, padding, None, None, fused.NO_NOISE, None, "linear", _SLOPE, 1.0, None, None
        )
        return y
    return conv2d(x, weight, padding=padding) if up == 1 else conv_transpose2d(x, weight, stride=up)


def _correlated(filter: Tensor | None, up: int, device: torch.device) -> Tensor:
    """Return the low-pass of an upsampling to correlate with, its gain included, as `fused.epilogue` takes it."""
    if filter is None:
        return torch.full((1, 1), float(up**2), device=device)
    taps = filter.detach().to(device, torch.float32)
    if filter.ndim == 2:
        return taps.flip((0, 1)) * up**2
    if len(filter) == 4:
        return taps.flip(0).repeat(2) * up
    return torch.outer(taps, taps).flip((0, 1)) * up**2
