"""The numbers of `sdx_kernels.random` inside a Triton kernel: the same integers, and the same arithmetic to normals."""

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
def normals(seed_low, seed_high, stream, index, element):
    """Return the standard normals of (seed, stream, index) at ``element``, int64 of any shape, as float32.

    ``index`` is one int64; the seed comes in halves, each below 2^32.
    """
    zero = element * 0
    block = ((element >> 2) & 0xFFFFFFFF).to(tl.uint32)
    low = (zero + (index & 0xFFFFFFFF)).to(tl.uint32)
    high = (zero + ((index >> 32) & 0xFFFFFFFF)).to(tl.uint32)
    purpose = (zero + stream).to(tl.uint32)
    a, b, c, d = tl.philox_impl(
        block, low, high, purpose, (zero + seed_low).to(tl.uint32), (zero + seed_high).to(tl.uint32)
    )
    place = element & 3
    word = tl.where(place == 0, a, tl.where(place == 1, b, tl.where(place == 2, c, d)))
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
