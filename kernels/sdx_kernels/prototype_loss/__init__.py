"""Softmax losses between embeddings and a bank of prototypes."""

from __future__ import annotations

import torch
from torch import Tensor

from sdx_kernels import arguments, dispatch, layout
from sdx_kernels.prototype_loss.autograd import forward
from sdx_kernels.prototype_loss.reference import prototype_loss_reference

__all__ = ["prototype_loss"]

_LABELS = (torch.int64, torch.int32)


def prototype_loss(
    student: Tensor,
    student_bank: Tensor,
    *,
    teacher: Tensor | None = None,
    teacher_bank: Tensor | None = None,
    labels: Tensor | None = None,
    scale: float = 64.0,
    temperature: float = 1.0,
    impl: dispatch.Impl = "auto",
) -> tuple[Tensor, Tensor]:
    """Return the mean over rows of a softmax loss against K prototypes, and the loss of every row.

    With ``p = softmax(scale / temperature * student @ student_bank.T)``, a row's loss is ``KL(q || p)`` for the same
    softmax ``q`` of the teacher's side, or ``-log p[label]``. Nothing is normalised, and the usual factor
    ``temperature**2`` is the caller's. On Triton no tensor [B, K] is stored.

    Args:
        student: float16, bfloat16, float32 or float64 [B, D]; gradients flow to it. The other arguments may have other
            dtypes. Autocast changes none: products are summed, and the softmax is computed, in float32 or better.
        student_bank: likewise [K, D], K at least 1; gradients flow to it, too. NaN in a row of the batch, by a value or
            by its label, makes all of the bank's gradient NaN.
        teacher: likewise [B, E], frozen; E may differ from D. None with labels.
        teacher_bank: likewise [K, E], frozen; its prototype k is the student bank's.
        labels: int64 or int32 [B] in [0, K); another label makes its row NaN. None with a teacher.
        scale: multiplies the similarities.
        temperature: divides them, on both sides.
        impl: see `sdx_kernels.backend`.

    Returns:
        loss, a float32 scalar (float64 where an argument is; 0 for an empty batch), and the loss of each row, [B], of
        the same dtype, which is detached. The loss has derivatives of any order, the first alone where Triton runs; a
        second one raises there.

    Raises:
        KernelError: for shapes or dtypes that do not fit, a teacher and labels, neither, or half a teacher's side, a
            scale or temperature out of range, tensors on several devices, or Triton where it cannot run.
    """
    op = "prototype_loss"
    triton = dispatch.runs_triton(
        op,
        impl,
        student=student,
        student_bank=student_bank,
        teacher=teacher,
        teacher_bank=teacher_bank,
        labels=labels,
    )
    _check_side(op, "student", student, student_bank)
    if (teacher is None) == (labels is None) or (teacher is None) != (teacher_bank is None):
        names = {"teacher": teacher, "teacher_bank": teacher_bank, "labels": labels}
        given = [name for name, value in names.items() if value is not None]
        raise dispatch.KernelError(
            f"{op}: expected teacher and teacher_bank, or labels alone, got {' and '.join(given) or 'none of them'}"
        )
    if teacher is not None and teacher_bank is not None:
        _check_side(op, "teacher", teacher, teacher_bank)
        if len(teacher) != len(student) or len(teacher_bank) != len(student_bank):
            raise dispatch.KernelError(
                f"{op}: expected teacher [{len(student)}, E] and teacher_bank [{len(student_bank)}, E], got "
                f"{list(teacher.shape)} and {list(teacher_bank.shape)}"
            )
        teacher, teacher_bank = teacher.detach(), teacher_bank.detach()
    if labels is not None and (list(labels.shape) != [len(student)] or labels.dtype not in _LABELS):
        raise dispatch.KernelError(
            f"{op}: expected labels int64 or int32 [{len(student)}], got {labels.dtype} {list(labels.shape)}"
        )
    scale, temperature = arguments.number(op, "scale", scale), arguments.number(op, "temperature", temperature)
    if temperature <= 0:
        raise dispatch.KernelError(f"{op}: expected temperature > 0, got {temperature}")
    factor = arguments.number(op, "scale / temperature", scale / temperature)
    if triton:
        loss, per_row, _ = forward(student, student_bank, teacher, teacher_bank, labels, factor)
    else:
        loss, per_row = prototype_loss_reference(student, student_bank, teacher, teacher_bank, labels, factor)
    dispatch.checked(op, loss, per_row)
    return loss, per_row


def _check_side(op: str, name: str, embedding: Tensor, bank: Tensor) -> None:
    if not isinstance(bank, Tensor):
        raise dispatch.KernelError(f"{op}: expected {name}_bank as a tensor, got {type(bank).__name__}")
    if embedding.ndim != 2 or bank.ndim != 2 or embedding.shape[1] != bank.shape[1] or not len(bank):
        raise dispatch.KernelError(
            f"{op}: expected {name} [B, D] and {name}_bank [K, D] with K > 0, got {list(embedding.shape)} and "
            f"{list(bank.shape)}"
        )
    if embedding.dtype not in layout.DTYPES or bank.dtype not in layout.DTYPES:
        raise dispatch.KernelError(
            f"{op}: expected floating-point {name} and {name}_bank, got {embedding.dtype} and {bank.dtype}"
        )
