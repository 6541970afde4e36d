"""MobileFaceNet (Chen et al., arXiv 1804.07573), with the names of weights that most published ones have."""

from __future__ import annotations

from torch import Tensor, nn


class ConvBlock(nn.Module):
    """Convolution, BatchNorm and PReLU; ``linear`` leaves the PReLU out."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        *,
        padding: int = 0,
        groups: int = 1,
        linear: bool = False,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs)
        if not linear:
            self.prelu = nn.PReLU(outputs)
        self.linear = linear

    def forward(self, x: Tensor) -> Tensor:
        """Return [B, outputs, H', W']."""
        y: Tensor = self.bn(self.conv(x))
        return y if self.linear else self.prelu(y)


class Bottleneck(nn.Module):
    """Inverted bottleneck: 1x1 to ``groups`` channels, depthwise 3x3, linear 1x1; ``residual`` adds the input."""

    def __init__(self, inputs: int, outputs: int, groups: int, stride: int = 1, *, residual: bool = False) -> None:
        super().__init__()
        self.conv = ConvBlock(inputs, groups, 1)
        self.conv_dw = ConvBlock(groups, groups, 3, stride, padding=1, groups=groups)
        self.project = ConvBlock(groups, outputs, 1, linear=True)
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        """Return [B, outputs, H', W']."""
        y: Tensor = self.project(self.conv_dw(self.conv(x)))
        return x + y if self.residual else y


class Chain(nn.Module):
    """``depth`` residual bottlenecks of ``width`` channels, one after the other."""

    def __init__(self, width: int, groups: int, depth: int) -> None:
        super().__init__()
        self.model = nn.Sequential(*[Bottleneck(width, width, groups, residual=True) for _ in range(depth)])

    def forward(self, x: Tensor) -> Tensor:
        """Return [B, width, H, W]."""
        y: Tensor = self.model(x)
        return y


class GlobalDepthwise(nn.Module):
    """A learnt weight for each position and channel instead of the mean over positions, then the embedding."""

    def __init__(self, width: int, side: int, embedding: int) -> None:
        super().__init__()
        self.conv_6_dw = ConvBlock(width, width, side, groups=width, linear=True)
        self.linear = nn.Linear(width, embedding, bias=False)
        self.bn = nn.BatchNorm1d(embedding)

    def forward(self, x: Tensor) -> Tensor:
        """Return the raw embedding, float32 [B, embedding]."""
        y: Tensor = self.bn(self.linear(self.conv_6_dw(x).flatten(1)))
        return y


class MobileFaceNet(nn.Module):
    """MobileFaceNet: [B, 3, size, size] -> [B, embedding]."""

    def __init__(self, embedding: int, size: int) -> None:
        super().__init__()
        self.conv1 = ConvBlock(3, 64, 3, 2, padding=1)
        self.conv2_dw = ConvBlock(64, 64, 3, padding=1, groups=64)
        self.conv_23 = Bottleneck(64, 64, 128, 2)
        self.conv_3 = Chain(64, 128, 4)
        self.conv_34 = Bottleneck(64, 128, 256, 2)
        self.conv_4 = Chain(128, 256, 6)
        self.conv_45 = Bottleneck(128, 128, 512, 2)
        self.conv_5 = Chain(128, 256, 2)
        self.conv_6_sep = ConvBlock(128, 512, 1)
        self.output_layer = GlobalDepthwise(512, -(-size // 16), embedding)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def forward(self, x: Tensor) -> Tensor:
        """Return the raw embedding, float32 [B, embedding]."""
        x = self.conv2_dw(self.conv1(x))
        x = self.conv_3(self.conv_23(x))
        x = self.conv_4(self.conv_34(x))
        x = self.conv_5(self.conv_45(x))
        embedding: Tensor = self.output_layer(self.conv_6_sep(x))
        return embedding
