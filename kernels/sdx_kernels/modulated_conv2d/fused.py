"""The Triton kernels of modulated_conv2d as functions on tensors, registered so that tracers see them whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from sdx_kernels import launch, layout
from sdx_kernels.bias_act.reference import HOMOGENEOUS
from sdx_kernels.modulated_conv2d.geometry import Roi
from sdx_kernels.modulated_conv2d.tiles import tiles_of
from sdx_kernels.noise import drawn
from sdx_kernels.random import NoiseKey

NO_NOISE = (0, 0)
"""Number of the first pixel of a noise image, and pixels from one row of it to the next: what a kernel is told."""


def noise_arguments(
    noise: Tensor | NoiseKey | None, n: int, size: Sequence[int], roi: Roi | None = None
) -> tuple[Tensor | None, Sequence[int]]:
    """Return noise as the kernels take it: float images [n, 1, H, W], and integers as in `NO_NOISE`.

    Args:
        noise: a tensor [n or 1, 1, height, width] or [height, width], or a key, which is drawn here.
        n: images.
        size: (height, width) of the whole result.
        roi: the part of it that the kernel finishes, all of it if None.
    """
    top, left, bottom, right = roi or (0, 0, *size)
    width = size[1]
    if noise is None:
        return None, NO_NOISE
    if isinstance(noise, NoiseKey):
        return drawn(noise.window(top, left, width), bottom - top, right - left), (0, right - left)
    whole = noise.expand(n, *noise.shape[-3:]) if noise.ndim == 4 else noise.expand(n, 1, *noise.shape)
    if whole.stride(3) != 1 or whole.stride(2) != width:
        whole = whole.contiguous()
    return whole, (top * width + left, width)


@torch.library.custom_op("sdx_kernels::styled_epilogue", mutates_args=())
def epilogue(
    y: Tensor,
    low_pass: Tensor | None,
    pads: Sequence[int],
    size: Sequence[int],
    dcoef: Tensor | None,
    noise: Tensor | None,
    place: Sequence[int],
    bias: Tensor | None,
    act: str,
    alpha: float,
    gain: float,
    clamp: float | None,
    styles: Tensor | None,
    rgb_weight: Tensor | None,
    rgb_styles: Tensor | None,
    rgb_bias: Tensor | None,
    skip: Tensor | None,
    rgb_clamp: float | None,
) -> tuple[Tensor, Tensor]:
    """Return what follows a convolution ``y`` [N, C, h, w] and the image with its colours.

    Args:
        y: result of the convolution, any strides.
        low_pass: float32 to correlate with, gain included: [taps, taps'], or [8], four taps down and four across of a
            filter that is their outer product, or None.
        pads: zeros before the first row and column that the low-pass meets; negative where it starts further in.
        size: (H, W) of the result.
        dcoef: float32 [N, C], multiplied first.
        noise: [N, 1, H', W'], see `noise_arguments`.
        place: where in it the result begins, see `NO_NOISE`.
        bias: float32 [C].
        act: see `sdx_kernels.bias_act`, and so for ``alpha``, ``gain`` and ``clamp``.
        alpha: slope of lrelu.
        gain: multiplier.
        clamp: limit.
        styles: float32 [N, C], multiplied last.
        rgb_weight: float32 [3, C] of the colours, taken before ``styles``; None for no colours.
        rgb_styles: float32 [N, C].
        rgb_bias: float32 [3].
        skip: float32 [N, 3, H, W], added to the colours after their clamp.
        rgb_clamp: limit of the colours.

    Returns:
        [N, C, H, W] in the dtype of y and its order of dimensions, and float32 [N, 3, H, W], empty without colours.
    """
    from sdx_kernels.modulated_conv2d.kernel import epilogue_kernel
    from sdx_kernels.modulated_conv2d.strip_kernel import strip_kernel

    n, channels, in_height, in_width = y.shape
    out, image = _allocate(y, size, rgb_weight is not None)
    height, width = size
    cut = tiles_of(
        (n, channels, height, width),
        is_pixelwise=channels > 1 and y.stride(1) == 1,
        low_pass_rank=0 if low_pass is None else low_pass.ndim,
        colours=rgb_weight is not None,
        bits=8 * y.element_size(),
        arch=launch.arch_of(y.device),
    )
    if low_pass is not None and low_pass.ndim == 1 and not cut.is_strip:
        low_pass = torch.outer(low_pass[:4], low_pass[4:])
    grid = (cut.tiles * cut.groups * n,)
    tensors = (*_together(low_pass, dcoef), noise, *_together(bias, styles))
    numbers = (
        height,
        width,
        channels,
        cut.tiles,
        cut.groups,
        in_height,
        in_width,
        *pads,
        *y.stride(),
        *out.stride(),
        0 if noise is None else noise.stride(0),
        *place,
        alpha,
        gain,
        0.0 if clamp is None else clamp,
    )
    constants = {
        "HAS_DCOEF": dcoef is not None,
        "HAS_NOISE": noise is not None,
        "HAS_BIAS": bias is not None,
        "HAS_CLAMP": clamp is not None,
        "HAS_STYLES": styles is not None,
        "ACT": _activation(act, alpha),
        "FOLDS": act in HOMOGENEOUS and gain > 0,
        "ACC": layout.accumulator(y),
    }
    if cut.is_strip:
        launch.launch(strip_kernel, grid, y, *tensors, out, *numbers, row=cut.row, **constants)
        return out, image
    taps = (0, 0) if low_pass is None else low_pass.shape
    launch.launch(
        epilogue_kernel,
        grid,
        y,
        *tensors,
        *_together(rgb_weight, rgb_styles, rgb_bias, skip),
        out,
        image,
        *numbers,
        0.0 if rgb_clamp is None else rgb_clamp,
        row=cut.row,
        **constants,
        TAPS_Y=taps[0],
        TAPS_X=taps[1],
        HAS_RGB=rgb_weight is not None,
        HAS_SKIP=skip is not None,
        HAS_RGB_CLAMP=rgb_clamp is not None,
        CHUNKS=cut.chunks,
    )
    return out, image


def _together(*tensors: Tensor | None) -> list[Tensor | None]:
    return [None if tensor is None else tensor.contiguous() for tensor in tensors]


def _activation(act: str, alpha: float) -> str:
    return "convex lrelu" if act == "lrelu" and 0 < alpha <= 1 else act


@epilogue.register_fake
def _(y: Tensor, low_pass: Tensor | None, pads: Any, size: Sequence[int], *rest: Any) -> tuple[Tensor, Tensor]:
    return _allocate(y, size, rest[9] is not None)


def _allocate(y: Tensor, size: Sequence[int], colours: bool) -> tuple[Tensor, Tensor]:
    n, channels = y.shape[:2]
    order = torch.channels_last if channels > 1 and y.stride(1) == 1 else torch.contiguous_format
    out = torch.empty((n, channels, *size), dtype=y.dtype, device=y.device, memory_format=order)
    wide = layout.wide(y)
    return out, torch.empty((n, 3, *size) if colours else (0,), dtype=wide, device=y.device)


@torch.library.custom_op("sdx_kernels::styled_conv", mutates_args=())
def convolution(
    x: Tensor,
    weight: Tensor,
    up: int,
    padding: int,
    dcoef: Tensor | None,
    noise: Tensor | None,
    place: Sequence[int],
    bias: Tensor | None,
    act: str,
    alpha: float,
    gain: float,
    clamp: float | None,
    styles: Tensor | None,
) -> Tensor:
    """Return a convolution as an implicit matrix product, with what follows it done to the accumulator.

    Args:
        x: [N, I, H, W], any strides.
        weight: [O, I, k, k'], or for ``up`` > 1 as conv_transpose2d takes it, [I, O, k, k']; in the dtype of x.
        up: stride of the transposed convolution, 1 for a plain one.
        padding: zeros around a plain convolution.
        dcoef: as in `epilogue`, and so for the arguments that follow; they go with ``up`` = 1 alone.
        noise: as in `epilogue`.
        place: as in `epilogue`.
        bias: as in `epilogue`.
        act: as in `epilogue`.
        alpha: as in `epilogue`.
        gain: as in `epilogue`.
        clamp: as in `epilogue`.
        styles: as in `epilogue`.

    Returns:
        [N, O, H', W'] in channels_last.
    """
    from sdx_kernels.modulated_conv2d.conv_kernel import conv_kernel

    out = _conv_result(x, weight, up, padding)
    n, inputs, in_height, in_width = x.shape
    outputs = out.shape[1]
    kernel_y, kernel_x = weight.shape[2:]
    weight = weight if weight.stride(3) * kernel_x == weight.stride(2) else weight.contiguous()
    strides = weight.stride()
    row = launch.config("conv_kernel", size=outputs, bits=8 * x.element_size(), arch=launch.arch_of(x.device))
    for first_y in range(up):
        for first_x in range(up):
            part = out[:, :, first_y::up, first_x::up]
            height, width = part.shape[2:]
            pixels = n * height * width
            launch.launch(
                conv_kernel,
                (-(-pixels // row.blocks["BLOCK_M"]), -(-outputs // row.blocks["BLOCK_N"])),
                x,
                weight,
                None if dcoef is None else dcoef.contiguous(),
                noise,
                None if bias is None else bias.contiguous(),
                None if styles is None else styles.contiguous(),
                part,
                pixels,
                height,
                width,
                outputs,
                in_height,
                in_width,
                *x.stride(),
                *(strides[:2] if up == 1 else strides[1::-1]),
                strides[3],
                part.stride(0),
                *part.stride()[2:],
                0 if noise is None else noise.stride(0),
                *place,
                alpha,
                gain,
                0.0 if clamp is None else clamp,
                row=row,
                INPUTS=inputs,
                KERNEL_X=kernel_x,
                TAPS_Y=-(-(kernel_y - first_y) // up),
                TAPS_X=-(-(kernel_x - first_x) // up),
                FIRST_Y=first_y,
                FIRST_X=first_x,
                UP=up,
                PAD=padding,
                HAS_DCOEF=dcoef is not None,
                HAS_NOISE=noise is not None,
                HAS_BIAS=bias is not None,
                HAS_CLAMP=clamp is not None,
                HAS_STYLES=styles is not None,
                ACT=_activation(act, alpha),
                ACC=layout.accumulator(x),
            )
    return out


@convolution.register_fake
def _(x: Tensor, weight: Tensor, up: int, padding: int, *_: Any) -> Tensor:
    return _conv_result(x, weight, up, padding)


def _conv_result(x: Tensor, weight: Tensor, up: int, padding: int) -> Tensor:
    sides = [
        length + 2 * padding - kernel + 1 if up == 1 else (length - 1) * up + kernel
        for length, kernel in zip(x.shape[2:], weight.shape[2:], strict=True)
    ]
    shape = (x.shape[0], weight.shape[0 if up == 1 else 1], *sides)
    return torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
