"""The specification of prototype_loss in plain torch."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sdx_kernels import layout


def prototype_loss_reference(
    student: Tensor,
    student_bank: Tensor,
    teacher: Tensor | None,
    teacher_bank: Tensor | None,
    labels: Tensor | None,
    factor: float,
) -> tuple[Tensor, Tensor]:
    """See `sdx_kernels.prototype_loss`; ``factor`` is scale over temperature."""
    given = [t for t in (student, student_bank, teacher, teacher_bank) if t is not None]
    wide = layout.wide(*given)
    log_p = _log_softmax(student, student_bank, factor, wide)
    if teacher is not None and teacher_bank is not None:
        log_target = _log_softmax(teacher.detach(), teacher_bank.detach(), factor, wide)
        per_row = (log_target.exp() * (log_target - log_p)).sum(1)
    else:
        assert labels is not None
        valid = (labels >= 0) & (labels < len(student_bank))
        chosen = log_p.gather(1, labels.clamp(0, len(student_bank) - 1).long()[:, None])[:, 0]
        per_row = -chosen * torch.where(valid, 1.0, math.nan).to(wide)
    return per_row.sum() / max(len(student), 1), per_row.detach()


def _log_softmax(embedding: Tensor, bank: Tensor, factor: float, wide: torch.dtype) -> Tensor:
    with layout.without_autocast(embedding.device):
        return torch.log_softmax(factor * (embedding.to(wide) @ bank.to(wide).T), 1)
