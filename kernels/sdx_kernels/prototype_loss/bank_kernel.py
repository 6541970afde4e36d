"""The Triton kernel of the gradient that prototype_loss has at the student's bank: the mirror of the student's.

Programs own prototypes, and the rows of the batch stream by in tiles, in a fixed order: nothing is added atomically.
"""

from __future__ import annotations

import triton
import triton.language as tl

from sdx_kernels.prototype_loss.kernel import products


@triton.jit
def prototype_loss_bank_kernel(
    student,
    bank,
    teacher,
    teacher_bank,
    labels,
    normalisers,
    upstream,
    gradient,
    rows,
    count,
    d,
    teacher_d,
    student_n,
    bank_n,
    teacher_n,
    teacher_bank_n,
    factor,
    share,
    HAS_TEACHER: tl.constexpr,
    DTYPE: tl.constexpr,
    TEACHER_DTYPE: tl.constexpr,
    TILES: tl.constexpr,
    CHUNKS: tl.constexpr,
    TEACHER_CHUNKS: tl.constexpr,
    LIFT: tl.constexpr,
    WHOLE: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Write COLUMNS of the gradient of BLOCK_M prototypes over TILES times BLOCK_N rows; the logits come anew.

    WHOLE: those are all rows, and ``gradient`` [count, d] is ``share * upstream`` times the sum over them. Otherwise it
    is [splits, count, d], for ``prototype_loss_merge_gradient_kernel``, which does that. LIFT is as the student's.
    """
    prototype = tl.program_id(0).to(tl.int64) * BLOCK_M + tl.arange(0, BLOCK_M)
    split = tl.program_id(1).to(tl.int64)
    column = tl.program_id(2) * COLUMNS + tl.arange(0, COLUMNS)
    known = prototype < count
    present = column < d
    total = tl.zeros((BLOCK_M, COLUMNS), tl.float32)
    for tile in range(TILES):
        row = (split * TILES + tile) * BLOCK_N + tl.arange(0, BLOCK_N)
        inside = row < rows
        mask = known[:, None] & inside[None, :]
        normaliser = tl.load(normalisers + row, mask=inside, other=0.0)
        z = factor * products(
            bank, student, prototype, row, known, inside, d, bank_n, student_n, DTYPE, CHUNKS, BLOCK_M, BLOCK_N, BLOCK_K
        )  # fmt: skip
        p = tl.exp(tl.where(mask, z - normaliser[None, :], 0.0))
        if HAS_TEACHER:
            normaliser = tl.load(normalisers + rows + row, mask=inside, other=0.0)
            z = factor * products(
                teacher_bank, teacher, prototype, row, known, inside, teacher_d, teacher_bank_n, teacher_n,
                TEACHER_DTYPE, TEACHER_CHUNKS, BLOCK_M, BLOCK_N, BLOCK_K,
            )  # fmt: skip
            p -= tl.exp(tl.where(mask, z - normaliser[None, :], 0.0))
        else:
            label = tl.load(labels + row, mask=inside, other=-1)
            p -= tl.where(prototype[:, None] == label[None, :], 1.0, 0.0)
        p = tl.where(mask, p, 0.0) * LIFT
        at = (row * student_n)[:, None] + column[None, :]
        s = tl.load(student + at, mask=inside[:, None] & present[None, :], other=0.0).to(DTYPE)
        total = tl.dot(p.to(DTYPE), s, total, input_precision="ieee")
    total *= factor / LIFT
    if WHOLE:
        total *= share * tl.load(upstream).to(tl.float32)
    place = gradient + split * count * d + (prototype * d)[:, None] + column[None, :]
    tl.store(place, total.to(gradient.dtype.element_ty), mask=known[:, None] & present[None, :])
