"""A generator's layer for frozen weights: what depends on the weights alone is done once, before any image."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d, pad

from sdx_kernels import dispatch, layout
from sdx_kernels.bias_act import Activation
from sdx_kernels.bias_act.reference import DEFAULT_GAIN, HOMOGENEOUS
from sdx_kernels.modulated_conv2d.reference import demodulation, pads_of


@dataclass(frozen=True)
class PackedWeight:
    """A frozen weight as its convolution wants it; made by `PackedWeight.of`.

    Args:
        weight: [O, I, k, k] in channels_last, for ``up`` > 1 as conv_transpose2d takes it, [I, O, k, k].
        square_sum: float32 [O, I], the sum of the squared taps, for dcoef.
        up: factor of upsampling.
        low_pass: the filter of the upsampling, turned and times up^2, one for each output channel, [O, 1, taps, taps'];
            in the dtype of ``weight`` if that has its values, else float32. None for no filter.
    """

    weight: Tensor
    square_sum: Tensor
    up: int
    low_pass: Tensor | None = None

    @classmethod
    def of(
        cls, weight: Tensor, *, up: int = 1, filter: Tensor | None = None, dtype: torch.dtype | None = None
    ) -> PackedWeight:
        """Return a weight, [O, I, k, k], packed; no gradient flows to it.

        Args:
            weight: floating point.
            up: factor of upsampling of the layer.
            filter: low-pass of the upsampling, [taps] or [taps, taps'].
            dtype: format of the convolution, that of the weight if None.

        Raises:
            KernelError: for a filter without upsampling.
        """
        if up == 1 and filter is not None:
            raise dispatch.KernelError("PackedWeight: expected a filter with up above 1 alone, got one with up=1")
        weight = weight.detach()
        dtype = dtype or weight.dtype
        packed = weight if up == 1 else weight.flip((2, 3)).transpose(0, 1)
        packed = packed.to(dtype).contiguous(memory_format=torch.channels_last)
        low_pass = None if filter is None else _low_pass(filter.detach(), up, len(weight), dtype)
        return cls(packed, weight.float().square().sum((2, 3)), up, low_pass)

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
    dispatch.runs_triton("styled_layer", impl, x=x, dcoef=dcoef)
    outer = DEFAULT_GAIN.get(act, 1.0) if gain is None else gain
    if act not in HOMOGENEOUS or not outer > 0:
        raise dispatch.KernelError(
            f"styled_layer: expected act linear, relu or lrelu and a gain above 0, got {act!r} and {outer}"
        )
    if x.dtype != packed.weight.dtype:
        raise dispatch.KernelError(f"styled_layer: expected x in {packed.weight.dtype} as packed, got {x.dtype}")
    with torch.no_grad(), layout.without_autocast(x.device):
        y = _convolve(x, packed).contiguous(memory_format=torch.channels_last)
        values, pixels = layout.rows(y)  # what is done to them is done to y

        def per_image(channels: Tensor) -> Tensor:
            each = channels.to(y.dtype)[:, None]  # [N, 1, O]
            return each if pixels == 1 else each.expand(-1, pixels, -1).reshape(len(each), 1, values.shape[2])

        scale = dcoef * outer
        waits = noise is None and clamp is None
        if waits:
            # Both activations let a positive factor through: dcoef waits and goes with the next styles, in one pass.
            if bias is not None:
                values.add_(per_image(bias / dcoef))
            _activate(values, act)
        else:
            values.mul_(per_image(scale))
            if noise is not None:
                _add_image(y, (noise * outer).to(y.dtype))
            if bias is not None:
                values.add_(per_image(bias[None] * outer))
            _activate(values, act)
            if clamp is not None:
                values.clamp_(-clamp, clamp)
            scale = torch.ones_like(scale)
        image = None if rgb is None else _colours(y, rgb, scale)
        left = scale if next_styles is None else scale * next_styles
        if waits or next_styles is not None:
            values.mul_(per_image(left))
        return y, image


def _low_pass(filter: Tensor, up: int, channels: int, dtype: torch.dtype) -> Tensor:
    square = torch.outer(filter, filter) if filter.ndim == 1 else filter
    square = square.float().flip((0, 1)) * up**2  # conv2d correlates
    exact = square.to(dtype)
    taps = exact if torch.equal(exact.float(), square) else square
    return taps.expand(channels, 1, -1, -1).contiguous()


def _convolve(x: Tensor, packed: PackedWeight) -> Tensor:
    kernel = packed.weight.shape[2]
    half = (kernel - 1) // 2
    if packed.up == 1:
        return conv2d(x, packed.weight, padding=half)
    low_pass = packed.low_pass
    taps = (1, 1) if low_pass is None else low_pass.shape[2:]
    # See `upsampled_conv` for how far the transposed convolution reaches.
    top, bottom = (
        p - kernel + end for p, end in zip(pads_of(half, taps[0], packed.up, 1), (1, packed.up), strict=True)
    )
    left, right = (
        p - kernel + end for p, end in zip(pads_of(half, taps[1], packed.up, 1), (1, packed.up), strict=True)
    )
    y = conv_transpose2d(x, packed.weight, stride=packed.up)
    if not (top == bottom >= 0 and left == right >= 0) or low_pass is None:
        y, top, left = pad(y, (left, right, top, bottom)), 0, 0
    if low_pass is None:
        return y
    return conv2d(y.to(low_pass.dtype), low_pass, padding=(top, left), groups=len(low_pass)).to(x.dtype)


def _activate(values: Tensor, act: str) -> None:
    if act == "lrelu":
        torch.nn.functional.leaky_relu_(values, 0.2)
    elif act == "relu":
        values.relu_()


def _add_image(y: Tensor, image: Tensor) -> None:
    """Add an image of one channel, [H, W] or [N, 1, H, W], in place."""
    narrow = y.shape[1] % 32 > 0 and y.dtype != torch.float32
    y.add_(image.expand_as(y).contiguous(memory_format=torch.channels_last) if narrow else image)  # see layout.rows


def _colours(y: Tensor, rgb: Rgb, scale: Tensor) -> Tensor:
    """Return the image with the colours of ``y * scale`` added."""
    n, channels, height, width = y.shape
    weight = rgb.weight[None] * (rgb.styles * scale)[:, None]  # [N, 3, O]
    pixels = y.permute(0, 2, 3, 1).reshape(n, -1, channels).transpose(1, 2)  # [N, O, H W]
    if y.dtype == torch.float32:
        colours = torch.baddbmm(rgb.bias[:, None], weight, pixels)
    else:  # a copy of y in float32 would cost more than all else here
        colours = torch.bmm(weight.to(y.dtype), pixels).float().add_(rgb.bias[:, None])
    image = colours.view(n, 3, height, width)
    if rgb.clamp is not None:
        image = image.clamp_(-rgb.clamp, rgb.clamp)
    return image if rgb.image is None else image.add_(rgb.image)
