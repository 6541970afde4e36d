"""The specification of embedding_loss in plain torch."""

from __future__ import annotations

import torch
from torch import Tensor

from sdx_kernels import layout

_SMALLEST_NORM = 1e-8


def embedding_loss_reference(student: Tensor, teacher: Tensor, mse: float, cosine: float) -> tuple[Tensor, Tensor]:
    """See `sdx_kernels.embedding_loss`."""
    wide = layout.wide(student, teacher)
    s, t = student.to(wide), teacher.to(wide)
    norms = torch.linalg.vector_norm(s, dim=1).clamp_min(_SMALLEST_NORM) * torch.linalg.vector_norm(t, dim=1).clamp_min(
        _SMALLEST_NORM
    )
    similarity = (s * t).sum(1) / norms  # [N]
    loss = s.new_zeros(())
    if mse:
        loss = loss + mse * (s - t).square().sum() / max(s.numel(), 1)
    if cosine:
        loss = loss + cosine * (1 - similarity).sum() / max(len(s), 1)
    return loss, similarity.detach()
