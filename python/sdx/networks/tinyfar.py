"""TinyFaR, SynthDistill's students: a TinyNet without its classifier, and one linear layer (arXiv 2308.14852)."""

from __future__ import annotations

from typing import Literal

import timm
from torch import Tensor, nn


class TinyFaR(nn.Module):
    """TinyFaR-A, -B or -C with the authors' names of weights: [B, 3, S, S] -> [B, embedding].

    The body averages over positions, so that the weights do not depend on ``size``.
    """

    def __init__(self, variant: Literal["a", "b", "c"], embedding: int, size: int) -> None:
        super().__init__()
        del size
        self.cnn: nn.Module = timm.create_model(f"tinynet_{variant}", num_classes=0)
        self.fc = nn.Linear(1280, embedding)

    def forward(self, x: Tensor) -> Tensor:
        """Return the raw embedding, float32 [B, embedding]."""
        embedding: Tensor = self.fc(self.cnn(x))
        return embedding
