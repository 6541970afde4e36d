"""StyleGAN2's convolution with weights modulated per sample, with everything around it."""

from __future__ import annotations

import torch
from torch import Tensor

from sdx_kernels import dispatch, layout
from sdx_kernels.bias_act import Activation, check_epilogue
from sdx_kernels.modulated_conv2d.autograd import modulated_conv2d_triton
from sdx_kernels.modulated_conv2d.geometry import Geometry, Roi
from sdx_kernels.modulated_conv2d.packed import PackedWeight, Rgb
from sdx_kernels.modulated_conv2d.reference import modulated_conv2d_reference
from sdx_kernels.modulated_conv2d.styled import styled_layer
from sdx_kernels.random import NoiseKey

__all__ = ["NoiseKey", "PackedWeight", "Rgb", "modulated_conv2d", "styled_layer"]


def modulated_conv2d(
    x: Tensor,
    weight: Tensor,
    styles: Tensor,
    *,
    demodulate: bool = True,
    up: int = 1,
    down: int = 1,
    padding: int = 0,
    filter: Tensor | None = None,
    noise: Tensor | NoiseKey | None = None,
    bias: Tensor | None = None,
    act: Activation = "linear",
    gain: float | None = None,
    clamp: float | None = None,
    roi: Roi | None = None,
    flip_weight: bool = True,
    impl: dispatch.Impl = "auto",
) -> Tensor:
    """Return ``bias_act(resample(conv(x, w)) + noise)`` with ``w[n] = weight * styles[n] * dcoef[n]`` of each sample.

    ``dcoef[n, o] = (sum over i and taps of (weight[o, i] * styles[n, i])^2 + 1e-8) ** -0.5``, or 1 without
    demodulation (Karras et al. 2020, section 2.2). The weights of a sample are never built: x is scaled by its styles,
    convolved with the shared weight, and scaled by dcoef.

    ``padding`` and the filter act as in `upfirdn2d` on the image with zeros inserted: upsampling pads
    ``((taps + up - 1) // 2, (taps - up) // 2)`` besides, scales by ``up ** 2``, filters, then convolves; downsampling
    pads ``((taps - down + 1) // 2, (taps - down) // 2)`` besides, convolves, filters, then keeps every down-th pixel.

    Args:
        x: float16, bfloat16, float32 or float64 [N, I, H, W], any strides; channels_last is kept. Autocast casts it to
            its own format, but for float64; the other arguments may stay in any.
        weight: [O, I, kh, kw].
        styles: [N, I], the factors of the input channels.
        demodulate: bring each output channel back to unit expected variance.
        up: factor of upsampling.
        down: factor of downsampling.
        padding: pixels on every side, with respect to the upsampled image; (k - 1) / 2 keeps the size.
        filter: low-pass of the resampling, see `upfirdn2d`; gets no gradient.
        noise: added before the bias, with its strength in it: [H_out, W_out], [1, 1, H_out, W_out] or
            [N, 1, H_out, W_out]; or a `NoiseKey`, whose numbers are made here.
        bias: [O].
        act: activation, see `bias_act`.
        gain: multiplier after the activation, see `bias_act`.
        clamp: limit of the result, see `bias_act`.
        roi: (top, left, bottom, right) in output pixels: return that part of the result alone; noise stays whole.
        flip_weight: correlate as torch's convolutions do; False convolves.
        impl: see `sdx_kernels.backend`.

    Returns:
        [N, O, H_out, W_out], or its roi, in the dtype of ``x``, or autocast's. Accumulated in float32 or better and
        rounded once; on CUDA, float32 convolutions follow `torch.backends.cudnn`. Gradients of any order flow to x,
        weight, styles, noise and bias.

    Raises:
        KernelError: for shapes that do not fit, another dtype, factors below 1, an output without pixels, a roi that is
            empty or leaves the output, whatever `bias_act` refuses, tensors on several devices, or Triton where it
            cannot run.
    """
    triton = dispatch.runs_triton(
        "modulated_conv2d",
        impl,
        x=x,
        weight=weight,
        styles=styles,
        filter=filter,
        noise=noise.index if isinstance(noise, NoiseKey) else noise,
        bias=bias,
    )
    x = x.to(layout.of_autocast(x) or x.dtype)
    _check_shapes(x, weight, styles)
    clamp = check_epilogue("modulated_conv2d", (len(x), len(weight), 1, 1), bias, 1, act, None, gain, clamp)
    geometry = Geometry.of(x, weight, up, down, padding, filter, roi)
    _check_noise(noise, len(x), *geometry.size)
    if not flip_weight:
        weight = weight.flip((2, 3))
    run = modulated_conv2d_triton if triton else modulated_conv2d_reference
    y = run(x, weight, styles, geometry, demodulate=demodulate, noise=noise, bias=bias, act=act, gain=gain, clamp=clamp)
    dispatch.checked("modulated_conv2d", y)
    return y


def _check_shapes(x: Tensor, weight: Tensor, styles: Tensor) -> None:
    for name, tensor, rank, shape in (
        ("x", x, 4, "[N, I, H, W]"),
        ("weight", weight, 4, "[O, I, kh, kw]"),
        ("styles", styles, 2, "[N, I]"),
    ):
        if not isinstance(tensor, Tensor):
            raise dispatch.KernelError(
                f"modulated_conv2d: expected {name} as a tensor {shape}, got {type(tensor).__name__}"
            )
        if tensor.ndim != rank or tensor.dtype not in layout.DTYPES or 0 in tensor.shape[1:]:
            raise dispatch.KernelError(
                f"modulated_conv2d: expected floating-point {name} {shape}, got {tensor.dtype} {list(tensor.shape)}"
            )
    if weight.shape[1] != x.shape[1] or styles.shape != x.shape[:2] or weight.shape[0] == 0:
        raise dispatch.KernelError(
            "modulated_conv2d: expected x [N, I, H, W], weight [O, I, kh, kw] and styles [N, I] to agree, "
            f"got {list(x.shape)}, {list(weight.shape)} and {list(styles.shape)}"
        )


def _check_noise(noise: Tensor | NoiseKey | None, n: int, height: int, width: int) -> None:
    if noise is None:
        return
    if isinstance(noise, NoiseKey):
        if noise.index.shape != (n,) or noise.index.dtype != torch.int64:
            raise dispatch.KernelError(
                f"modulated_conv2d: expected a noise key with int64 index [{n}], got {noise.index.dtype} "
                f"{list(noise.index.shape)}"
            )
        return
    allowed = ([height, width], [1, 1, height, width], [n, 1, height, width])
    if list(noise.shape) not in allowed or noise.dtype not in layout.DTYPES:
        raise dispatch.KernelError(
            f"modulated_conv2d: expected floating-point noise [{height}, {width}], [1, 1, {height}, {width}] or "
            f"[{n}, 1, {height}, {width}], got {noise.dtype} {list(noise.shape)}"
        )
