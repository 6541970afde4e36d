"""A generator's layer for frozen weights: what depends on the weights alone is done once, before any image."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from sdx_kernels import dispatch, layout
from sdx_kernels.bias_act import Activation
from sdx_kernels.bias_act.reference import DEFAULT_GAIN, HOMOGENEOUS, activate
from sdx_kernels.modulated_conv2d.reference import demodulation, pads_of, upsampled_conv


@dataclass(frozen=True)
class PackedWeight:
    """A frozen weight as its convolution wants it; made by `PackedWeight.of`.

    Args:
        weight: [O, I, k, k] in channels_last, for ``up`` > 1 as conv_transpose2d takes it, [I, O, k, k].
        square_sum: float32 [O, I], the sum of the squared taps, for dcoef.
        up: factor of upsampling.
    """

    weight: Tensor
    square_sum: Tensor
    up: int

    @classmethod
    def of(cls, weight: Tensor, *, up: int = 1, dtype: torch.dtype | None = None) -> PackedWeight:
        """Return a weight, [O, I, k, k], packed; no gradient flows to it.

        Args:
            weight: floating point.
            up: factor of upsampling of the layer.
            dtype: format of the convolution, that of the weight if None.
        """
        weight = weight.detach()
        packed = weight if up == 1 else weight.flip((2, 3)).transpose(0, 1)
        packed = packed.to(dtype or weight.dtype).contiguous(memory_format=torch.channels_last)
        return cls(packed, weight.float().square().sum((2, 3)), up)

    def dcoef(self, styles: Tensor) -> Tensor:
        """Return the demodulation coefficients, float32 [N, O], of styles float32 [N, I].

        Give the styles themselves: where x was scaled by styles / m to stay in range, multiply dcoef by m afterwards.
        """
        with layout.without_autocast(styles.device):
            return demodulation(self.square_sum, styles.float())


@dataclass(frozen=True)
class Rgb:
    """The colours that a layer's output gives, and the image so far.

    Args:
        weight: float32 [3, O].
        styles: float32 [N, O], with the gain of a toRGB layer (1 / sqrt(O)) in them.
        bias: float32 [3].
        image: float32 [N, 3, H, W] to add to, or None.
        clamp: limit of the colours before they are added.
    """

    weight: Tensor
    styles: Tensor
    bias: Tensor
    image: Tensor | None = None
    clamp: float | None = None


def styled_layer(
    x: Tensor,
    packed: PackedWeight,
    dcoef: Tensor,
    *,
    filter: Tensor | None = None,
    noise: Tensor | None = None,
    bias: Tensor | None = None,
    act: Activation = "lrelu",
    gain: float | None = None,
    clamp: float | None = None,
    next_styles: Tensor | None = None,
    rgb: Rgb | None = None,
    impl: dispatch.Impl = "auto",
) -> tuple[Tensor, Tensor | None]:
    """Return a layer's output, scaled for the next layer, and the image with this layer's colours.

    The forward pass of `modulated_conv2d` with padding (k - 1) / 2 for weights that do not change, cut at another
    place: ``x`` comes scaled by this layer's styles, and the output leaves scaled by ``next_styles``.

    Args:
        x: [N, I, H, W] in the dtype of ``packed``, already times this layer's styles; channels_last is quickest.
        packed: see `PackedWeight.of`.
        dcoef: float32 [N, O], see `PackedWeight.dcoef`.
        filter: low-pass of the upsampling, [taps] or [taps, taps'].
        noise: float32, added before the bias, with its strength in it: [H', W'] or [N, 1, H', W'].
        bias: float32 [O].
        act: "linear", "relu" or "lrelu" (slope 0.2).
        gain: multiplier after the activation, > 0; None = `bias_act`'s.
        clamp: limit of the output, before ``next_styles``.
        next_styles: float32 [N, O]; None leaves the output as it is.
        rgb: colours to take from the output before ``next_styles``.
        impl: see `sdx_kernels.backend`.

    Returns:
        [N, O, H', W'] in the dtype of ``x``, and float32 [N, 3, H', W'] or None. The result may share memory with
        nothing that came in. No gradient flows.

    Raises:
        KernelError: for an activation or gain that cannot be taken into the scale, a dtype that is not the packed
            one's, or a Triton implementation, which this version does not have.
    """
    dispatch.check("styled_layer", impl)
    outer = DEFAULT_GAIN.get(act, 1.0) if gain is None else gain
    if act not in HOMOGENEOUS or not outer > 0:
        raise dispatch.KernelError(
            f"styled_layer: expected act linear, relu or lrelu and a gain above 0, got {act!r} and {outer}"
        )
    if x.dtype != packed.weight.dtype:
        raise dispatch.KernelError(f"styled_layer: expected x in {packed.weight.dtype} as packed, got {x.dtype}")
    with torch.no_grad(), layout.without_autocast(x.device):
        y = _convolve(x, packed, filter)
        scale = (dcoef * outer).to(y.dtype)[:, :, None, None]
        shift = None if bias is None else (bias * outer).to(y.dtype)[None, :, None, None]
        if noise is not None:
            y.mul_(scale).add_((noise * outer).to(y.dtype))
            y = y if shift is None else y.add_(shift)
        else:
            y = y.mul_(scale) if shift is None else torch.addcmul(shift, y, scale)
        y = _activate(y, act)
        if clamp is not None:
            y.clamp_(-clamp, clamp)
        image = None if rgb is None else _colours(y, rgb)
        if next_styles is not None:
            y.mul_(next_styles.to(y.dtype)[:, :, None, None])
        return y, image


def _convolve(x: Tensor, packed: PackedWeight, filter: Tensor | None) -> Tensor:
    half = (packed.weight.shape[2] - 1) // 2
    if packed.up == 1:
        return conv2d(x, packed.weight, padding=half)
    before, after = pads_of(half, 1 if filter is None else len(filter), packed.up, 1)
    return upsampled_conv(x, packed.weight, filter, packed.up, (before, after, before, after))


def _activate(y: Tensor, act: str) -> Tensor:
    return torch.nn.functional.leaky_relu_(y, 0.2) if act == "lrelu" else activate(y, act)


def _colours(y: Tensor, rgb: Rgb) -> Tensor:
    weight = rgb.weight[None] * rgb.styles[:, None]  # [N, 3, O]
    n, channels, height, width = y.shape
    pixels = y.permute(0, 2, 3, 1).reshape(n, -1, channels)
    colours = torch.baddbmm(rgb.bias, pixels.float(), weight.transpose(1, 2))  # [N, HW, 3]
    image = colours.view(n, height, width, 3).permute(0, 3, 1, 2)
    if rgb.clamp is not None:
        image = image.clamp_(-rgb.clamp, rgb.clamp)
    return image if rgb.image is None else rgb.image + image
