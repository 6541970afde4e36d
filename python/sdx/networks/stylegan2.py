"""StyleGAN2's generator (Karras et al. 2020, 2020b): a mapping from z to w, and a synthesis of images from w.

Names in the state dict are those of NVIDIA's PyTorch format, so that official weights load without a map. Written on
`sdx_kernels` alone: gradients of any order flow through. `sdx.sources.synthesis` is its fast form for frozen weights.

Letters: N images, Z and W sizes of z and w, L number of style inputs (``num_ws``), R side of the image.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sdx.errors import ConfigError
from sdx_kernels import bias_act, modulated_conv2d, upfirdn2d

_MAPPING_RATE = 0.01  # the mapping learns at a hundredth of the rate of the rest
_FILTER = (1.0, 3.0, 3.0, 1.0)


@dataclass(frozen=True)
class GeneratorConfig:
    """All there is to build a generator.

    Args:
        resolution: side of the image in pixels, a power of two from 8 to 1024.
        z_dim: size of z.
        w_dim: size of w.
        mapping_layers: fully connected layers from z to w; NVIDIA's generators have 8 or 2.
        channel_base: channels times resolution, up to channel_max: 16384 and 512 are FFHQ-256's.
        channel_max: most channels of a layer.
        conv_clamp: limit of every layer's output; None for no limit.

    Raises:
        ConfigError: for a value out of its range.
    """

    resolution: int
    z_dim: int = 512
    w_dim: int = 512
    mapping_layers: int = 8
    channel_base: int = 16384
    channel_max: int = 512
    conv_clamp: float | None = None

    def __post_init__(self) -> None:
        side = self.resolution
        if not 8 <= side <= 1024 or side & (side - 1):
            raise ConfigError(f"generator: expected a resolution that is a power of two from 8 to 1024, got {side}")
        for name, low, high in (
            ("z_dim", 1, 4096),
            ("w_dim", 1, 4096),
            ("mapping_layers", 1, 16),
            ("channel_base", side, 1 << 20),
            ("channel_max", 1, 4096),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"generator: expected {name} from {low} to {high}, got {value}")
        if self.conv_clamp is not None and not 0 < self.conv_clamp < math.inf:
            raise ConfigError(f"generator: expected conv_clamp above 0 or none, got {self.conv_clamp}")

    @property
    def resolutions(self) -> list[int]:
        """Sides of the blocks' images, 4 to ``resolution``."""
        return [2**power for power in range(2, self.resolution.bit_length())]

    @property
    def num_ws(self) -> int:
        """Number of style inputs: two for each block but one for the first, and one for the last toRGB."""
        return 2 * len(self.resolutions)

    def channels(self, resolution: int) -> int:
        """Return the channels of the block of that side."""
        return min(self.channel_base // resolution, self.channel_max)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


class FullyConnected(nn.Module):
    """A linear layer with equalised learning rate: weights are stored at unit variance and scaled at run time."""

    def __init__(self, inputs: int, outputs: int, *, rate: float = 1.0, bias: float = 0.0, act: str = "linear") -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias))
        self.weight_gain = rate / math.sqrt(inputs)
        self.bias_gain = rate
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        """Return [N, outputs] of [N, inputs]."""
        weight, bias = self.weight * self.weight_gain, self.bias * self.bias_gain
        if self.act == "linear":
            return torch.addmm(bias, x, weight.T)
        return bias_act(x @ weight.T, bias, act="lrelu")


class Mapping(nn.Module):
    """z to w: the second moment of z is set to 1, then fully connected layers."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.layers = config.mapping_layers
        for number in range(config.mapping_layers):
            inputs = config.w_dim if number else config.z_dim
            layer = FullyConnected(inputs, config.w_dim, rate=_MAPPING_RATE, act="lrelu")
            setattr(self, f"fc{number}", layer)
        self.register_buffer("w_avg", torch.zeros(config.w_dim))
        self.w_avg: Tensor

    def forward(self, z: Tensor, psi: float = 1.0) -> Tensor:
        """Return w, float32 [N, W], of z, float32 [N, Z]; psi < 1 draws it towards the mean w (truncation trick)."""
        x = normalise_z(z)
        for number in range(self.layers):
            x = getattr(self, f"fc{number}")(x)
        return x if psi == 1.0 else self.w_avg.lerp(x, psi)


class Layer(nn.Module):
    """Style, modulated 3x3 convolution, noise, bias, leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, config: GeneratorConfig, resolution: int, up: int) -> None:
        super().__init__()
        self.up = up
        self.clamp = config.conv_clamp
        self.affine = FullyConnected(config.w_dim, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3).contiguous(memory_format=torch.channels_last))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.noise_strength = nn.Parameter(torch.zeros([]))
        self.register_buffer("noise_const", torch.randn(resolution, resolution))
        self.register_buffer("resample_filter", low_pass())
        self.noise_const: Tensor
        self.resample_filter: Tensor

    def forward(self, x: Tensor, w: Tensor, noise: Tensor | None) -> Tensor:
        """Return [N, outputs, up * H, up * H]; ``noise`` before its strength, see `sdx_kernels.modulated_conv2d`."""
        return modulated_conv2d(
            x,
            self.weight,
            self.affine(w),
            up=self.up,
            padding=1,
            filter=self.resample_filter if self.up > 1 else None,
            noise=None if noise is None else noise * self.noise_strength,
            bias=self.bias,
            act="lrelu",
            clamp=self.clamp,
        )


