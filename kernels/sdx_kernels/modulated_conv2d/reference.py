"""The specification of modulated_conv2d: one dense convolution between two scalings, then the epilogue."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d

from sdx_kernels import layout
from sdx_kernels.bias_act import Activation, bias_act
from sdx_kernels.bias_act.reference import DEFAULT_GAIN, HOMOGENEOUS, activate, limit
from sdx_kernels.dispatch import KernelError
from sdx_kernels.random import NoiseKey
from sdx_kernels.upfirdn2d import upfirdn2d

_EPSILON = 1e-8


def modulated_conv2d_reference(
    x: Tensor,
    weight: Tensor,
    styles: Tensor,
    *,
    demodulate: bool,
    up: int,
    down: int,
    padding: int,
    filter: Tensor | None,
    noise: Tensor | NoiseKey | None,
    bias: Tensor | None,
    act: Activation,
    gain: float | None,
    clamp: float | None,
    roi: tuple[int, int, int, int] | None,
    flip_weight: bool,
) -> Tensor:
    """See `sdx_kernels.modulated_conv2d`."""
    wide = layout.wide(x, weight, styles)
    w, s = weight.to(wide), styles.to(wide)
    with layout.without_autocast(x.device):
        y = _resampled_conv(x.to(wide) * s[:, :, None, None], w, filter, up, down, padding, flip_weight)
        dcoef = demodulation(w.square().sum((2, 3)), s) if demodulate else None
    height, width = y.shape[2:]
    noise = None if noise is None else _fitting(noise, x.shape[0], height, width).to(wide)
    if roi is not None:
        top, left, bottom, right = roi
        if not (0 <= top < bottom <= height and 0 <= left < right <= width):
            raise KernelError(
                "modulated_conv2d: expected roi (top, left, bottom, right) ordered within the output "
                f"{height}x{width}, got {roi}"
            )
        y = y[:, :, top:bottom, left:right]
        noise = None if noise is None else noise[..., top:bottom, left:right]
    return layout.like(_epilogue(y, dcoef, noise, bias, act, gain, clamp).to(x.dtype), x)


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


def _resampled_conv(
    x: Tensor, weight: Tensor, filter: Tensor | None, up: int, down: int, padding: int, flip_weight: bool
) -> Tensor:
    """Return resample(conv(x, weight)) in the order that touches the fewest pixels; all orders are one function."""
    taps_y, taps_x = (1, 1) if filter is None else (filter.shape[0], filter.shape[-1])
    kernel_y, kernel_x = weight.shape[2:]
    left, right = pads_of(padding, taps_x, up, down)
    top, bottom = pads_of(padding, taps_y, up, down)
    _check_output(x, (top + bottom, left + right), (taps_y, taps_x), (kernel_y, kernel_x), up, down)
    if not flip_weight:
        weight = weight.flip((2, 3))
    if up > 1:
        y = upsampled_conv(x, weight.flip((2, 3)).transpose(0, 1), filter, up, (left, right, top, bottom))
        return y if down == 1 else upfirdn2d(y, filter, down=down, impl="reference")
    if down > 1:
        # The convolution skips the pixels that downsampling would drop, once the filter has gone before it.
        low = upfirdn2d(x, filter, padding=(left, right, top, bottom), impl="reference")
        return conv2d(low, weight, stride=down)
    if padding < 0:
        return conv2d(upfirdn2d(x, None, padding=padding, impl="reference"), weight)
    return conv2d(x, weight, padding=padding)


def upsampled_conv(
    x: Tensor, turned: Tensor, filter: Tensor | None, up: int, pads: tuple[int, int, int, int]
) -> Tensor:
    """Return the convolution of the upsampled image; ``turned`` is the weight as conv_transpose2d takes it."""
    # A transposed convolution does not multiply the inserted zeros. It reaches k - 1 pixels beyond the image, and its
    # last inserted zeros are missing, so the filter's padding shrinks by that much.
    kernel_y, kernel_x = turned.shape[2:]
    left, right, top, bottom = pads
    y = conv_transpose2d(x, turned, stride=up)
    sides = (left - kernel_x + 1, right - kernel_x + up, top - kernel_y + 1, bottom - kernel_y + up)
    return upfirdn2d(y, filter, padding=sides, gain=up**2, impl="reference")


def pads_of(padding: int, taps: int, up: int, down: int) -> tuple[int, int]:
    """Return the zeros before and after one axis of the upsampled image."""
    before = after = padding
    if up > 1:
        before, after = before + (taps + up - 1) // 2, after + (taps - up) // 2
    if down > 1:
        before, after = before + (taps - down + 1) // 2, after + (taps - down) // 2
    return before, after


def _check_output(
    x: Tensor, pads: tuple[int, int], taps: tuple[int, int], kernel: tuple[int, int], up: int, down: int
) -> None:
    passes = (up > 1) + (down > 1)
    for length, pad, tap, size in zip(x.shape[2:], pads, taps, kernel, strict=True):
        if length * up + pad < size + passes * (tap - 1):
            raise KernelError(
                f"modulated_conv2d: expected padded images of at least {size + passes * (tap - 1)} pixels a side for "
                f"this kernel and filter, got {length * up + pad} from {list(x.shape)}, up={up}"
            )


def _fitting(noise: Tensor | NoiseKey, n: int, height: int, width: int) -> Tensor:
    if isinstance(noise, NoiseKey):
        if noise.index.shape != (n,) or noise.index.dtype != torch.int64:
            raise KernelError(
                f"modulated_conv2d: expected a noise key with int64 index [{n}], got {noise.index.dtype} "
                f"{list(noise.index.shape)}"
            )
        return noise.image(height, width)
    allowed = ([height, width], [1, 1, height, width], [n, 1, height, width])
    if list(noise.shape) not in allowed or noise.dtype not in layout.DTYPES:
        raise KernelError(
            f"modulated_conv2d: expected floating-point noise [{height}, {width}], [1, 1, {height}, {width}] or "
            f"[{n}, 1, {height}, {width}], got {noise.dtype} {list(noise.shape)}"
        )
    return noise
