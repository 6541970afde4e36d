"""embedding_loss as registered torch ops: the Triton kernels, what they look like to a tracer, and the derivative.

The forward pass keeps three numbers a row. There is no second derivative here: `impl="reference"` has it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sdx_kernels import launch, layout
from sdx_kernels.derivatives import refuse_second


@torch.library.custom_op("sdx_kernels::embedding_loss", mutates_args=())
def forward(student: Tensor, teacher: Tensor, mse: float, cosine: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return the loss, the cosines [N], and norms and cosine of each row [3, N]; see `sdx_kernels.embedding_loss`.

    The caller may change his cosines; the derivative has its own.
    """
    norms = torch.empty((3, len(student)), dtype=torch.float32, device=student.device)
    loss, similarity = _run(student, teacher, mse, cosine, norms, None, 1.0, None)
    return loss, similarity, norms


@torch.library.custom_op("sdx_kernels::embedding_loss_grad", mutates_args=())
def grad(
    upstream: Tensor,
    student: Tensor,
    teacher: Tensor,
    norms: Tensor,
    mse: float,
    cosine: float,
    wants_student: bool,
    wants_teacher: bool,
) -> tuple[Tensor, Tensor]:
    """Return the gradients [N, D] at student and teacher, empty where not wanted."""
    from sdx_kernels.embedding_loss.kernel import embedding_loss_backward_kernel

    n, d = student.shape
    results = _gradients(student, teacher, wants_student, wants_teacher)
    if not n or not d:
        return results
    student, teacher = layout.rows_together(student), layout.rows_together(teacher)
    row = _row("embedding_loss_backward_kernel", student, teacher)
    launch.launch(
        embedding_loss_backward_kernel,
        (-(-n // row.blocks["BLOCK_N"]),),
        student,
        teacher,
        upstream,
        norms,
        *results,
        n,
        d,
        student.stride(0),
        teacher.stride(0),
        mse / (n * d),
        cosine / n,
        row=row,
        HAS_MSE=mse != 0,
        HAS_COSINE=cosine != 0,
        HAS_STUDENT=wants_student,
        HAS_TEACHER=wants_teacher,
        CHUNKS=-(-d // row.blocks["BLOCK_D"]),
    )
    return results


@torch.library.custom_op("sdx_kernels::embedding_loss_gradient", mutates_args=())
def gradient(
    student: Tensor, teacher: Tensor, mse: float, cosine: float, factor: float, scale: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """See `sdx_kernels.embedding_loss_gradient`; the gradient is that of ``factor * scale * loss``."""
    result = torch.empty(student.shape, dtype=student.dtype, device=student.device)
    loss, similarity = _run(student, teacher, mse, cosine, None, result, factor, scale)
    return loss, similarity, result


def _run(
    student: Tensor,
    teacher: Tensor,
    mse: float,
    cosine: float,
    norms: Tensor | None,
    result: Tensor | None,
    factor: float,
    scale: Tensor | None,
) -> tuple[Tensor, Tensor]:
    from sdx_kernels.embedding_loss.kernel import embedding_loss_kernel

    n, d = student.shape
    per_row, similarity = (torch.empty((n,), dtype=torch.float32, device=student.device) for _ in range(2))
    student, teacher = layout.rows_together(student), layout.rows_together(teacher)
    row = _row("embedding_loss_kernel", student, teacher)
    launch.launch(
        embedding_loss_kernel,
        (-(-n // row.blocks["BLOCK_N"]),),
        student,
        teacher,
        scale,
        per_row,
        similarity,
        norms,
        result,
        n,
        d,
        student.stride(0),
        teacher.stride(0),
        mse / max(n * d, 1),
        cosine / max(n, 1),
        factor,
        row=row,
        HAS_MSE=mse != 0,
        HAS_COSINE=cosine != 0,
        HAS_SCALE=scale is not None,
        HAS_NORMS=norms is not None,
        HAS_GRADIENT=result is not None,
        CHUNKS=max(-(-d // row.blocks["BLOCK_D"]), 1),
    )
    return per_row.sum(), similarity


def _row(kernel: str, student: Tensor, teacher: Tensor) -> launch.Row:
    bits = 8 * max(student.element_size(), teacher.element_size())
    return launch.config(kernel, size=student.shape[1], bits=bits, arch=launch.arch_of(student.device))


def _gradients(student: Tensor, teacher: Tensor, wants_student: bool, wants_teacher: bool) -> tuple[Tensor, Tensor]:
    first, second = (
        torch.empty(x.shape if wanted else (0,), dtype=x.dtype, device=x.device)
        for x, wanted in ((student, wants_student), (teacher, wants_teacher))
    )
    return first, second


@forward.register_fake
def _(student: Tensor, teacher: Tensor, mse: float, cosine: float) -> tuple[Tensor, Tensor, Tensor]:
    n = student.shape[0]
    loss, similarity, norms = (student.new_empty(shape, dtype=torch.float32) for shape in ((), (n,), (3, n)))
    return loss, similarity, norms


@grad.register_fake
def _(
    upstream: Tensor,
    student: Tensor,
    teacher: Tensor,
    norms: Tensor,
    mse: float,
    cosine: float,
    wants_student: bool,
    wants_teacher: bool,
) -> tuple[Tensor, Tensor]:
    return _gradients(student, teacher, wants_student, wants_teacher)


@gradient.register_fake
def _(student: Tensor, *_: Any) -> tuple[Tensor, Tensor, Tensor]:
    n = student.shape[0]
    loss, similarity = (student.new_empty(shape, dtype=torch.float32) for shape in ((), (n,)))
    return loss, similarity, torch.empty(student.shape, dtype=student.dtype, device=student.device)


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    student, teacher, ctx.mse, ctx.cosine = inputs
    _, similarity, norms = output
    ctx.mark_non_differentiable(similarity, norms)
    ctx.save_for_backward(student, teacher, norms)


def _backward(ctx: Any, upstream: Tensor, *_: Any) -> tuple[Any, ...]:
    wanted = ctx.needs_input_grad[:2]
    found = grad(upstream, *ctx.saved_tensors, ctx.mse, ctx.cosine, *wanted)
    return *(g if wants else None for g, wants in zip(found, wanted, strict=True)), None, None


forward.register_autograd(_backward, setup_context=_save)
for each in (forward, gradient):
    for device in ("cpu", "cuda"):
        each.register_autocast(device, torch.float32)  # as torch's own losses
refuse_second(grad, "embedding_loss")
