"""The Triton kernels of embedding_loss: the sums of every row in one pass, and the gradients from those sums."""

from __future__ import annotations

import triton
import triton.language as tl

_SMALLEST_NORM = tl.constexpr(1e-8)


@triton.jit
def embedding_loss_kernel(
    student,
    teacher,
    scale,
    per_row,
    similarity,
    norms,
    gradient,
    n,
    d,
    student_n,
    teacher_n,
    mse,
    cosine,
    factor,
    HAS_MSE: tl.constexpr,
    HAS_COSINE: tl.constexpr,
    HAS_SCALE: tl.constexpr,
    HAS_NORMS: tl.constexpr,
    HAS_GRADIENT: tl.constexpr,
    CHUNKS: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_D: tl.constexpr,
):
    """Write each row's part of the loss, its cosine, norms and cosine for the derivative, and the student's gradient.

    ``mse`` and ``cosine`` are divided by the counts of the means. The gradient is multiplied by ``factor``, and by what
    ``scale`` points at; with one chunk it comes from the registers, with more from a second read.
    """
    row = tl.program_id(0).to(tl.int64) * BLOCK_N + tl.arange(0, BLOCK_N)
    lane = tl.arange(0, BLOCK_D)
    inside = row < n
    student += (row * student_n)[:, None]
    teacher += (row * teacher_n)[:, None]
    if CHUNKS == 1:
        mask = inside[:, None] & (lane < d)[None, :]
        s = tl.load(student + lane[None, :], mask=mask, other=0.0).to(tl.float32)
        t = tl.load(teacher + lane[None, :], mask=mask, other=0.0).to(tl.float32)
        product, square_s, square_t, distance = _sums(s, t)
    else:
        product = tl.zeros((BLOCK_N,), tl.float32)
        square_s = tl.zeros((BLOCK_N,), tl.float32)
        square_t = tl.zeros((BLOCK_N,), tl.float32)
        distance = tl.zeros((BLOCK_N,), tl.float32)
        for chunk in range(CHUNKS):
            column = chunk * BLOCK_D + lane
            mask = inside[:, None] & (column < d)[None, :]
            s = tl.load(student + column[None, :], mask=mask, other=0.0).to(tl.float32)
            t = tl.load(teacher + column[None, :], mask=mask, other=0.0).to(tl.float32)
            more = _sums(s, t)
            product += more[0]
            square_s += more[1]
            square_t += more[2]
            distance += more[3]
    norm_s = tl.sqrt_rn(square_s)
    norm_t = tl.sqrt_rn(square_t)
    cos = tl.div_rn(product, _clamped(norm_s) * _clamped(norm_t))
    part = tl.zeros((BLOCK_N,), tl.float32)
    if HAS_MSE:
        part += mse * distance
    if HAS_COSINE:
        part += cosine * (1.0 - cos)
    tl.store(per_row + row, part, mask=inside)
    tl.store(similarity + row, cos, mask=inside)
    if HAS_NORMS:
        tl.store(norms + row, norm_s, mask=inside)
        tl.store(norms + n + row, norm_t, mask=inside)
        tl.store(norms + n + n + row, cos, mask=inside)
    if HAS_GRADIENT:
        if HAS_SCALE:
            factor *= tl.load(scale).to(tl.float32)
        gradient += (row * d)[:, None]
        across, along = _slopes(cos, norm_s, norm_t)
        if CHUNKS == 1:
            value = _gradient(s, t, across, along, factor * mse, factor * cosine, HAS_MSE, HAS_COSINE)
            tl.store(gradient + lane[None, :], value.to(gradient.dtype.element_ty), mask=mask)
        else:
            for chunk in range(CHUNKS):
                column = chunk * BLOCK_D + lane
                mask = inside[:, None] & (column < d)[None, :]
                s = tl.load(student + column[None, :], mask=mask, other=0.0).to(tl.float32)
                t = tl.load(teacher + column[None, :], mask=mask, other=0.0).to(tl.float32)
                value = _gradient(s, t, across, along, factor * mse, factor * cosine, HAS_MSE, HAS_COSINE)
                tl.store(gradient + column[None, :], value.to(gradient.dtype.element_ty), mask=mask)


@triton.jit
def embedding_loss_backward_kernel(
    student,
    teacher,
    upstream,
    norms,
    student_gradient,
    teacher_gradient,
    n,
    d,
    student_n,
    teacher_n,
    mse,
    cosine,
    HAS_MSE: tl.constexpr,
    HAS_COSINE: tl.constexpr,
    HAS_STUDENT: tl.constexpr,
    HAS_TEACHER: tl.constexpr,
    CHUNKS: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_D: tl.constexpr,
):
    """Write the gradients that are wanted, ``upstream`` times, from the embeddings and the sums of each row."""
    row = tl.program_id(0).to(tl.int64) * BLOCK_N + tl.arange(0, BLOCK_N)
    lane = tl.arange(0, BLOCK_D)
    inside = row < n
    factor = tl.load(upstream).to(tl.float32)
    norm_s = tl.load(norms + row, mask=inside, other=1.0)
    norm_t = tl.load(norms + n + row, mask=inside, other=1.0)
    cos = tl.load(norms + n + n + row, mask=inside, other=0.0)
    student += (row * student_n)[:, None]
    teacher += (row * teacher_n)[:, None]
    start = (row * d)[:, None]
    across, along_s = _slopes(cos, norm_s, norm_t)
    across, along_t = _slopes(cos, norm_t, norm_s)
    for chunk in range(CHUNKS):
        column = chunk * BLOCK_D + lane
        mask = inside[:, None] & (column < d)[None, :]
        s = tl.load(student + column[None, :], mask=mask, other=0.0).to(tl.float32)
        t = tl.load(teacher + column[None, :], mask=mask, other=0.0).to(tl.float32)
        if HAS_STUDENT:
            value = _gradient(s, t, across, along_s, factor * mse, factor * cosine, HAS_MSE, HAS_COSINE)
            place = student_gradient + start + column[None, :]
            tl.store(place, value.to(student_gradient.dtype.element_ty), mask=mask)
        if HAS_TEACHER:
            value = _gradient(t, s, across, along_t, factor * mse, factor * cosine, HAS_MSE, HAS_COSINE)
            place = teacher_gradient + start + column[None, :]
            tl.store(place, value.to(teacher_gradient.dtype.element_ty), mask=mask)


@triton.jit
def _sums(s, t):
    """Return the sums along rows of s t, s s, t t and (s - t)^2."""
    return tl.sum(s * t, 1), tl.sum(s * s, 1), tl.sum(t * t, 1), tl.sum((s - t) * (s - t), 1)


@triton.jit
def _clamped(norm):
    """Return the norm, at least 1e-8; NaN stays."""
    return tl.where(norm < _SMALLEST_NORM, _SMALLEST_NORM, norm)


@triton.jit
def _slopes(cos, own, other):
    """Return what multiplies the other row and the own one in the cosine's gradient; a clamped norm gives none."""
    across = tl.div_rn(tl.full(own.shape, 1.0, tl.float32), _clamped(own) * _clamped(other))
    along = tl.where(own < _SMALLEST_NORM, 0.0, tl.div_rn(cos, _clamped(own) * _clamped(own)))
    return across, along


@triton.jit
def _gradient(own, other, across, along, mse, cosine, HAS_MSE: tl.constexpr, HAS_COSINE: tl.constexpr):
    value = tl.zeros(own.shape, tl.float32)
    if HAS_MSE:
        value += (2.0 * mse) * (own - other)
    if HAS_COSINE:
        value += cosine * (along[:, None] * own - across[:, None] * other)
    return value
