"""Distance between a student's and a teacher's embeddings, with the cosine of each row."""

from __future__ import annotations

import torch
from torch import Tensor

from sdx_kernels import arguments, dispatch, layout
from sdx_kernels.embedding_loss.autograd import forward, gradient
from sdx_kernels.embedding_loss.reference import embedding_loss_gradient_reference, embedding_loss_reference

__all__ = ["embedding_loss", "embedding_loss_gradient"]


def embedding_loss(
    student: Tensor, teacher: Tensor, *, mse: float = 1.0, cosine: float = 0.0, impl: dispatch.Impl = "auto"
) -> tuple[Tensor, Tensor]:
    """Return ``mse * mean((s - t)^2) + cosine * mean(1 - cos(s, t))`` and the cosine of every row.

    Args:
        student: float16, bfloat16, float32 or float64 [N, D]; gradients flow through. The teacher's dtype may be
            another, and autocast makes no difference: all is computed in float32 or better.
        teacher: likewise [N, D]; gradients flow through where it asks for them.
        mse: weight of the squared error, a mean over N * D.
        cosine: weight of 1 - cos, a mean over N; each norm is taken as at least 1e-8, as torch's cosine_similarity.
        impl: see `sdx_kernels.backend`.

    Returns:
        loss, a float32 scalar (float64 for float64 inputs; 0 for an empty batch), and similarity [N] of the same
        dtype, which is detached: it steers samplers and is not differentiable. The loss has derivatives of any order,
        the first alone where Triton runs; a second one raises there.

    Raises:
        KernelError: for unequal shapes, another rank or dtype, tensors on several devices, or Triton where it cannot
            run.
    """
    triton = dispatch.runs_triton("embedding_loss", impl, student=student, teacher=teacher)
    _check("embedding_loss", student, teacher)
    mse, cosine = (arguments.number("embedding_loss", *each) for each in (("mse", mse), ("cosine", cosine)))
    if triton:
        loss, similarity, _ = forward(student, teacher, mse, cosine)
    else:
        loss, similarity = embedding_loss_reference(student, teacher, mse, cosine)
    dispatch.checked("embedding_loss", loss, similarity)
    return loss, similarity


def embedding_loss_gradient(
    student: Tensor,
    teacher: Tensor,
    *,
    mse: float = 1.0,
    cosine: float = 0.0,
    scale: float | Tensor = 1.0,
    impl: dispatch.Impl = "auto",
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the loss and cosines of `embedding_loss` and the gradient of ``scale * loss`` at the student, in one pass.

    For a trainer that knows the loss scale beforehand and calls ``student.backward(gradient)``. The results are
    detached. Rows that do not fit in registers (D above 4096) are read twice, the second time from the cache.

    Args:
        student: float16, bfloat16, float32 or float64 [N, D].
        teacher: likewise [N, D].
        mse: weight of the squared error, see `embedding_loss`.
        cosine: weight of 1 - cos.
        scale: multiplies the gradient alone; a number, or a floating-point scalar tensor, which is read on its device.
        impl: see `sdx_kernels.backend`.

    Returns:
        loss, similarity [N], both without the scale and as in `embedding_loss`, and the gradient [N, D] in the dtype of
        the student, contiguous.

    Raises:
        KernelError: as `embedding_loss`, and for a scale that is a tensor of another rank or dtype.
    """
    op = "embedding_loss_gradient"
    tensor = scale if isinstance(scale, Tensor) else None
    triton = dispatch.runs_triton(op, impl, student=student, teacher=teacher, scale=tensor)
    _check(op, student, teacher)
    if tensor is not None and (tensor.ndim or tensor.dtype not in layout.DTYPES):
        raise dispatch.KernelError(
            f"{op}: expected scale a number or a floating-point scalar, got {tensor.dtype} {list(tensor.shape)}"
        )
    mse, cosine = (arguments.number(op, *each) for each in (("mse", mse), ("cosine", cosine)))
    scale = scale if isinstance(scale, Tensor) else arguments.number(op, "scale", scale)
    with torch.no_grad():
        if triton:
            factor = 1.0 if isinstance(scale, Tensor) else float(scale)
            loss, similarity, result = gradient(student, teacher, mse, cosine, factor, tensor)
        else:
            loss, similarity, result = embedding_loss_gradient_reference(student, teacher, mse, cosine, scale)
    result = result.to(student.dtype)  # autocast has the op see float32
    dispatch.checked(op, loss, similarity, result)
    return loss, similarity, result


def _check(op: str, student: Tensor, teacher: Tensor) -> None:
    if not isinstance(teacher, Tensor):
        raise dispatch.KernelError(f"{op}: expected teacher as a tensor, got {type(teacher).__name__}")
    if student.ndim != 2 or student.shape != teacher.shape:
        raise dispatch.KernelError(
            f"{op}: expected two embeddings [N, D] of one shape, got {list(student.shape)} and {list(teacher.shape)}"
        )
    if student.dtype not in layout.DTYPES or teacher.dtype not in layout.DTYPES:
        raise dispatch.KernelError(f"{op}: expected floating-point embeddings, got {student.dtype} and {teacher.dtype}")
