"""StyleGAN2's discriminator, the residual one, under NVIDIA's names of weights (Karras et al. 2020)."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from sdx.networks.stylegan2 import FullyConnected, GeneratorConfig, low_pass
from sdx_kernels import bias_act, upfirdn2d

_GROUP = 4
"""Images whose spread is shown to the discriminator, so that it sees a generator that always draws the same."""


class Convolution(nn.Module):
    """A convolution with equalised learning rate, optionally to half the size, and its activation."""

    def __init__(
        self, inputs: int, outputs: int, size: int, *, down: int = 1, bias: bool = True, act: str = "lrelu"
    ) -> None:
        super().__init__()
        weight = torch.randn(outputs, inputs, size, size)
        self.weight = nn.Parameter(weight.contiguous(memory_format=torch.channels_last))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.register_buffer("resample_filter", low_pass())
        self.resample_filter: Tensor
        self.down = down
        self.act = act
        self.weight_gain = 1 / math.sqrt(inputs * size**2)

    def forward(self, x: Tensor, gain: float = 1.0) -> Tensor:
        """Return [N, outputs, H / down, H / down], times ``gain`` after the activation."""
        size = self.weight.shape[2]
        weight = self.weight * self.weight_gain
        if self.down == 1:
            x = conv2d(x, weight, padding=size // 2)
        elif size == 1:  # filter and thin out first: the convolution then has a quarter of the pixels
            x = conv2d(upfirdn2d(x, self.resample_filter, down=2, padding=1), weight)
        else:
            x = conv2d(upfirdn2d(x, self.resample_filter, padding=2), weight, stride=2)
        if self.act == "linear":
            return bias_act(x, self.bias, act="linear", gain=gain)
        return bias_act(x, self.bias, act="lrelu", gain=math.sqrt(2) * gain)


class Block(nn.Module):
    """Residual block to half the size; the largest one reads the image."""

    def __init__(self, inputs: int, outputs: int, *, is_first: bool) -> None:
        super().__init__()
        if is_first:
            self.fromrgb = Convolution(3, inputs, 1)
        self.conv0 = Convolution(inputs, inputs, 3)
        self.conv1 = Convolution(inputs, outputs, 3, down=2)
        self.skip = Convolution(inputs, outputs, 1, down=2, bias=False, act="linear")

    def forward(self, x: Tensor) -> Tensor:
        """Return [N, outputs, H / 2, H / 2]."""
        if hasattr(self, "fromrgb"):
            x = self.fromrgb(x)
        half = math.sqrt(0.5)
        shortcut: Tensor = self.skip(x, half)
        added: Tensor = self.conv1(self.conv0(x), half)
        return shortcut + added


class Epilogue(nn.Module):
    """The last block: spread within groups, convolution, two fully connected layers."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = Convolution(channels + 1, channels, 3)
        self.fc = FullyConnected(channels * 16, channels, act="lrelu")
        self.out = FullyConnected(channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return one logit an image, [N], of [N, channels, 4, 4]."""
        x = self.conv(torch.cat([x, group_deviation(x)], 1))
        logit: Tensor = self.out(self.fc(x.flatten(1)))
        return logit[:, 0]


class Discriminator(nn.Module):
    """An image to a logit, above 0 for a real one.

    Args:
        config: of the generator; resolution and channels count.
    """

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        for side in reversed(config.resolutions[1:]):
            block = Block(config.channels(side), config.channels(side // 2), is_first=side == config.resolution)
            setattr(self, f"b{side}", block)
        self.b4 = Epilogue(config.channels(4))

    def blocks(self) -> Iterator[Block]:
        """Yield the residual blocks, the largest first."""
        for side in reversed(self.config.resolutions[1:]):
            yield getattr(self, f"b{side}")

    def forward(self, image: Tensor) -> Tensor:
        """Return logits, float32 [N], of images float32 [N, 3, R, R] in [-1, 1]."""
        x = image.contiguous(memory_format=torch.channels_last)
        for block in self.blocks():
            x = block(x)
        logit: Tensor = self.b4(x)
        return logit


def group_deviation(x: Tensor) -> Tensor:
    """Return the mean deviation within groups of up to four images, [N, 1, H, W] (Karras et al. 2018, section 3).

    Image n is in group n mod (N / group), as NVIDIA's networks count; a batch that four does not divide makes one
    group.
    """
    n, _, height, width = x.shape
    group = _GROUP if n % _GROUP == 0 else n
    y = x.reshape(group, -1, *x.shape[1:])  # [group, N / group, C, H, W]
    spread = (y - y.mean(0)).square().mean(0).add(1e-8).sqrt().mean([1, 2, 3])  # [N / group]
    return spread.reshape(-1, 1, 1, 1).repeat(group, 1, height, width)
