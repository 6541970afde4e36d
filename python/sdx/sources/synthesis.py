"""A frozen generator's synthesis: packed weights, all styles in one product, on a CPU slices that stay in the cache.

The same function as `sdx.networks.stylegan2.Synthesis`, within the tolerance of its number format. Two differences in
what is computed: a layer's output leaves scaled by the style of the next layer (`sdx_kernels.styled_layer`), and pixels
that a crop would throw away are not computed where that costs no accuracy.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sdx.devices import CPU
from sdx.networks.stylegan2 import Block, FullyConnected, Layer, Synthesis, ToRGB
from sdx.slices import over_slices
from sdx_kernels import NoiseKey, PackedWeight, Rgb, styled_layer, upfirdn2d

Region = tuple[int, int, int, int]
"""(top, left, bottom, right) in pixels."""

_Noise = Mapping[int, Tensor] | NoiseKey
"""Noise by the layer's place, or what keys that of all layers."""

_LARGEST = 16 << 20
"""Bytes of a layer's output that a slice may have on a CPU: beyond a core's own cache, for small slices cost calls."""
_LARGEST_ELSEWHERE = 1 << 30
"""The same on a GPU, where it only bounds memory."""
_REACH = 4
"""Pixels around a region that its own depend on: 1 by the last convolution, 3 by the upsampled one and its low-pass."""
_SLICE = 64
"""Most images in a slice on a CPU."""


@dataclass(frozen=True)
class _PackedLayer:
    """A convolution with its noise, ready to run.

    ``place`` is its number among all layers, ``side`` that of its image in pixels, ``pixels`` those of all layers
    before. ``strength`` is float32 [1] on the device: a number would have to go there each time.
    """

    packed: PackedWeight
    bias: Tensor
    is_noisy: bool
    strength: Tensor
    side: int
    pixels: int
    clamp: float | None
    place: int

    def noise(self, given: _Noise, corner: tuple[int, int], size: Sequence[int]) -> Tensor | NoiseKey | None:
        """Return what `styled_layer` takes for a window of this layer's pixels, None for no noise."""
        (top, left), (height, width) = corner, size
        if not self.is_noisy:
            return None
        if isinstance(given, NoiseKey):
            first = given.offset + self.pixels + top * self.side + left
            return replace(given, offset=first, strength=self.strength, pitch=self.side)
        image = given.get(self.place)
        return None if image is None else image[:, :, top : top + height, left : left + width] * self.strength


@dataclass(frozen=True)
class _PackedBlock:
    """The layers of one resolution and its colours."""

    layers: Sequence[_PackedLayer]
    dtype: torch.dtype
    rgb_weight: Tensor
    rgb_bias: Tensor
    rgb_clamp: float | None
    upsampling: Tensor
    """[R, R / 2]: an axis of the image so far to an axis of this block's image."""


