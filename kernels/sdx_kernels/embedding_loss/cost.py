"""The cost of embedding_loss and of embedding_loss_gradient."""

from __future__ import annotations

import torch

from sdx_kernels.cost import Cost


def cost(
    shape: tuple[int, ...], dtype: torch.dtype, *, teacher: torch.dtype | None = None, gradient: bool = False
) -> Cost:
    """Return the cost for embeddings [N, D]: one kernel, and torch's sum over its N parts of the loss.

    Args:
        shape: of the student's embeddings.
        dtype: of them.
        teacher: of the teacher's; None = the same.
        gradient: of `embedding_loss_gradient`: the student's gradient is written as well, and no norms are kept.
    """
    n, d = shape
    size = dtype.itemsize
    stream = n * d * (size + (teacher or dtype).itemsize + (size if gradient else 0))
    kernel = stream + 4 * n * (2 if gradient else 5)
    flops = n * d * (16 if gradient else 9)
    return Cost(flops, stream + 4 * n + 4, kernel + 4 * n + 4, int(n > 0) + 1)
