"""Classification heads over the people of a labelled source."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class ArcFaceHead(nn.Module):
    """Additive angular margin (Deng et al., CVPR 2019, eq. 3): logits s * cos(theta + m) for the own class.

    Where theta + m would pass pi the easy continuation cos(theta) - m * sin(m) keeps the logit falling, as the authors'
    code has it.

    Args:
        embedding: D.
        classes: C.
        scale: s.
    """

    def __init__(self, embedding: int, classes: int, scale: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(classes, embedding))
        nn.init.normal_(self.weight, std=0.01)
        self.scale = scale

    def forward(self, embedding: Tensor, label: Tensor, margin: float) -> tuple[Tensor, Tensor]:
        """Return logits [B, C] and the cosine [B] of each embedding [B, D] to the centre of its label int64 [B]."""
        unit = nn.functional.normalize(embedding.float())
        cosine = unit @ nn.functional.normalize(self.weight).T  # [B, C]
        own = cosine.gather(1, label[:, None])
        sine = (1 - own.square()).clamp_min(1e-9).sqrt()
        with_margin = own * math.cos(margin) - sine * math.sin(margin)
        past_pi = own <= math.cos(math.pi - margin)
        with_margin = torch.where(past_pi, own - margin * math.sin(margin), with_margin)
        return self.scale * cosine.scatter(1, label[:, None], with_margin), own[:, 0]
