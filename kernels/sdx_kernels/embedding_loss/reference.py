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


def embedding_loss_gradient_reference(
    student: Tensor, teacher: Tensor, mse: float, cosine: float, scale: float | Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """See `sdx_kernels.embedding_loss_gradient`."""
    loss, similarity = embedding_loss_reference(student, teacher, mse, cosine)
    wide = layout.wide(student, teacher)
    s, t = student.to(wide), teacher.to(wide)
    gradient = torch.zeros_like(s, memory_format=torch.contiguous_format)
    if mse:
        gradient = gradient + (2 * mse / max(s.numel(), 1)) * (s - t)
    if cosine:
        length_s, length_t = (torch.linalg.vector_norm(x, dim=1, keepdim=True) for x in (s, t))
        clamped_s, clamped_t = length_s.clamp_min(_SMALLEST_NORM), length_t.clamp_min(_SMALLEST_NORM)
        along = torch.where(length_s < _SMALLEST_NORM, 0.0, similarity[:, None] / clamped_s.square())
        gradient = gradient + (cosine / max(len(s), 1)) * (along * s - t / (clamped_s * clamped_t))
    return loss, similarity, (scale * gradient).to(student.dtype).contiguous()
