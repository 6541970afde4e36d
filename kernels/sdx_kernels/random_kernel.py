"""The numbers of `sdx_kernels.random` as a Triton kernel: the same integers, and the same arithmetic to normals."""

from __future__ import annotations

import triton
import triton.language as tl

from sdx_kernels import random

_LOG = tl.constexpr(random.LOG)
_CENTRE = tl.constexpr(random.CENTRE)
_TAIL = tl.constexpr(random.TAIL)
_SQRT_HALF_BITS = tl.constexpr(random.SQRT_HALF_BITS)
_LOG_2 = tl.constexpr(random.LOG_2)


@triton.jit
def noise_kernel(
    index,
    strength,
    out,
    runs,
    length,
    parts,
    start,
    pitch,
    seed_low,
    seed_high,
    stream,
    HAS_STRENGTH: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Write the normals of BLOCK blocks of four numbers of one run, times the strength.

    An image has ``runs`` runs of ``length`` numbers, which begin at ``start`` and then every ``pitch`` numbers. A block
    of Philox is computed once for its four numbers; blocks at the ends of a run reach beyond it.
    """
    program = tl.program_id(0).to(tl.int64)
    run = program // parts
    first = start + run % runs * pitch
    image = tl.load(index + run // runs)
    block = (first >> 2) + program % parts * BLOCK
    place = (block << 2) - first + tl.arange(0, 4 * BLOCK)
    a, b, c, d = _words(seed_low, seed_high, stream, image, block + tl.arange(0, BLOCK))
    z = tl.interleave(tl.interleave(_normal(a), _normal(c)), tl.interleave(_normal(b), _normal(d)))
    if HAS_STRENGTH:
        z *= tl.load(strength)
    tl.store(out + run * length + place, z, mask=(place >= 0) & (place < length))


@triton.jit
def _words(seed_low, seed_high, stream, index, block):
    """Return the four words of each block, int64 of any shape; ``index`` is one int64, the seed comes in halves."""
    zero = block * 0
    return tl.philox_impl(
        (block & 0xFFFFFFFF).to(tl.uint32),
        (zero + (index & 0xFFFFFFFF)).to(tl.uint32),
        (zero + ((index >> 32) & 0xFFFFFFFF)).to(tl.uint32),
        (zero + stream).to(tl.uint32),
        (zero + seed_low).to(tl.uint32),
        (zero + seed_high).to(tl.uint32),
    )


@triton.jit
def _normal(word):
    odd = (word << 1) | 1  # a tail probability in units of 2^-32, never 0
    p = odd.to(tl.float32) * 2.3283064365386963e-10
    y = (0 - odd).to(tl.uint32).to(tl.float32) * 2.3283064365386963e-10  # 1 - p, precise at both ends
    w = -_log(p * (2.0 - p))
    root = tl.sqrt_rn(tl.where(w > 0, w, 0.0))
    size = y * tl.where(w < 5.0, _horner(w - 2.5, _CENTRE, 9), _horner(root - 3.5, _TAIL, 10))
    return tl.where((word >> 31) == 1, -size, size)


@triton.jit
def _log(t):
    shifted = t.to(tl.int32, bitcast=True) - _SQRT_HALF_BITS
    exponent = (shifted >> 23).to(tl.float32)
    g = ((shifted & 0x7FFFFF) + _SQRT_HALF_BITS).to(tl.float32, bitcast=True) - 1.0
    return exponent * _LOG_2 + (g + g * g * (g * _horner(g, _LOG, 9) - 0.5))


@triton.jit
def _horner(x, COEFFICIENTS: tl.constexpr, COUNT: tl.constexpr):
    total = x * 0.0 + COEFFICIENTS[0]
    for k in tl.static_range(1, COUNT):
        total = total * x + COEFFICIENTS[k]
    return total
