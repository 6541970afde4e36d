"""modulated_conv2d on its Triton kernels: with gradients of two orders, and without any, where more is fused.

The convolution itself is torch's, whose derivatives are torch's too; only what surrounds it is registered here.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sdx_kernels import layout
from sdx_kernels.bias_act import autograd as bias_act
from sdx_kernels.bias_act.reference import DEFAULT_GAIN
from sdx_kernels.modulated_conv2d import fused
from sdx_kernels.modulated_conv2d.forward import styled
from sdx_kernels.modulated_conv2d.geometry import Geometry
from sdx_kernels.modulated_conv2d.reference import SMALLEST, demodulation, noise_of, resampled_conv
from sdx_kernels.noise import drawn
from sdx_kernels.random import NoiseKey

_SLOPE = 0.2


@torch.library.custom_op("sdx_kernels::modulated_epilogue", mutates_args=())
def epilogue(
    y: Tensor,
    dcoef: Tensor | None,
    noise: Tensor | None,
    bias: Tensor | None,
    act: str,
    gain: float,
    clamp: float | None,
) -> Tensor:
    """Return ``bias_act(y * dcoef + noise)``; y [N, C, H, W], dcoef [N, C], noise [N or 1, 1, H, W], bias [C]."""
    size = y.shape[2:]
    values, place = fused.noise_arguments(noise, len(y), size)
    out: Tensor
    out, _ = fused.epilogue(
        y, None, [0, 0], size, dcoef, values, place, bias, act, _SLOPE, gain, clamp, None, None, None, None, None,
        None,
    )  # fmt: skip
    return out


@epilogue.register_fake
def _(y: Tensor, *_: Any) -> Tensor:
    order = torch.channels_last if y.shape[1] > 1 and y.stride(1) == 1 else torch.contiguous_format
    return torch.empty(y.shape, dtype=y.dtype, device=y.device, memory_format=order)


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    y, dcoef, noise, bias, ctx.act, ctx.gain, ctx.clamp = inputs
    ctx.from_output = ctx.act in bias_act.TWO_PIECES and ctx.gain != 0
    ctx.save_for_backward(y, dcoef, noise, bias, output if ctx.from_output else None)


def _backward(ctx: Any, upstream: Tensor) -> tuple[Any, ...]:
    y, dcoef, noise, bias, output = ctx.saved_tensors
    wide = layout.wide(y)
    scale = None if dcoef is None else dcoef.to(wide)[:, :, None, None]
    if ctx.from_output:
        saved = output
    else:
        saved = y.to(wide) if scale is None else y.to(wide) * scale
        saved = saved if noise is None else saved + noise.to(wide)
        saved = saved if bias is None else saved + bias.to(wide)[:, None, None]
    dz = bias_act.grad(upstream, saved, None, 1, ctx.act, _SLOPE, ctx.gain, ctx.clamp, ctx.from_output).to(wide)
    wanted = ctx.needs_input_grad
    dy = (dz if scale is None else dz * scale).to(y.dtype) if wanted[0] else None
    d_dcoef = (dz * y.to(wide)).sum((2, 3)).to(dcoef.dtype) if wanted[1] else None
    d_noise = dz.sum(1, keepdim=True).sum_to_size(noise.shape).to(noise.dtype) if wanted[2] else None
    d_bias = dz.sum((0, 2, 3)).to(bias.dtype) if wanted[3] else None
    return dy, d_dcoef, d_noise, d_bias, None, None, None


epilogue.register_autograd(_backward, setup_context=_save)


def modulated_conv2d_triton(
    x: Tensor,
    weight: Tensor,
    styles: Tensor,
    geometry: Geometry,
    *,
    demodulate: bool,
    noise: Tensor | NoiseKey | None,
    bias: Tensor | None,
    act: str,
    gain: float | None,
    clamp: float | None,
) -> Tensor:
    """See `sdx_kernels.modulated_conv2d`."""
    outer = DEFAULT_GAIN[act] if gain is None else gain
    strength = noise.strength if isinstance(noise, NoiseKey) else noise
    given = [t for t in (x, weight, styles, bias, strength) if isinstance(t, Tensor)]
    differentiable = torch.is_grad_enabled() and any(t.requires_grad for t in given)
    with layout.without_autocast(x.device):
        scaled, packed, dcoef = _scaled(x, weight, styles, demodulate)
        if differentiable or geometry.down > 1 or min(geometry.pads) < 0:
            y = resampled_conv(scaled, packed, geometry, "triton")
            top, left, bottom, right = geometry.roi
            y = y[:, :, top:bottom, left:right]
            return _finished(y, dcoef, _noise_of(noise, geometry), bias, act, outer, clamp)
        y = styled(scaled, packed, geometry, dcoef, noise, bias, act, outer, clamp)
    return layout.like(y, x)


def _noise_of(noise: Tensor | NoiseKey | None, geometry: Geometry) -> Tensor | None:
    """Return the noise of the roi, [N or 1, 1, H, W]; gradients flow to a key's strength."""
    if not isinstance(noise, NoiseKey):
        return noise_of(noise, geometry)
    top, left, bottom, right = geometry.roi
    window = noise.window(top, left, geometry.size[1])
    return drawn(window, bottom - top, right - left, with_strength=False) * noise.strength


def _finished(
    y: Tensor,
    dcoef: Tensor | None,
    noise: Tensor | None = None,
    bias: Tensor | None = None,
    act: str = "linear",
    gain: float = 1.0,
    clamp: float | None = None,
) -> Tensor:
    result: Tensor = epilogue(y, dcoef, noise, bias, act, gain, clamp)
    return result


def _scaled(x: Tensor, weight: Tensor, styles: Tensor, demodulate: bool) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return x times its styles, the weight in the format of x, and dcoef, arranged so that a half format holds them.

    Both factors go without their size, which demodulation takes out again: the largest style of a sample is 1, and a
    channel's weight has a unit root of its sum of squares, so that a sum stays near its terms.
    """
    wide = layout.wide(x, weight, styles)
    w, s = weight.to(wide), styles.to(wide)
    if not demodulate:
        return _finished(x, s), w.to(x.dtype), None
    square_sum = w.square().sum((2, 3))
    dcoef = demodulation(square_sum, s)
    if x.dtype == torch.float16:
        size = s.detach().abs().amax(1, keepdim=True).clamp_min(SMALLEST)
        norm = square_sum.detach().sum(1).clamp_min(SMALLEST).sqrt()
        w, s, dcoef = w / norm[:, None, None, None], s / size, dcoef * size * norm
    return _finished(x, s), w.to(x.dtype), dcoef
