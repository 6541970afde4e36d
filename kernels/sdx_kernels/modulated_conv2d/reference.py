"""The specification of modulated_conv2d: one dense convolution between two scalings, then the epilogue."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d

from sdx_kernels import layout
from sdx_kernels.bias_act import Activation, bias_act
from sdx_kernels.bias_act.reference import DEFAULT_GAIN, HOMOGENEOUS, activate, limit
from sdx_kernels.dispatch import Impl
from sdx_kernels.modulated_conv2d.geometry import Geometry
from sdx_kernels.random import NoiseKey
from sdx_kernels.upfirdn2d import upfirdn2d

_EPSILON = 1e-8

SMALLEST = 1e-20
"""What a size counts as at least, so that dividing by the size of nothing makes no NaN."""


def modulated_conv2d_reference(
    x: Tensor,
    weight: Tensor,
    styles: Tensor,
    geometry: Geometry,
    *,
    demodulate: bool,
    noise: Tensor | NoiseKey | None,
    bias: Tensor | None,
    act: Activation,
    gain: float | None,
    clamp: float | None,
) -> Tensor:
    """See `sdx_kernels.modulated_conv2d`; ``weight`` is correlated."""
    wide = layout.wide(x, weight, styles)
    w, s = weight.to(wide), styles.to(wide)
    with layout.without_autocast(x.device):
        y = resampled_conv(x.to(wide) * s[:, :, None, None], w, geometry, "reference")
        dcoef = demodulation(w.square().sum((2, 3)), s) if demodulate else None
    top, left, bottom, right = geometry.roi
    grain = noise_of(noise, geometry)
    grain = None if grain is None else grain.to(wide)
    y = _epilogue(y[:, :, top:bottom, left:right], dcoef, grain, bias, act, gain, clamp)
    return layout.like(y.to(x.dtype), x)


def noise_of(noise: Tensor | NoiseKey | None, geometry: Geometry) -> Tensor | None:
    """Return the noise of the roi, [N or 1, 1, H, W]."""
    if noise is None:
        return None
    whole = noise.image(*geometry.size) if isinstance(noise, NoiseKey) else noise
    top, left, bottom, right = geometry.roi
    return (whole if whole.ndim == 4 else whole[None, None])[..., top:bottom, left:right]


def demodulation(square_sum: Tensor, styles: Tensor) -> Tensor:
    """Return dcoef, [N, O], of sums of squared taps [O, I] and styles [N, I], in their wider format."""
    return (styles.square() @ square_sum.T + _EPSILON).rsqrt()


def _epilogue(
    y: Tensor,
    dcoef: Tensor | None,
    noise: Tensor | None,
    bias: Tensor | None,
    act: Activation,
    gain: float | None,
    clamp: float | None,
) -> Tensor:
    """Return ``bias_act(y * dcoef + noise)``; what can be is done to the small tensors before they meet ``y``."""
    outer = DEFAULT_GAIN[act] if gain is None else gain
    if act not in HOMOGENEOUS or outer <= 0:
        y = y if dcoef is None else y * dcoef[:, :, None, None]
        y = y if noise is None else y + noise
        return bias_act(y, bias, act=act, gain=gain, clamp=clamp, impl="reference")
    scale = torch.full_like(y[:, :, :1, :1], outer) if dcoef is None else dcoef[:, :, None, None] * outer
    shift = None if bias is None else bias.to(y.dtype)[None, :, None, None] * outer
    if noise is not None:
        y = torch.addcmul(noise * outer, y, scale)
        y = y if shift is None else y + shift
    else:
        y = y * scale if shift is None else torch.addcmul(shift, y, scale)
    return limit(activate(y, act), clamp)


def resampled_conv(x: Tensor, weight: Tensor, geometry: Geometry, impl: Impl) -> Tensor:
    """Return resample(conv(x, weight)) in the order that touches the fewest pixels; all orders are one function."""
    up, down, filter, pads = geometry.up, geometry.down, geometry.filter, geometry.pads
    if up > 1:
        y = upsampled_conv(x, weight.flip((2, 3)).transpose(0, 1), filter, up, pads, impl)
        return y if down == 1 else upfirdn2d(y, filter, down=down, impl=impl)
    if down > 1:
        # The convolution skips the pixels that downsampling would drop, once the filter has gone before it.
        return conv2d(upfirdn2d(x, filter, padding=pads, impl=impl), weight, stride=down)
    if min(pads) < 0:
        return conv2d(upfirdn2d(x, None, padding=pads, impl=impl), weight)
    return conv2d(x, weight, padding=pads[0])


def upsampled_conv(
    x: Tensor, turned: Tensor, filter: Tensor | None, up: int, pads: tuple[int, int, int, int], impl: Impl
) -> Tensor:
    """Return the convolution of the upsampled image; ``turned`` is the weight as conv_transpose2d takes it."""
    # A transposed convolution does not multiply the inserted zeros. It reaches k - 1 pixels beyond the image, and its
    # last inserted zeros are missing, so the filter's padding shrinks by that much.
    kernel_y, kernel_x = turned.shape[2:]
    left, right, top, bottom = pads
    y = conv_transpose2d(x, turned, stride=up)
    sides = (left - kernel_x + 1, right - kernel_x + up, top - kernel_y + 1, bottom - kernel_y + up)
    return upfirdn2d(y, filter, padding=sides, gain=up**2, impl=impl)
