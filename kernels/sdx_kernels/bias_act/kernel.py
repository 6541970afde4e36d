"""The Triton kernel of bias_act: the op and its first two derivatives, one read and one write of each element."""

from __future__ import annotations

import triton
import triton.language as tl

_SELU_ALPHA = tl.constexpr(1.6732632423543772)
_SELU_SCALE = tl.constexpr(1.0507009873554805)


@triton.jit
def bias_act_kernel(
    x,
    bias,
    first,
    second,
    out,
    count,
    period,
    step,
    alpha,
    gain,
    clamp,
    HAS_BIAS: tl.constexpr,
    HAS_CLAMP: tl.constexpr,
    ACT: tl.constexpr,
    ORDER: tl.constexpr,
    FROM_OUTPUT: tl.constexpr,
    PERIOD: tl.constexpr,
    WIDE: tl.constexpr,
    ACC: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Write the op (ORDER 0), or its derivative of that order times ``first`` (and ``second``), over dense storage.

    Element i belongs to channel ``i % period // step``, or ``i % PERIOD`` for PERIOD > 0, a power of two. With
    FROM_OUTPUT, ``x`` is the op's result: for the activations of two straight pieces its sign tells the piece.
    """
    start = tl.program_id(0).to(tl.int64) * BLOCK
    lane = tl.arange(0, BLOCK)
    inside = lane < count - start
    v = tl.load(x + start + lane, mask=inside, other=0.0).to(ACC)
    if HAS_BIAS:
        if PERIOD > 0:
            channel = (start % PERIOD).to(tl.int32) + lane % PERIOD  # one of them is nought or does nothing
        else:
            at = start % period
            if not WIDE:
                at = at.to(tl.int32)
            channel = (at + lane) % period // step
        v += tl.load(bias + channel, mask=inside, other=0.0).to(ACC)
    if FROM_OUTPUT:
        y = v
        v = tl.where(gain < 0, -v, v)
    else:
        y = gain * activation(v, alpha, ACT)
    if ORDER == 0:
        if HAS_CLAMP:
            y = limited(y, clamp)
    else:
        upstream = tl.load(first + start + lane, mask=inside, other=0.0).to(ACC)
        if ORDER == 1:
            slope = derivative(v, alpha, ACT)
        else:
            slope = curvature(v, ACT)
            upstream *= tl.load(second + start + lane, mask=inside, other=0.0).to(ACC)
        passes = tl.abs(y) < clamp if HAS_CLAMP else v == v
        y = upstream * gain * slope
        if HAS_CLAMP:
            y = tl.where(passes, y, 0.0)
    tl.store(out + start + lane, y.to(out.dtype.element_ty), mask=inside)


@triton.jit
def limited(y, clamp):
    """Return y within [-clamp, clamp]; NaN stays."""
    least = tl.maximum(y, -clamp, propagate_nan=tl.PropagateNan.ALL)
    return tl.minimum(least, clamp, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def activation(v, alpha, ACT: tl.constexpr):
    """Return the bare activation; NaN stays."""
    if ACT == "linear":
        y = v
    elif ACT == "relu":
        y = tl.where(v <= 0, 0.0, v)
    elif ACT == "lrelu":
        y = tl.where(v > 0, v, v * alpha)
    elif ACT == "convex lrelu":  # with a slope in (0, 1] below 0
        y = tl.maximum(v, v * alpha, propagate_nan=tl.PropagateNan.ALL)
    elif ACT == "tanh":
        less = _expm1(-2.0 * tl.abs(v))  # of e^(-2|v|), in (-1, 0]
        y = tl.where(v < 0, less, -less) / (2.0 + less)
    elif ACT == "sigmoid":
        y = _sigmoid(v)
    elif ACT == "elu":
        y = tl.where(v > 0, v, _expm1(tl.where(v > 0, 0.0, v)))
    elif ACT == "selu":
        y = _SELU_SCALE * tl.where(v > 0, v, _SELU_ALPHA * _expm1(tl.where(v > 0, 0.0, v)))
    elif ACT == "softplus":
        y = tl.where(v > 0, v, 0.0) + _log1p(tl.exp(-tl.abs(v)))
    else:
        tl.static_assert(ACT == "swish")
        y = v * _sigmoid(v)
    return y


@triton.jit
def derivative(v, alpha, ACT: tl.constexpr):
    """Return the first derivative of the bare activation."""
    if ACT == "linear":
        y = tl.full(v.shape, 1.0, v.dtype)
    elif ACT == "relu":
        y = tl.where(v > 0, 1.0, 0.0)
    elif ACT == "lrelu":
        y = tl.where(v > 0, 1.0, alpha)
    elif ACT == "tanh":
        e = tl.exp(-2.0 * tl.abs(v))
        y = 4.0 * e / ((1.0 + e) * (1.0 + e))
    elif ACT == "sigmoid":
        y = _bell(v)
    elif ACT == "elu":
        y = tl.exp(tl.where(v > 0, 0.0, v))
    elif ACT == "selu":
        y = _SELU_SCALE * tl.where(v > 0, 1.0, _SELU_ALPHA * tl.exp(tl.where(v > 0, 0.0, v)))
    elif ACT == "softplus":
        y = _sigmoid(v)
    else:
        y = _sigmoid(v) + v * _bell(v)
    return y


@triton.jit
def curvature(v, ACT: tl.constexpr):
    """Return the second derivative of the bare activation, which those of straight pieces do not have."""
    if ACT == "tanh":
        e = tl.exp(-2.0 * tl.abs(v))
        y = -8.0 * e * tl.where(v < 0, e - 1.0, 1.0 - e) / ((1.0 + e) * (1.0 + e) * (1.0 + e))
    elif ACT == "sigmoid":
        y = _bell(v) * _falling(v)
    elif ACT == "elu":
        y = tl.where(v > 0, 0.0, tl.exp(tl.where(v > 0, 0.0, v)))
    elif ACT == "selu":
        y = tl.where(v > 0, 0.0, _SELU_SCALE * _SELU_ALPHA * tl.exp(tl.where(v > 0, 0.0, v)))
    elif ACT == "softplus":
        y = _bell(v)
    else:
        tl.static_assert(ACT == "swish")
        y = _bell(v) * (2.0 + v * _falling(v))
    return y


@triton.jit
def _sigmoid(v):
    e = tl.exp(-tl.abs(v))
    return tl.where(v < 0, e, 1.0) / (1.0 + e)


@triton.jit
def _bell(v):
    """Return sigmoid(v) * (1 - sigmoid(v)), without the loss of 1 - sigmoid."""
    e = tl.exp(-tl.abs(v))
    return e / ((1.0 + e) * (1.0 + e))


@triton.jit
def _falling(v):
    """Return 1 - 2 sigmoid(v)."""
    e = tl.exp(-tl.abs(v))
    return tl.where(v < 0, 1.0 - e, e - 1.0) / (1.0 + e)


@triton.jit
def _expm1(v):
    """Return e^v - 1 for v <= 0: near 0 by its series, where the difference would lose what is left."""
    near = tl.where(v > -0.5, v, 0.0)
    series = near * (1.0 / 362880)
    for k in tl.static_range(8):  # 1/8!, 1/7!, ..., 1/1!
        series = near * (_INVERSE_FACTORIALS[k] + series)
    return tl.where(v > -0.5, series, tl.exp(v) - 1.0)


_INVERSE_FACTORIALS = tl.constexpr((1 / 40320, 1 / 5040, 1 / 720, 1 / 120, 1 / 24, 1 / 6, 1 / 2, 1.0))


@triton.jit
def _log1p(e):
    """Return log(1 + e) for e in [0, 1] as 2 atanh(e / (2 + e)), without a logarithm near 1."""
    s = e / (2.0 + e)
    square = s * s
    series = square * (1.0 / 17)
    for k in tl.static_range(7):  # 1/15, 1/13, ..., 1/3
        series = square * (1.0 / (15 - 2 * k) + series)
    return 2.0 * (s + s * series)
