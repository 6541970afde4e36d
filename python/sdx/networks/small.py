"""A small student of plain 3x3 convolutions: on a CPU they finish sooner than depthwise ones of fewer operations."""

from __future__ import annotations

from torch import Tensor, nn

STEM = 16
STAGES = ((32, 0), (64, 1), (128, 0))
"""(channels, residual convolutions) of each stage; its first convolution halves the map."""


class ConvBlock(nn.Module):
    """3x3 convolution, BatchNorm and ReLU; ``residual`` adds the input (same shape) after the ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1, *, residual: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(outputs)
        self.residual = residual
        nn.init.kaiming_normal_(self.conv.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Return [B, outputs, H', W']."""
        y: Tensor = nn.functional.relu(self.bn(self.conv(x)), inplace=True)
        return x + y if self.residual else y


class Small(nn.Module):
    """Plain student [B, 3, size, size] -> [B, embedding]: 6.9 M multiply-accumulates at 64 pixels and 256-d.

    The last map is flattened, not averaged: where in an aligned face something is seen is part of who it is. The
    BatchNorm at the end learns the scale of a teacher's raw embedding, which would otherwise hold up all the rest.
    """

    def __init__(self, embedding: int, size: int) -> None:
        super().__init__()
        self.stem = ConvBlock(3, STEM, 2)
        body: list[nn.Module] = []
        width, side = STEM, -(-size // 2)
        for outputs, residuals in STAGES:
            body.append(ConvBlock(width, outputs, 2))
            body.extend(ConvBlock(outputs, outputs, residual=True) for _ in range(residuals))
            width, side = outputs, -(-side // 2)
        self.body = nn.Sequential(*body)
        self.fc = nn.Linear(width * side * side, embedding, bias=False)
        self.features = nn.BatchNorm1d(embedding)

    def forward(self, x: Tensor) -> Tensor:
        """Return the raw embedding, float32 [B, embedding]."""
        embedding: Tensor = self.features(self.fc(self.body(self.stem(x)).flatten(1)))
        return embedding
