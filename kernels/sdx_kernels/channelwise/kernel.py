"""The Triton kernel of channelwise: one read and one write of each element."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def channelwise_kernel(
    x,
    bias,
    slope,
    added,
    out,
    count,
    HAS_SLOPE: tl.constexpr,
    HAS_ADDED: tl.constexpr,
    CHANNELS: tl.constexpr,
    ACC: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Write the op over storage in which element i belongs to channel ``i % CHANNELS``.

    A constant, for networks have few widths: the remainder is a mask or a product, a thread's neighbouring channels
    are known to lie together, and what it meets again it reads once.
    """
    start = tl.program_id(0).to(tl.int64) * BLOCK
    lane = tl.arange(0, BLOCK)
    inside = lane < count - start
    at = start % CHANNELS
    if CHANNELS < 2**30:
        at = at.to(tl.int32)
    channel = (at + lane) % CHANNELS
    v = tl.load(x + start + lane, mask=inside, other=0.0).to(ACC)
    v += tl.load(bias + channel).to(ACC)
    if HAS_SLOPE:
        v = tl.where(v > 0, v, v * tl.load(slope + channel).to(ACC))
    if HAS_ADDED:
        v += tl.load(added + start + lane, mask=inside, other=0.0).to(ACC)
    tl.store(out + start + lane, v.to(out.dtype.element_ty), mask=inside)
