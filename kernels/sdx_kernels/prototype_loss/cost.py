"""The cost of prototype_loss."""

from __future__ import annotations

import torch

from sdx_kernels.cost import Cost
from sdx_kernels.prototype_loss.plan import plan


def cost(
    shape: tuple[int, ...], dtype: torch.dtype, *, prototypes: int, teacher: int | None = None, arch: int = 80
) -> Cost:
    """Return the cost of the forward pass for embeddings [B, D] and banks in the same number format.

    Every block of rows reads the bank again, and every split of the bank the rows. The kernels are the streaming one,
    the merge of the splits, and torch's mean.

    Args:
        shape: of the student's embeddings.
        dtype: of all embeddings and banks.
        prototypes: of the bank.
        teacher: dimension of the teacher's side; None = int64 labels.
        arch: compute capability.
    """
    n, d = shape
    size, width = dtype.itemsize, d + (teacher or 0)
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
