"""A generator's layer for frozen weights: what depends on the weights alone is done once, before any image."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d, pad

from sdx_kernels import arguments, dispatch, layout
from sdx_kernels.bias_act import Activation
from sdx_kernels.bias_act.reference import DEFAULT_GAIN, HOMOGENEOUS
from sdx_kernels.modulated_conv2d.forward import styled_layer_triton
from sdx_kernels.modulated_conv2d.geometry import pads_of
from sdx_kernels.modulated_conv2d.packed import PackedWeight, Rgb
from sdx_kernels.random import NoiseKey


def styled_layer(
    x: Tensor,
    packed: PackedWeight,
    dcoef: Tensor,
    *,
    noise: Tensor | NoiseKey | None = None,
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
            Autocast casts it to that dtype, which was chosen when the weight was packed, and not to its own.
        packed: see `PackedWeight.of`.
        dcoef: float32 [N, O], see `PackedWeight.dcoef`.
        noise: float32, added before the bias, with its strength in it: [H', W'] or [N, 1, H', W']; or a `NoiseKey`.
        bias: float32 [O].
        act: "linear", "relu" or "lrelu" (slope 0.2).
        gain: multiplier after the activation, > 0; None = `bias_act`'s.
        clamp: limit of the output, before ``next_styles``.
        next_styles: float32 [N, O]; None leaves the output as it is.
        rgb: colours to take from the output before ``next_styles``.
        impl: see `sdx_kernels.backend`.

    Returns:
        [N, O, H', W'] in the dtype of ``packed``, and float32 [N, 3, H', W'] or None. The result may share memory with
        nothing that came in. No gradient flows.

    Raises:
        KernelError: for an activation or gain that cannot be taken into the scale, a dtype that is not the packed
            one's, shapes that do not fit, tensors on several devices, or Triton where it cannot run.
    """
    triton = dispatch.runs_triton(
        "styled_layer",
        impl,
        x=x,
        packed=packed.weight,
        dcoef=dcoef,
        noise=noise.index if isinstance(noise, NoiseKey) else noise,
        bias=bias,
        next_styles=next_styles,
        **({} if rgb is None else {f"rgb.{name}": getattr(rgb, name) for name in _COLOURS}),
    )
    outer = DEFAULT_GAIN.get(act, 1.0) if gain is None else gain
    if act not in HOMOGENEOUS or not outer > 0:
        raise dispatch.KernelError(
            f"styled_layer: expected act linear, relu or lrelu and a gain above 0, got {act!r} and {outer}"
        )
    if layout.of_autocast(x, packed.weight) is not None:
        x = x.to(packed.weight.dtype)
    if x.dtype != packed.weight.dtype:
        raise dispatch.KernelError(f"styled_layer: expected x in {packed.weight.dtype} as packed, got {x.dtype}")
    _check_shapes(x, packed, dcoef, noise, bias, next_styles, rgb)
    arguments.number("styled_layer", "gain", outer)
    clamp = arguments.limit("styled_layer", clamp)
    run = styled_layer_triton if triton else _styled_layer_reference
    with torch.no_grad(), layout.without_autocast(x.device):
        y, image = run(x, packed, dcoef, noise, bias, act, outer, clamp, next_styles, rgb)
    dispatch.checked("styled_layer", y, *(() if image is None else (image,)))
    return y, image


_COLOURS = ("weight", "styles", "bias", "image")


def _check_shapes(
    x: Tensor,
    packed: PackedWeight,
    dcoef: Tensor,
    noise: Tensor | NoiseKey | None,
    bias: Tensor | None,
    next_styles: Tensor | None,
    rgb: Rgb | None,
) -> None:
    outputs, inputs = packed.square_sum.shape
    if x.ndim != 4 or x.shape[1] != inputs:
        raise dispatch.KernelError(f"styled_layer: expected x [N, {inputs}, H, W], got {list(x.shape)}")
    n, side = len(x), [packed.up * length for length in x.shape[2:]]
    given: list[tuple[str, Tensor | None, list[list[int]]]] = [
        ("dcoef", dcoef, [[n, outputs]]),
        ("bias", bias, [[outputs]]),
        ("next_styles", next_styles, [[n, outputs]]),
    ]
    if isinstance(noise, NoiseKey):
        noise.row(side[1])
        if noise.index.dtype != torch.int64:
            raise dispatch.KernelError(f"styled_layer: expected a noise key with int64 index, got {noise.index.dtype}")
        given.append(("the noise key's index", noise.index, [[n]]))
    else:
        given.append(("noise", noise, [side, [1, 1, *side], [n, 1, *side]]))
    if rgb is not None:
        wanted = [3, outputs], [n, outputs], [3], [n, 3, *side]
        given += [(f"rgb.{name}", getattr(rgb, name), [shape]) for name, shape in zip(_COLOURS, wanted, strict=True)]
    for name, tensor, shapes in given:
        if tensor is not None and list(tensor.shape) not in shapes:
            said = " or ".join(map(str, shapes))
            raise dispatch.KernelError(f"styled_layer: expected {name} {said}, got {list(tensor.shape)}")


def _styled_layer_reference(
    x: Tensor,
    packed: PackedWeight,
    dcoef: Tensor,
    noise: Tensor | NoiseKey | None,
    bias: Tensor | None,
    act: Activation,
    outer: float,
    clamp: float | None,
    next_styles: Tensor | None,
    rgb: Rgb | None,
) -> tuple[Tensor, Tensor | None]:
    """See `styled_layer`."""
    y = _convolve(x, packed).contiguous(memory_format=torch.channels_last)
    if isinstance(noise, NoiseKey):
        noise = noise.image(*y.shape[2:])
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


def _convolve(x: Tensor, packed: PackedWeight) -> Tensor:
    kernel = packed.weight.shape[2]
    half = (kernel - 1) // 2
    low_pass = packed.low_pass
    if low_pass is None:
        return conv2d(x, packed.weight, padding=half)
    taps = low_pass.shape[2:]
    # See `upsampled_conv` for how far the transposed convolution reaches.
    top, bottom = (
        p - kernel + end for p, end in zip(pads_of(half, taps[0], packed.up, 1), (1, packed.up), strict=True)
    )
    left, right = (
        p - kernel + end for p, end in zip(pads_of(half, taps[1], packed.up, 1), (1, packed.up), strict=True)
    )
    y = conv_transpose2d(x, packed.weight, stride=packed.up)
    if not (top == bottom >= 0 and left == right >= 0):
        y, top, left = pad(y, (left, right, top, bottom)), 0, 0
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
