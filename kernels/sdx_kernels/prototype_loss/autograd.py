"""prototype_loss as registered torch ops: the Triton kernels, what they look like to a tracer, and the derivatives.

Kept for the derivatives: one number a row and side. There is no second derivative here: `impl="reference"` has it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sdx_kernels import launch, layout
from sdx_kernels.derivatives import refuse_second
from sdx_kernels.prototype_loss.plan import Plan, plan

_LIFT = 32768.0  # times 1 float16 still holds it


@torch.library.custom_op("sdx_kernels::prototype_loss", mutates_args=())
def forward(
    student: Tensor,
    bank: Tensor,
    teacher: Tensor | None,
    teacher_bank: Tensor | None,
    labels: Tensor | None,
    factor: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the mean, the loss of each row [B] and the normalisers [1 or 2, B]; see `sdx_kernels.prototype_loss`."""
    from sdx_kernels.prototype_loss.kernel import prototype_loss_kernel, prototype_loss_merge_kernel

    n, count = len(student), len(bank)
    per_row, normalisers = _results(student, teacher)
    if not n:
        return per_row.sum(), per_row, normalisers
    cut = _cut("prototype_loss_kernel", student, bank, teacher_bank, own=n, other=count)
    fields = 3 if teacher is None else 5
    partial = torch.empty((fields, cut.splits, n), dtype=torch.float32, device=student.device)
    tensors, sizes, constants = _arguments(student, bank, teacher, teacher_bank, labels, cut)
    launch.launch(
        prototype_loss_kernel,
        (cut.rows, cut.splits),
        *tensors,
        partial,
        *sizes,
        cut.splits,
        factor,
        row=cut.row,
        **constants,
    )
    merge = launch.config("prototype_loss_merge_kernel", size=n, bits=32, arch=launch.arch_of(student.device))
    launch.launch(
        prototype_loss_merge_kernel,
        (-(-n // merge.blocks["BLOCK"]),),
        partial,
        tensors[4],
        per_row,
        normalisers,
        n,
        count,
        cut.splits,
        row=merge,
        HAS_TEACHER=teacher is not None,
        SPLITS=_power(cut.splits),
    )
    return per_row.mean(), per_row, normalisers


@torch.library.custom_op("sdx_kernels::prototype_loss_grad", mutates_args=())
def grad(
    upstream: Tensor,
    student: Tensor,
    bank: Tensor,
    teacher: Tensor | None,
    teacher_bank: Tensor | None,
    labels: Tensor | None,
    normalisers: Tensor,
    factor: float,
) -> Tensor:
    """Return the gradient [B, D] at the student."""
    from sdx_kernels.prototype_loss.kernel import prototype_loss_backward_kernel

    n, d = student.shape
    result = torch.empty(student.shape, dtype=student.dtype, device=student.device)
    if not result.numel():
        return result
    cut = _cut("prototype_loss_backward_kernel", student, bank, teacher_bank, own=n, other=len(bank))
    partial = torch.empty((cut.splits, n, d), dtype=torch.float32, device=student.device)
    tensors, sizes, constants = _arguments(student, bank, teacher, teacher_bank, labels, cut)
    launch.launch(
        prototype_loss_backward_kernel,
        (cut.rows, cut.splits, -(-d // cut.row.blocks["COLUMNS"])),
        *tensors,
        normalisers,
        partial,
        *sizes,
        factor,
        row=cut.row,
        LIFT=_lift(student, bank),
        **constants,
    )
    _merge(partial, upstream, result, 1 / n)
    return result


@torch.library.custom_op("sdx_kernels::prototype_loss_bank_grad", mutates_args=())
def bank_grad(
    upstream: Tensor,
    student: Tensor,
    bank: Tensor,
    teacher: Tensor | None,
    teacher_bank: Tensor | None,
    labels: Tensor | None,
    normalisers: Tensor,
    factor: float,
) -> Tensor:
    """Return the gradient [K, D] at the student's bank, zeros of an empty batch."""
    from sdx_kernels.prototype_loss.bank_kernel import prototype_loss_bank_kernel

    n, (count, d) = len(student), bank.shape
    if not n or not d:
        return torch.zeros(bank.shape, dtype=bank.dtype, device=bank.device)
    result = torch.empty(bank.shape, dtype=bank.dtype, device=bank.device)
    cut = _cut("prototype_loss_bank_kernel", student, bank, teacher_bank, own=count, other=n)
    whole = cut.splits == 1
    partial = result if whole else torch.empty((cut.splits, count, d), dtype=torch.float32, device=bank.device)
    tensors, sizes, constants = _arguments(student, bank, teacher, teacher_bank, labels, cut)
    launch.launch(
        prototype_loss_bank_kernel,
        (cut.rows, cut.splits, -(-d // cut.row.blocks["COLUMNS"])),
        *tensors,
        normalisers,
        upstream,
        partial,
        *sizes,
        factor,
        1 / n,
        row=cut.row,
        LIFT=_lift(student, bank),
        WHOLE=whole,
        **constants,
    )
    if not whole:
        _merge(partial, upstream, result, 1 / n)
    return result


def _merge(partial: Tensor, upstream: Tensor, result: Tensor, share: float) -> None:
    """Write ``share * upstream`` times the sum of the splits of a gradient, in the order of the splits."""
    from sdx_kernels.prototype_loss.kernel import prototype_loss_merge_gradient_kernel

    splits, size = len(partial), result.numel()
    row = launch.config("prototype_loss_merge_gradient_kernel", size=size, bits=32, arch=launch.arch_of(result.device))
    launch.launch(
        prototype_loss_merge_gradient_kernel,
        (-(-size // row.blocks["BLOCK"]),),
        partial,
        upstream,
        result,
        size,
        splits,
        share,
        row=row,
        SPLITS=_power(splits),
    )


def _cut(kernel: str, student: Tensor, bank: Tensor, teacher_bank: Tensor | None, *, own: int, other: int) -> Plan:
    bits = 8 * max(t.element_size() for t in (student, bank, teacher_bank) if t is not None)
    return plan(kernel, own, student.shape[1], other, bits=bits, arch=launch.arch_of(student.device))


def _lift(student: Tensor, bank: Tensor) -> float:
    return _LIFT if student.dtype == bank.dtype == torch.float16 else 1.0


def _arguments(
    student: Tensor,
    bank: Tensor,
    teacher: Tensor | None,
    teacher_bank: Tensor | None,
    labels: Tensor | None,
    cut: Plan,
) -> tuple[list[Tensor | None], list[int], dict[str, Any]]:
    """Return the tensors, the sizes and strides, and the constants that the large kernels take."""
    sides = [None if t is None else layout.rows_together(t) for t in (student, bank, teacher, teacher_bank)]
    d, other_d = student.shape[1], 0 if teacher is None else teacher.shape[1]
    strides = [0 if t is None else t.stride(0) for t in sides]
    chunk = cut.row.blocks["BLOCK_K"]
    constants = {
        "HAS_TEACHER": teacher is not None,
        "DTYPE": _format(student, bank),
        "TEACHER_DTYPE": _format(teacher, teacher_bank),
        "TILES": cut.tiles,
        "CHUNKS": -(-d // chunk),
        "TEACHER_CHUNKS": -(-other_d // chunk),
    }
    given = None if labels is None else labels.contiguous()
    return [*sides, given], [len(student), len(bank), d, other_d, *strides], constants


def _format(embedding: Tensor | None, bank: Tensor | None) -> Any:
    """Return the format to multiply in, which holds both."""
    import triton.language as tl

    if embedding is None or bank is None:
        return tl.float32
    formats = {torch.float16: tl.float16, torch.bfloat16: tl.bfloat16, torch.float32: tl.float32}
    return formats[torch.promote_types(embedding.dtype, bank.dtype)]


def _power(count: int) -> int:
    """Return the smallest power of two that is not below ``count``."""
    return int(1 << (count - 1).bit_length())


def _results(student: Tensor, teacher: Tensor | None) -> tuple[Tensor, Tensor]:
    n, sides = student.shape[0], 1 if teacher is None else 2
    per_row, normalisers = (
        torch.empty(shape, dtype=torch.float32, device=student.device) for shape in ((n,), (sides, n))
    )
    return per_row, normalisers


@forward.register_fake
def _(
    student: Tensor,
    bank: Tensor,
    teacher: Tensor | None,
    teacher_bank: Tensor | None,
    labels: Tensor | None,
    factor: float,
) -> tuple[Tensor, Tensor, Tensor]:
    return torch.empty((), dtype=torch.float32, device=student.device), *_results(student, teacher)


@grad.register_fake
def _(upstream: Tensor, student: Tensor, *_: Any) -> Tensor:
    return torch.empty(student.shape, dtype=student.dtype, device=student.device)


@bank_grad.register_fake
def _(upstream: Tensor, student: Tensor, bank: Tensor, *_: Any) -> Tensor:
    return torch.empty(bank.shape, dtype=bank.dtype, device=bank.device)


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    *tensors, ctx.factor = inputs
    _, per_row, normalisers = output
    ctx.mark_non_differentiable(per_row, normalisers)
    ctx.save_for_backward(*tensors, normalisers)


def _backward(ctx: Any, upstream: Tensor, *_: Any) -> tuple[Any, ...]:
    to_student, to_bank = (
        gradient(upstream, *ctx.saved_tensors, ctx.factor) if needed else None
        for gradient, needed in zip((grad, bank_grad), ctx.needs_input_grad[:2], strict=True)
    )
    return to_student, to_bank, None, None, None, None


# There is no rule for autocast: its float32 would take the product out of the matrix units, and gain nothing, for sums
# and softmax are in float32 either way. Autocast's own format, which torch's product would have, rounds the logits.
forward.register_autograd(_backward, setup_context=_save)
refuse_second(grad, "prototype_loss")
refuse_second(bank_grad, "prototype_loss")
