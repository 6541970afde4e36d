"""The Triton kernels of prototype_loss: the bank streams by in tiles, and no row of similarities is ever stored.

The bank is cut into splits, so that few rows still fill the device; what the splits leave is merged in a fixed order.
Logits are taken relative to the largest so far, and divergences of such, so that large ones cost no precision.
"""

from __future__ import annotations

import triton
import triton.language as tl

_INFINITY = tl.constexpr(float("inf"))


@triton.jit
def prototype_loss_kernel(
    student,
    bank,
    teacher,
    teacher_bank,
    labels,
    partial,
    rows,
    count,
    d,
    teacher_d,
    student_n,
    bank_n,
    teacher_n,
    teacher_bank_n,
    splits,
    factor,
    HAS_TEACHER: tl.constexpr,
    DTYPE: tl.constexpr,
    TEACHER_DTYPE: tl.constexpr,
    TILES: tl.constexpr,
    CHUNKS: tl.constexpr,
    TEACHER_CHUNKS: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    """Reduce BLOCK_M rows over TILES times BLOCK_N prototypes to what ``prototype_loss_merge_kernel`` takes.

    ``partial`` is [3, splits, rows]: the largest logit, the sum of exponentials, the label's logit; with a teacher
    [5, splits, rows]: in place of the last the sum of the teacher's exponentials times the difference, then the
    teacher's largest logit and sum.
    """
    row = tl.program_id(0).to(tl.int64) * BLOCK_M + tl.arange(0, BLOCK_M)
    split = tl.program_id(1)
    inside = row < rows
    top = tl.full((BLOCK_M,), -_INFINITY, tl.float32)
    total = tl.zeros((BLOCK_M,), tl.float32)
    other_top = tl.full((BLOCK_M,), -_INFINITY, tl.float32)
    other_total = tl.zeros((BLOCK_M,), tl.float32)
    mixed = tl.zeros((BLOCK_M,), tl.float32)
    if not HAS_TEACHER:
        label = tl.load(labels + row, mask=inside, other=-1)
    for tile in range(TILES):
        prototype = (split * TILES + tile) * BLOCK_N + tl.arange(0, BLOCK_N)
        known = prototype < count
        z = factor * products(
            student, bank, row, prototype, inside, known, d, student_n, bank_n, DTYPE, CHUNKS, BLOCK_M, BLOCK_N, BLOCK_K
        )  # fmt: skip
        new = tl.maximum(top, _largest(z, known))
        fall = tl.where(top == -_INFINITY, 0.0, top - new)
        below = tl.where(known[None, :], z - new[:, None], 0.0)
        total = total * tl.exp(fall) + tl.sum(tl.where(known[None, :], tl.exp(below), 0.0), 1)
        top = new
        if HAS_TEACHER:
            z = factor * products(
                teacher, teacher_bank, row, prototype, inside, known, teacher_d, teacher_n, teacher_bank_n,
                TEACHER_DTYPE, TEACHER_CHUNKS, BLOCK_M, BLOCK_N, BLOCK_K,
            )  # fmt: skip
            new = tl.maximum(other_top, _largest(z, known))
            other_fall = tl.where(other_top == -_INFINITY, 0.0, other_top - new)
            other_below = tl.where(known[None, :], z - new[:, None], 0.0)
            weight = tl.where(known[None, :], tl.exp(other_below), 0.0)
            mixed = tl.exp(other_fall) * (mixed + other_total * (other_fall - fall))
            mixed += tl.sum(weight * (other_below - below), 1)
            other_total = other_total * tl.exp(other_fall) + tl.sum(weight, 1)
            other_top = new
        else:
            mixed += tl.sum(tl.where(prototype[None, :] == label[:, None], z, 0.0), 1)
    first = split.to(tl.int64)  # an argument of 1 is a constant to Triton, and has no type to change
    tl.store(partial + first * rows + row, top, mask=inside)
    tl.store(partial + (first + splits) * rows + row, total, mask=inside)
    tl.store(partial + (first + 2 * splits) * rows + row, mixed, mask=inside)
    if HAS_TEACHER:
        tl.store(partial + (first + 3 * splits) * rows + row, other_top, mask=inside)
        tl.store(partial + (first + 4 * splits) * rows + row, other_total, mask=inside)


@triton.jit
def prototype_loss_merge_kernel(
    partial,
    labels,
    per_row,
    normalisers,
    rows,
    count,
    splits,
    HAS_TEACHER: tl.constexpr,
    SPLITS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Merge the splits of BLOCK rows: their losses, and the logarithms of the sums of exponentials [1 or 2, rows]."""
    row = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    split = tl.arange(0, SPLITS)
    inside = row < rows
    present = (split < splits)[:, None]
    mask = present & inside[None, :]
    first = split.to(tl.int64)[:, None]
    row_of = row[None, :]
    tops = tl.load(partial + first * rows + row_of, mask=mask, other=0.0)
    top = tl.max(tl.where(present, tops, -_INFINITY), 0)
    fall = tl.where(present, tops - top[None, :], 0.0)
    total = tl.sum(tl.load(partial + (first + splits) * rows + row_of, mask=mask, other=0.0) * tl.exp(fall), 0)
    mixed = tl.load(partial + (first + 2 * splits) * rows + row_of, mask=mask, other=0.0)
    log = tl.log(tl.where(inside, total, 1.0))
    normaliser = top + log
    if HAS_TEACHER:
        tops = tl.load(partial + (first + 3 * splits) * rows + row_of, mask=mask, other=0.0)
        other_top = tl.max(tl.where(present, tops, -_INFINITY), 0)
        other_fall = tl.where(present, tops - other_top[None, :], 0.0)
        weight = tl.exp(other_fall)
        totals = tl.load(partial + (first + 4 * splits) * rows + row_of, mask=mask, other=0.0)
        other_total = tl.where(inside, tl.sum(totals * weight, 0), 1.0)
        mean = tl.div_rn(tl.sum(weight * (mixed + totals * (other_fall - fall)), 0), other_total)
        other_log = tl.log(other_total)
        loss = mean - other_log + log
        tl.store(normalisers + rows + row, other_top + other_log, mask=inside)
    else:
        label = tl.load(labels + row, mask=inside, other=0)
        known = (label >= 0) & (label < count)
        normaliser = tl.where(known, normaliser, float("nan"))
        loss = tl.where(known, top - tl.sum(mixed, 0) + log, float("nan"))
    tl.store(per_row + row, loss, mask=inside)
    tl.store(normalisers + row, normaliser, mask=inside)


@triton.jit
def prototype_loss_backward_kernel(
    student,
    bank,
    teacher,
    teacher_bank,
    labels,
    normalisers,
    partial,
    rows,
    count,
    d,
    teacher_d,
    student_n,
    bank_n,
    teacher_n,
    teacher_bank_n,
    factor,
    HAS_TEACHER: tl.constexpr,
    DTYPE: tl.constexpr,
    TEACHER_DTYPE: tl.constexpr,
    TILES: tl.constexpr,
    CHUNKS: tl.constexpr,
    TEACHER_CHUNKS: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    LIFT: tl.constexpr,
    BLOCK_K: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Write each split's part of the student's gradient, [splits, rows, d], COLUMNS of it: the logits come anew.

    LIFT is a power of two that keeps small probabilities out of the subnormals of DTYPE.
    """
    row = tl.program_id(0).to(tl.int64) * BLOCK_M + tl.arange(0, BLOCK_M)
    split = tl.program_id(1)
    column = tl.program_id(2) * COLUMNS + tl.arange(0, COLUMNS)
    inside = row < rows
    present = column < d
    normaliser = tl.load(normalisers + row, mask=inside, other=0.0)
    if HAS_TEACHER:
        other_normaliser = tl.load(normalisers + rows + row, mask=inside, other=0.0)
    else:
        label = tl.load(labels + row, mask=inside, other=-1)
    gradient = tl.zeros((BLOCK_M, COLUMNS), tl.float32)
    for tile in range(TILES):
        prototype = (split * TILES + tile) * BLOCK_N + tl.arange(0, BLOCK_N)
        known = prototype < count
        mask = inside[:, None] & known[None, :]
        z = factor * products(
            student, bank, row, prototype, inside, known, d, student_n, bank_n, DTYPE, CHUNKS, BLOCK_M, BLOCK_N, BLOCK_K
        )  # fmt: skip
        p = tl.exp(tl.where(mask, z - normaliser[:, None], 0.0))
        if HAS_TEACHER:
            z = factor * products(
                teacher, teacher_bank, row, prototype, inside, known, teacher_d, teacher_n, teacher_bank_n,
                TEACHER_DTYPE, TEACHER_CHUNKS, BLOCK_M, BLOCK_N, BLOCK_K,
            )  # fmt: skip
            p -= tl.exp(tl.where(mask, z - other_normaliser[:, None], 0.0))
        else:
            p -= tl.where(prototype[None, :] == label[:, None], 1.0, 0.0)
        p = tl.where(mask, p, 0.0) * LIFT
        at = (prototype.to(tl.int64) * bank_n)[:, None] + column[None, :]
        b = tl.load(bank + at, mask=known[:, None] & present[None, :], other=0.0).to(DTYPE)
        gradient = tl.dot(p.to(DTYPE), b, gradient, input_precision="ieee")
    place = partial + split.to(tl.int64) * rows * d + (row * d)[:, None] + column[None, :]
    tl.store(place, factor / LIFT * gradient, mask=inside[:, None] & present[None, :])


@triton.jit
def prototype_loss_merge_gradient_kernel(
    partial, upstream, gradient, count, splits, factor, SPLITS: tl.constexpr, BLOCK: tl.constexpr
):
    """Write ``factor * upstream`` times the sum of the splits, which stand ``count`` values apart, first to last."""
    start = tl.program_id(0).to(tl.int64) * BLOCK
    lane = tl.arange(0, BLOCK)
    left = count - start
    total = tl.zeros((BLOCK,), tl.float32)
    place = partial + start + lane
    for split in range(SPLITS):
        total += tl.load(place, mask=lane < tl.where(split < splits, left, 0), other=0.0)
        place += count
    total *= factor * tl.load(upstream).to(tl.float32)
    tl.store(gradient + start + lane, total.to(gradient.dtype.element_ty), mask=lane < left)


@triton.jit
def _largest(z, known):
    """Return the largest of each row, finite if the others are: NaN shows in the sums, and has no place in an order."""
    return tl.max(tl.where(known[None, :], tl.where(z == z, z, 0.0), -_INFINITY), 1)


@triton.jit
def products(
    left, right, row, other, inside, known, d, left_n, right_n, DTYPE: tl.constexpr, CHUNKS: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    """Return the products of BLOCK_M rows of one matrix with BLOCK_N of the other; 0 where either is not there."""
    left += (row * left_n)[:, None]
    right += (other.to(tl.int64) * right_n)[None, :]
    z = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    for chunk in range(CHUNKS):
        column = chunk * BLOCK_K + tl.arange(0, BLOCK_K)
        there = column < d
        a = tl.load(left + column[None, :], mask=inside[:, None] & there[None, :], other=0.0).to(DTYPE)
        b = tl.load(right + column[:, None], mask=there[:, None] & known[None, :], other=0.0).to(DTYPE)
        z = tl.dot(a, b, z, input_precision="ieee")
    return z
