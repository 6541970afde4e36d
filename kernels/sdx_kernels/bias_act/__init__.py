"""Bias, activation, gain and clamp in one step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor

from sdx_kernels import arguments, dispatch, layout
from sdx_kernels.bias_act.autograd import forward
from sdx_kernels.bias_act.reference import DEFAULT_GAIN, bias_act_reference

__all__ = ["Activation", "bias_act"]

Activation = Literal["linear", "relu", "lrelu", "tanh", "sigmoid", "elu", "selu", "softplus", "swish"]


def bias_act(
    x: Tensor,
    bias: Tensor | None = None,
    *,
    dim: int = 1,
    act: Activation = "linear",
    alpha: float | None = None,
    gain: float | None = None,
    clamp: float | None = None,
    impl: dispatch.Impl = "auto",
) -> Tensor:
    """Return ``clamp(gain * act(x + bias))``, StyleGAN2's epilogue (Karras et al. 2020).

    Args:
        x: float16, bfloat16, float32 or float64 of any shape; a dense memory format is kept.
        bias: [x.shape[dim]], added along ``dim``.
        dim: the dimension of the bias; counts only with one.
        act: "linear", "relu", "lrelu", "tanh", "sigmoid", "elu", "selu", "softplus" or "swish" (x * sigmoid(x)).
        alpha: slope of lrelu below 0, 0.2 if None; the other activations have no such parameter.
        gain: multiplier after the activation; None = sqrt(2) for relu, lrelu and swish, 1 for the others.
        clamp: limit the result to [-clamp, clamp]; no gradient flows where the unlimited result lies on or beyond it.
        impl: see `sdx_kernels.backend`.

    Returns:
        The shape and dtype of ``x``, never ``x`` itself; computed in float32 or better and rounded once. Gradients of
        any order flow to ``x`` and ``bias``.

    Raises:
        KernelError: for another dtype, a bias that does not fit, an unknown activation, alpha for one that has none,
            a clamp that is not positive, tensors on several devices, or Triton where it cannot run.
    """
    triton = dispatch.runs_triton("bias_act", impl, x=x, bias=bias)
    if x.dtype not in layout.DTYPES:
        raise dispatch.KernelError(f"bias_act: expected a floating-point tensor, got {x.dtype}")
    clamp = check_epilogue("bias_act", x.shape, bias, dim, act, alpha, gain, clamp)
    y: Tensor
    if triton:
        slope, factor = 0.2 if alpha is None else alpha, DEFAULT_GAIN[act] if gain is None else gain
        y = forward(x, bias, dim % max(x.ndim, 1), act, slope, factor, clamp)
    else:
        y = bias_act_reference(x, bias, dim, act, alpha, gain, clamp)
    dispatch.checked("bias_act", y)
    return y


def check_epilogue(
    op: str,
    shape: Sequence[int],
    bias: Tensor | None,
    dim: int,
    act: str,
    alpha: float | None,
    gain: float | None,
    clamp: float | None,
) -> float | None:
    """Return the clamp; raise KernelError unless all can follow an ``op`` whose result has ``shape``."""
    if act not in DEFAULT_GAIN:
        raise dispatch.KernelError(f"{op}: expected act one of {', '.join(DEFAULT_GAIN)}, got {act!r}")
    if alpha is not None and act != "lrelu":
        raise dispatch.KernelError(f"{op}: expected alpha for lrelu alone, got alpha={alpha} for {act}")
    for name, value in (("alpha", alpha), ("gain", gain)):
        if value is not None:
            arguments.number(op, name, value)
    limit = arguments.limit(op, clamp)
    if bias is None:
        return limit
    rank = len(shape)
    if not -rank <= dim < rank:
        raise dispatch.KernelError(f"{op}: expected dim within a tensor of rank {rank}, got {dim}")
    if list(bias.shape) != [shape[dim]] or bias.dtype not in layout.DTYPES:
        raise dispatch.KernelError(
            f"{op}: expected a floating-point bias [{shape[dim]}] for dimension {dim} of {list(shape)}, "
            f"got {bias.dtype} {list(bias.shape)}"
        )
    return limit
