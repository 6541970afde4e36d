"""The original's way to run StyleGAN2 and the teacher: eager, NCHW, one grouped convolution with a weight per sample.

Written from the description in Karras et al. 2020 and of SynthDistill's loop: every sample's modulated weight
[N, O, I, k, k] is built, the batch becomes one grouped convolution, and each step of the epilogue is a pass of its own.
It draws the images of `sdx.networks.stylegan2` from the same weights and serves the tests as their oracle, in float64.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, interpolate, leaky_relu, pad

from sdx.networks.stylegan2 import Block, FullyConnected, Generator, Layer

CROP = (21, 22, 234, 235)
"""SynthDistill's crop of a 256-pixel frame: top, left, bottom, right."""


def draw(generator: Generator, ws: Tensor, noise: Sequence[Tensor | None] | None = None) -> Tensor:
    """Return images [N, 3, R, R] of ws [N, W] or [N, L, W]; see `sdx.networks.stylegan2.Synthesis`."""
    if ws.ndim == 2:
        ws = ws[:, None].repeat(1, generator.config.num_ws, 1)
    x = image = None
    place = 0
    for block in generator.synthesis.blocks():
        if x is None:
            x = block.const[None].repeat(len(ws), 1, 1, 1).contiguous()
        for layer in block.layers():
            x = _layer(layer, x, ws[:, place], None if noise is None else noise[place])
            place += 1
        y = _to_rgb(block, x, ws[:, place])
        image = y if image is None else _upsample(image, block.resample_filter) + y
    assert image is not None
    return image


def crop(image: Tensor, size: int) -> Tensor:
    """Return SynthDistill's faces [N, 3, size, size] of 256-pixel images."""
    top, left, bottom, right = CROP
    return interpolate(image.clamp(-1, 1)[:, :, top:bottom, left:right], size=(size, size), mode="bilinear")


def embed(teacher: nn.Module, face: Tensor) -> Tensor:
    """Return embeddings [N, D] of faces, BatchNorm unfolded, the whole batch at once, input scaled outside."""
    x: Tensor = teacher((face * 0.5 + 0.5).mul(255).sub(127.5).div(127.5))
    return x


def _affine(layer: FullyConnected, w: Tensor) -> Tensor:
    return w @ (layer.weight * layer.weight_gain).T + layer.bias * layer.bias_gain


def _modulated(x: Tensor, weight: Tensor, styles: Tensor, *, demodulate: bool, up: bool, taps: Tensor | None) -> Tensor:
    n, inputs, height, width = x.shape
    own = weight[None] * styles[:, None, :, None, None]  # [N, O, I, k, k]
    if demodulate:
        own = own * (own.square().sum([2, 3, 4], keepdim=True) + 1e-8).rsqrt()
    outputs, size = weight.shape[0], weight.shape[2]
    x = x.reshape(1, n * inputs, height, width)
    if up:
        # [N, O, I, k, k] -> [N * I, O, k, k], turned round: a transposed convolution convolves.
        turned = own.flip([3, 4]).transpose(1, 2).reshape(n * inputs, outputs, size, size)
        x = conv_transpose2d(x, turned, stride=2, groups=n)
        assert taps is not None
        x = x.reshape(n, outputs, *x.shape[2:])
        return _filter(pad(x, [1, 1, 1, 1]), taps * 4)
    x = conv2d(x, own.reshape(n * outputs, inputs, size, size), padding=size // 2, groups=n)
    return x.reshape(n, outputs, *x.shape[2:])


def _layer(layer: Layer, x: Tensor, w: Tensor, noise: Tensor | None) -> Tensor:
    x = _modulated(
        x, layer.weight, _affine(layer.affine, w), demodulate=True, up=layer.up == 2, taps=layer.resample_filter
    )
    if noise is not None:
        x = x + noise * layer.noise_strength
    return _bias_act(x, layer.bias, layer.clamp, is_linear=False)


def _to_rgb(block: Block, x: Tensor, w: Tensor) -> Tensor:
    torgb = block.torgb
    styles = _affine(torgb.affine, w) / math.sqrt(x.shape[1])
    y = _modulated(x, torgb.weight, styles, demodulate=False, up=False, taps=None)
    return _bias_act(y, torgb.bias, torgb.clamp, is_linear=True)


def _bias_act(x: Tensor, bias: Tensor, clamp: float | None, *, is_linear: bool) -> Tensor:
    x = x + bias[None, :, None, None]
    if not is_linear:
        x = leaky_relu(x, 0.2)
        x = x * math.sqrt(2)
    return x if clamp is None else x.clamp(-clamp, clamp)


def _filter(x: Tensor, taps: Tensor) -> Tensor:
    channels = x.shape[1]
    return conv2d(x, taps.flip([0, 1])[None, None].repeat(channels, 1, 1, 1), groups=channels)


def _upsample(image: Tensor, taps: Tensor) -> Tensor:
    n, channels, height, width = image.shape
    stuffed = torch.zeros(n, channels, 2 * height, 2 * width, dtype=image.dtype, device=image.device)
    stuffed[:, :, ::2, ::2] = image
    return _filter(pad(stuffed, [2, 1, 2, 1]), taps * 4)