class FrozenSynthesis:
    """See the module; made once from a synthesis whose weights change no more.

    Args:
        synthesis: in evaluation mode; not changed.
        dtype: format of the convolutions: float32, or bfloat16 where the device has it. Styles, dcoef and the sum
            of the colours are float32 either way.
        low_resolutions: how many of the highest resolutions have it; those below are float32. None = all have it.
        device: where to draw.
    """

    def __init__(
        self,
        synthesis: Synthesis,
        dtype: torch.dtype = torch.float32,
        low_resolutions: int | None = None,
        device: torch.device = CPU,
    ) -> None:
        if device.type != "cpu":
            synthesis = copy.deepcopy(synthesis).to(device)
        self.config = synthesis.config
        self._synthesis = synthesis
        blocks = list(synthesis.blocks())
        full = 0 if low_resolutions is None else max(0, len(blocks) - low_resolutions)
        formats = [torch.float32] * full + [dtype] * (len(blocks) - full)
        const = blocks[0].const.detach().to(formats[0])
        self._const = const[None].contiguous(memory_format=torch.channels_last)
        self._blocks: list[_PackedBlock] = []
        self._affines: list[FullyConnected] = []
        self._inputs: list[int] = []  # style input of each affine layer
        self._is_rgb: list[bool] = []
        place = pixels = 0
        for block, format in zip(blocks, formats, strict=True):
            self._blocks.append(_pack(block, place, pixels, format))
            for layer in block.layers():
                self._affines.append(layer.affine)
                self._inputs.append(place)
                self._is_rgb.append(False)
                place, pixels = place + 1, pixels + layer.noise_const.numel()
            self._affines.append(block.torgb.affine)
            self._inputs.append(place)
            self._is_rgb.append(True)
        weights = [affine.weight.detach() * affine.weight_gain for affine in self._affines]
        self._affine_weight = torch.cat(weights).T.contiguous()  # [W, all channels of all styles]
        self._affine_bias = torch.cat([affine.bias.detach() * affine.bias_gain for affine in self._affines])
        self._sizes = [len(weight) for weight in weights]
        self._outputs = [layer.packed.square_sum.shape[0] for block in self._blocks for layer in block.layers]
        self.layers = place
        largest = max(self.config.channels(side) * side**2 for side in self.config.resolutions) * dtype.itemsize
        on_cpu = device.type == "cpu"
        self.slice_size = max(1, min(_SLICE, _LARGEST // largest) if on_cpu else _LARGEST_ELSEWHERE // largest)
        self.is_noisy = any(layer.is_noisy for block in self._blocks for layer in block.layers)

    def __call__(
        self, ws: Tensor, noise: Sequence[Tensor | None] | NoiseKey | None = None, region: Region | None = None
    ) -> Tensor:
        """Return images, or one region of them, float32 [N, 3, h, w], an inference tensor.

        Args:
            ws: [N, W], or [N, L, W] with a w of its own for each style input.
            noise: for each layer, before its strength, [N, 1, H, W]; None for no noise; or the key of all layers, whose
                pixels are numbered one layer after the other.
            region: what to return, in pixels of the whole image; None for all of it.

        Raises:
            ConfigError: for another shape of ``ws``.
        """
        self._synthesis.broadcast(ws)  # refuses another shape
        each: Sequence[Tensor | None] = () if noise is None or isinstance(noise, NoiseKey) else noise
        places = [place for place, image in enumerate(each) if image is not None]
        given = [noise.index] if isinstance(noise, NoiseKey) else [image for image in each if image is not None]

        def run(styles: Tensor, dcoef: Tensor, *rest: Tensor) -> Tensor:
            images: _Noise
            if isinstance(noise, NoiseKey):
                images = replace(noise, index=rest[0])
            else:
                images = dict(zip(places, rest, strict=True))
            split = torch.split(styles, self._sizes, 1), torch.split(dcoef, self._outputs, 1)
            if region is None:
                return self._draw(*split, images, None)
            window = _window(region, self.config.resolution)
            top, left = region[0] - 2 * window[0], region[1] - 2 * window[1]
            image = self._draw(*split, images, window)
            return image[:, :, top : top + region[2] - region[0], left : left + region[3] - region[1]]

        with torch.inference_mode():  # for all slices at once: these are many small operations
            styles = self._styles(ws)
            dcoef = self._dcoef(styles)
        return over_slices(run, [styles, dcoef, *given], self.slice_size)

    def _draw(
        self,
        styles: Sequence[Tensor],
        dcoef: Sequence[Tensor],
        noise: _Noise,
        window: Region | None,
    ) -> Tensor:
        """Return images; the last block draws the pixels of ``window``, in its input's pixels, alone."""
        first = styles[0].to(self._const.dtype)[:, :, None, None]
        x = (self._const * first).contiguous(memory_format=torch.channels_last)
        image: Tensor | None = None
        style = 0
        for block in self._blocks:
            rgb_style = style + len(block.layers)
            x = x.to(block.dtype)
            corner, upsampling = (0, 0), (block.upsampling, block.upsampling)
            if window is not None and image is not None and block is self._blocks[-1]:
                top, left, bottom, right = window
                x, image = x[:, :, top:bottom, left:right], image[:, :, top:bottom, left:right]
                corner = 2 * top, 2 * left
                upsampling = (
                    block.upsampling[2 * top : 2 * bottom, top:bottom],
                    block.upsampling[2 * left : 2 * right, left:right],
                )
            for layer in block.layers:
                is_last = layer is block.layers[-1]
                rgb = None
                if is_last:
                    skipped = None if image is None else upsampling[0] @ image @ upsampling[1].T
                    rgb = Rgb(block.rgb_weight, styles[rgb_style], block.rgb_bias, skipped, block.rgb_clamp)
                following = rgb_style + 1 if is_last else style + 1
                x, colours = styled_layer(
                    x,
                    layer.packed,
                    dcoef[layer.place],
                    noise=layer.noise(noise, corner, [len(part) for part in upsampling]),
                    bias=layer.bias,
                    clamp=layer.clamp,
                    next_styles=styles[following] if following < len(styles) else None,
                    rgb=rgb,
                )
                image = image if colours is None else colours
                style = following
        if image is None:
            raise AssertionError("every block gives colours")
        return image

    def _styles(self, ws: Tensor) -> Tensor:
        """Return the styles of all layers and colours in order, float32 [N, channels of all], toRGB's gain included."""
        if ws.ndim == 2:
            return torch.addmm(self._affine_bias, ws, self._affine_weight)
        styles = [
            torch.addmm(bias, ws[:, place], weight)
            for bias, weight, place in zip(
                torch.split(self._affine_bias, self._sizes),
                torch.split(self._affine_weight, self._sizes, 1),
                self._inputs,
                strict=True,
            )
        ]
        return torch.cat(styles, 1)

    def _dcoef(self, styles: Tensor) -> Tensor:
        """Return dcoef of all layers in order, float32 [N, outputs of all]."""
        each = [
            part for part, is_rgb in zip(torch.split(styles, self._sizes, 1), self._is_rgb, strict=True) if not is_rgb
        ]
        layers = [layer for block in self._blocks for layer in block.layers]
        return torch.cat([layer.packed.dcoef(part) for layer, part in zip(layers, each, strict=True)], 1)


def _window(region: Region, side: int) -> Region:
    """Return which pixels of the last block's input, half as many a side, its output in ``region`` can depend on."""
    top, left, bottom, right = region
    low, high = (-(-_REACH // 2), side // 2)
    return (
        max(0, top // 2 - low),
        max(0, left // 2 - low),
        min(high, -(-bottom // 2) + low),
        min(high, -(-right // 2) + low),
    )


def _pack(block: Block, place: int, pixels: int, dtype: torch.dtype) -> _PackedBlock:
    layers = []
    for layer in block.layers():
        layers.append(_pack_layer(layer, place, pixels, dtype))
        place, pixels = place + 1, pixels + layer.noise_const.numel()
    torgb: ToRGB = block.torgb
    return _PackedBlock(
        layers,
        dtype,
        torgb.weight.detach().float()[:, :, 0, 0] * torgb.gain,
        torgb.bias.detach().float(),
        torgb.clamp,
        _upsampling(block),
    )


def _pack_layer(layer: Layer, place: int, pixels: int, dtype: torch.dtype) -> _PackedLayer:
    return _PackedLayer(
        PackedWeight.of(layer.weight, up=layer.up, filter=layer.resample_filter if layer.up > 1 else None, dtype=dtype),
        layer.bias.detach().float(),
        bool(layer.noise_strength != 0),
        layer.noise_strength.detach().float().reshape(1),
        layer.noise_const.shape[1],
        pixels,
        layer.clamp,
        place,
    )


def _upsampling(block: Block) -> Tensor:
    """Return what `sdx.networks.stylegan2.upsample` does to one axis of an image, [R, R / 2]."""
    side = block.layers()[-1].noise_const.shape[0]
    rows = block.resample_filter.sum(1, keepdim=True)
    return upfirdn2d(
        torch.eye(side // 2, device=rows.device)[None, None], rows, up=(1, 2), padding=(0, 0, 2, 1), gain=2.0
    )[0, 0]
