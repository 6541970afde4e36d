"""The cost of prototype_loss."""

from __future__ import annotations

import torch

from sdx_kernels import launch
from sdx_kernels.cost import Cost
from sdx_kernels.prototype_loss.plan import plan


def cost(
    shape: tuple[int, ...],
    dtype: torch.dtype,
    *,
    prototypes: int,
    teacher: int | None = None,
    gradient: bool = False,
    bank_gradient: bool = False,
    arch: int = 80,
) -> Cost:
    """Return the cost of a pass for embeddings [B, D] and banks in the same number format.

    Every block of rows reads the bank again, and every split of the bank the rows. The kernels are the streaming one,
    the merge of the splits, and torch's mean.

    Args:
        shape: of the student's embeddings.
        dtype: of all embeddings and banks.
        prototypes: of the bank.
        teacher: dimension of the teacher's side; None = int64 labels.
        gradient: of the backward pass to the student alone, which computes the logits again.
        bank_gradient: likewise to the student's bank, whose blocks of prototypes read the rows again.
        arch: compute capability.
    """
    n, d = shape
    size, width = dtype.itemsize, d + (teacher or 0)
    if gradient:
        return _backward("prototype_loss_backward_kernel", n, prototypes, d, teacher, size, arch)
    if bank_gradient:
        return _backward("prototype_loss_bank_kernel", n, prototypes, d, teacher, size, arch)
    if not n:
        return Cost(0, prototypes * width * size + 4, 0, 1)
    cut = plan("prototype_loss_kernel", n, d, prototypes, bits=8 * size, arch=arch)
    labels = 8 * n if teacher is None else 0
    partial = 4 * (3 if teacher is None else 5) * cut.splits * n
    read = cut.rows * prototypes * width * size + cut.splits * (n * width * size + labels)
    merge = 4 * n * (2 if teacher is None else 3) + labels
    return Cost(
        2 * n * prototypes * width,
        (prototypes + n) * width * size + labels + 4 * n + 4,
        read + 2 * partial + merge + 4 * n + 4,
        3,
    )


def _backward(kernel: str, n: int, prototypes: int, d: int, teacher: int | None, size: int, arch: int) -> Cost:
    """Return the cost of the kernel that writes each split's gradient, and of the one that sums them."""
    if not n:
        return Cost(0, 0, 0, 0)
    width, of_row = d + (teacher or 0), 4 + 8 if teacher is None else 8  # normalisers, and a label
    to_bank = kernel == "prototype_loss_bank_kernel"
    own, other = (prototypes, n) if to_bank else (n, prototypes)
    cut = plan(kernel, own, d, other, bits=8 * size, arch=arch)
    parts, values = -(-d // cut.row.blocks["COLUMNS"]), own * d
    times_own, times_other = parts * cut.splits, parts * cut.rows
    times_rows, times_bank = (times_other, times_own) if to_bank else (times_own, times_other)
    moved = times_rows * n * (width * size + of_row) + times_bank * prototypes * width * size
    least = (prototypes + n) * width * size + n * of_row + 4 + values * size
    flops = 2 * n * prototypes * (parts * width + d)
    if to_bank and cut.splits == 1:  # the sum is the gradient
        return Cost(flops, least, moved + 4 * times_other + values * size, 1)
    merge = launch.config("prototype_loss_merge_gradient_kernel", size=values, bits=32, arch=arch).blocks["BLOCK"]
    summed = 8 * cut.splits * values + 4 * -(-values // merge) + values * size
    return Cost(flops, least, moved + summed, 2)
