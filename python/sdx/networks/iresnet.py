"""IResNet, the residual network of ArcFace, with InsightFace's names of weights (Duta et al., arXiv 2004.04989).

A block is BN, 3x3, BN, PReLU, 3x3 with the stride, BN, plus the shortcut; nothing follows the sum. The head flattens
the last map: position in the aligned face means something, so it is not averaged away.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 14, 3), 100: (3, 13, 30, 3)}


class Block(nn.Module):
    """Residual block [B, ``inputs``, H, W] -> [B, ``outputs``, ceil(H / stride), ceil(W / stride)]."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.prelu = nn.PReLU(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, stride, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Return the shortcut plus what the block adds to it."""
        shortcut = x if self.downsample is None else self.downsample(x)
        y = self.prelu(self.bn2(self.conv1(self.bn1(x))))
        added: Tensor = self.bn3(self.conv2(y))
        return added + shortcut


class IResNet(nn.Module):
    """IResNet of any width and depth: [B, 3, size, size] -> [B, embedding].

    Args:
        blocks: number of blocks in each stage; a stage halves the map in its first block.
        widths: channels of the stem, then of each stage.
        embedding: size of the embedding.
        size: side of the input in pixels.
        stem: side of the stem's kernel.
        stem_stride: stride of the stem.
    """

    def __init__(
        self,
        blocks: Sequence[int],
        widths: Sequence[int],
        embedding: int,
        size: int,
        *,
        stem: int = 3,
        stem_stride: int = 1,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, widths[0], stem, stem_stride, padding=stem // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.prelu = nn.PReLU(widths[0])
        side = -(-size // stem_stride)
        self.stages: list[str] = []
        for i, depth in enumerate(blocks):
            stage = [
                Block(widths[i] if j == 0 else widths[i + 1], widths[i + 1], 2 if j == 0 else 1) for j in range(depth)
            ]
            self.stages.append(f"layer{i + 1}")
            self.add_module(self.stages[-1], nn.Sequential(*stage))
            side = -(-side // 2)
        self.bn2 = nn.BatchNorm2d(widths[-1])
        self.fc = nn.Linear(widths[-1] * side * side, embedding)
        self.features = nn.BatchNorm1d(embedding)
        # The embedding's scale is the classifier's business: InsightFace keeps this weight at one, and so do we.
        self.features.weight.requires_grad_(False)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def forward(self, x: Tensor) -> Tensor:
        """Return the raw embedding, float32 [B, embedding]."""
        x = self.prelu(self.bn1(self.conv1(x)))
        for stage in self.stages:
            x = self.get_submodule(stage)(x)
        embedding: Tensor = self.features(self.fc(self.bn2(x).flatten(1)))
        return embedding


def standard(depth: int, embedding: int, size: int) -> IResNet:
    """Return IResNet-18, -34, -50 or -100 as InsightFace builds it, for an input of any ``size``."""
    return IResNet(BLOCKS[depth], (64, 64, 128, 256, 512), embedding, size)


def simface(embedding: int, size: int) -> IResNet:
    """Return the small teacher of the embedded world: 62 M multiply-accumulates at 64 pixels and 256-d."""
    return IResNet((1, 2, 1), (24, 48, 96, 192), embedding, size, stem=5, stem_stride=2)