class ToRGB(nn.Module):
    """Modulated 1x1 convolution to the three colours, not demodulated."""

    def __init__(self, inputs: int, config: GeneratorConfig) -> None:
        super().__init__()
        self.clamp = config.conv_clamp
        self.gain = 1 / math.sqrt(inputs)
        self.affine = FullyConnected(config.w_dim, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(3, inputs, 1, 1).contiguous(memory_format=torch.channels_last))
        self.bias = nn.Parameter(torch.zeros(3))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Return [N, 3, H, H]."""
        styles = self.affine(w) * self.gain
        return modulated_conv2d(x, self.weight, styles, demodulate=False, bias=self.bias, clamp=self.clamp)


class Block(nn.Module):
    """The layers of one resolution; the image of the block before is upsampled and added to (skip architecture)."""

    def __init__(self, config: GeneratorConfig, resolution: int) -> None:
        super().__init__()
        channels = config.channels(resolution)
        if resolution == 4:
            self.const = nn.Parameter(torch.randn(channels, 4, 4))
        else:
            self.conv0 = Layer(config.channels(resolution // 2), channels, config, resolution, up=2)
        self.conv1 = Layer(channels, channels, config, resolution, up=1)
        self.torgb = ToRGB(channels, config)
        self.register_buffer("resample_filter", low_pass())
        self.resample_filter: Tensor

    def layers(self) -> list[Layer]:
        """Return the block's convolutions in order."""
        return [self.conv0, self.conv1] if hasattr(self, "conv0") else [self.conv1]


class Synthesis(nn.Module):
    """w to an image."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        for resolution in config.resolutions:
            setattr(self, f"b{resolution}", Block(config, resolution))

    def blocks(self) -> Iterator[Block]:
        """Yield the blocks, the smallest first."""
        for resolution in self.config.resolutions:
            yield getattr(self, f"b{resolution}")

    def layers(self) -> list[Layer]:
        """Return all convolutions with noise, in order; layer i takes style input i."""
        return [layer for block in self.blocks() for layer in block.layers()]

    def forward(self, ws: Tensor, noise: Sequence[Tensor | None] | None = None) -> Tensor:
        """Return images, float32 [N, 3, R, R], RGB, about [-1, 1] and not limited to it.

        Args:
            ws: [N, W], or [N, L, W] with a w of its own for each style input.
            noise: for each of `layers`, before its strength, [R, R] or [N, 1, R, R]; None for no noise.

        Raises:
            ConfigError: for another shape of ``ws`` or another number of noise images.
        """
        ws = self.broadcast(ws)
        number = len(self.layers())
        if noise is not None and len(noise) != number:
            raise ConfigError(f"generator: expected {number} noise images, one a layer, got {len(noise)}")
        x: Tensor | None = None
        image: Tensor | None = None
        place = 0
        for block in self.blocks():
            if x is None:
                x = block.const.expand(len(ws), -1, -1, -1).contiguous(memory_format=torch.channels_last)
            for layer in block.layers():
                x = layer(x, ws[:, place], None if noise is None else noise[place])
                place += 1
            colours = block.torgb(x, ws[:, place])  # its style input is the next block's first
            image = colours if image is None else upsample(image, block.resample_filter) + colours
        if image is None:
            raise AssertionError("a generator has a block")
        return image

    def broadcast(self, ws: Tensor) -> Tensor:
        """Return [N, L, W] of [N, W] or [N, L, W]; raises ConfigError for another shape."""
        config = self.config
        if ws.ndim == 2 and ws.shape[1] == config.w_dim:
            return ws[:, None].expand(-1, config.num_ws, -1)
        if ws.ndim == 3 and ws.shape[1:] == (config.num_ws, config.w_dim):
            return ws
        raise ConfigError(
            f"generator: expected w [N, {config.w_dim}] or [N, {config.num_ws}, {config.w_dim}], got {list(ws.shape)}"
        )


class Generator(nn.Module):
    """z to an image."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        self.mapping = Mapping(config)
        self.synthesis = Synthesis(config)

    def forward(self, z: Tensor, *, psi: float = 1.0, noise: Sequence[Tensor | None] | None = None) -> Tensor:
        """Return images, float32 [N, 3, R, R], of z, float32 [N, Z]; see `Mapping` and `Synthesis`."""
        image: Tensor = self.synthesis(self.mapping(z, psi), noise)
        return image


def normalise_z(z: Tensor) -> Tensor:
    """Return z, [N, Z], scaled so that the mean of its squares is 1."""
    return z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt()


def low_pass() -> Tensor:
    """Return the filter of all resampling, float32 [4, 4], of sum 1."""
    taps = torch.tensor(_FILTER)
    return torch.outer(taps, taps) / taps.sum() ** 2


def upsample(image: Tensor, filter: Tensor) -> Tensor:
    """Return ``image``, [N, C, H, H], at twice the size; ``filter`` is `low_pass`, or another outer product of taps."""
    return upfirdn2d(image, filter.sum(0), up=2, padding=(2, 1, 2, 1), gain=4.0)
