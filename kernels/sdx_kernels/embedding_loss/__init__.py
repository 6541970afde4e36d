"""Distance between a student's and a teacher's embeddings, with the cosine of each row."""

from __future__ import annotations

from torch import Tensor

from sdx_kernels import dispatch, layout
from sdx_kernels.embedding_loss.reference import embedding_loss_reference

__all__ = ["embedding_loss"]


def embedding_loss(
    student: Tensor, teacher: Tensor, *, mse: float = 1.0, cosine: float = 0.0, impl: dispatch.Impl = "auto"
) -> tuple[Tensor, Tensor]:
    """Return ``mse * mean((s - t)^2) + cosine * mean(1 - cos(s, t))`` and the cosine of every row.

    Args:
        student: float16, bfloat16, float32 or float64 [N, D]; gradients flow through.
        teacher: likewise [N, D]; gradients flow through where it asks for them.
        mse: weight of the squared error, a mean over N * D.
        cosine: weight of 1 - cos, a mean over N; each norm is taken as at least 1e-8, as torch's cosine_similarity.
        impl: see `sdx_kernels.backend`.

    Returns:
        loss, a float32 scalar (float64 for float64 inputs; 0 for an empty batch), and similarity [N] of the same
        dtype, which is detached: it steers samplers and is not differentiable.

    Raises:
        KernelError: for unequal shapes, another rank or dtype, or a Triton implementation, which this version has not.
    """
    dispatch.runs_triton("embedding_loss", impl, student=student, teacher=teacher)
    if student.ndim != 2 or student.shape != teacher.shape:
        raise dispatch.KernelError(
            f"embedding_loss: expected two embeddings [N, D] of one shape, got {list(student.shape)} and "
            f"{list(teacher.shape)}"
        )
    if student.dtype not in layout.DTYPES or teacher.dtype not in layout.DTYPES:
        raise dispatch.KernelError(
            f"embedding_loss: expected floating-point embeddings, got {student.dtype} and {teacher.dtype}"
        )
    return embedding_loss_reference(student, teacher, mse, cosine)
