"""bias_act as registered torch ops: the Triton kernel, what it looks like to a tracer, and its derivatives.

`grad` is the vector-Jacobian product and has a derivative of its own, so that a penalty on gradients can be trained;
third derivatives of the curved activations are not there and raise.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import torch
from torch import Tensor

from sdx_kernels import launch, layout

TWO_PIECES = frozenset({"linear", "relu", "lrelu"})
"""Activations whose piece the sign of their result tells."""


@torch.library.custom_op("sdx_kernels::bias_act", mutates_args=())
def forward(
    x: Tensor, bias: Tensor | None, dim: int, act: str, alpha: float, gain: float, clamp: float | None
) -> Tensor:
    """See `sdx_kernels.bias_act`; ``dim`` >= 0."""
    return _run(x, bias, None, None, dim, act, alpha, gain, clamp, False)


@torch.library.custom_op("sdx_kernels::bias_act_grad", mutates_args=())
def grad(
    upstream: Tensor,
    saved: Tensor,
    bias: Tensor | None,
    dim: int,
    act: str,
    alpha: float,
    gain: float,
    clamp: float | None,
    from_output: bool,
) -> Tensor:
    """Return the gradient at x; ``saved`` is x, or the result where ``from_output``."""
    return _run(saved, None if from_output else bias, upstream, None, dim, act, alpha, gain, clamp, from_output)


@torch.library.custom_op("sdx_kernels::bias_act_grad_grad", mutates_args=())
def grad_grad(
    upstream: Tensor,
    direction: Tensor,
    x: Tensor,
    bias: Tensor | None,
    dim: int,
    act: str,
    gain: float,
    clamp: float | None,
) -> Tensor:
    """Return how `grad` changes with x, times ``direction``."""
    return _run(x, bias, upstream, direction, dim, act, 0.0, gain, clamp, False)


def _run(
    x: Tensor,
    bias: Tensor | None,
    first: Tensor | None,
    second: Tensor | None,
    dim: int,
    act: str,
    alpha: float,
    gain: float,
    clamp: float | None,
    from_output: bool,
) -> Tensor:
    from sdx_kernels.bias_act.kernel import bias_act_kernel

    x = layout.dense(x)
    out = torch.empty_like(x)
    first, second = (None if t is None else layout.strided_as(t, x) for t in (first, second))
    step = x.stride(dim) if x.ndim else 1
    period = step * (x.shape[dim] if x.ndim else 1)
    bits = 8 * x.element_size()
    limit = math.inf if clamp is None else float(clamp)
    if from_output:
        limit = _rounded(limit, x.dtype)  # what reached the limit was rounded with it
    row = launch.config("bias_act_kernel", size=x.numel(), bits=bits, arch=launch.arch_of(x.device))
    block = row.blocks["BLOCK"]
    wide = period + block >= 2**31
    masked = bias is not None and step == 1 and not wide and period & (period - 1) == 0  # a mask in place of a division
    launch.launch(
        bias_act_kernel,
        (-(-x.numel() // block),),
        x,
        None if bias is None else bias.contiguous(),
        first,
        second,
        out,
        x.numel(),
        period,
        step,
        float(alpha),
        float(gain),
        limit,
        row=row,
        HAS_BIAS=bias is not None,
        HAS_CLAMP=clamp is not None,
        ACT=act,
        ORDER=(first is not None) + (second is not None),
        FROM_OUTPUT=from_output,
        PERIOD=period if masked else 0,
        WIDE=wide,
        ACC=layout.accumulator(x),
    )
    return out


@functools.lru_cache(maxsize=256)
def _rounded(value: float, dtype: torch.dtype) -> float:
    return torch.tensor(value, dtype=dtype).item()


@forward.register_fake
def _(x: Tensor, *_: Any) -> Tensor:
    return torch.empty_like(layout.dense(x))


@grad.register_fake
def _(upstream: Tensor, saved: Tensor, *_: Any) -> Tensor:
    return torch.empty_like(layout.dense(saved))


@grad_grad.register_fake
def _(upstream: Tensor, direction: Tensor, x: Tensor, *_: Any) -> Tensor:
    return torch.empty_like(layout.dense(x))


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, bias, ctx.dim, ctx.act, ctx.alpha, ctx.gain, ctx.clamp = inputs
    # The result is kept anyway, as the next layer's input; x can then be freed.
    ctx.from_output = ctx.act in TWO_PIECES and ctx.alpha >= 0 and ctx.gain != 0
    ctx.bias_dtype = None if bias is None else bias.dtype
    ctx.save_for_backward(output if ctx.from_output else x, bias)


def _backward(ctx: Any, upstream: Tensor) -> tuple[Any, ...]:
    saved, bias = ctx.saved_tensors
    dx = grad(upstream, saved, bias, ctx.dim, ctx.act, ctx.alpha, ctx.gain, ctx.clamp, ctx.from_output)
    return dx, _bias_grad(dx, ctx, ctx.needs_input_grad[1]), None, None, None, None, None


def _bias_grad(dx: Tensor, ctx: Any, wanted: bool) -> Tensor | None:
    if not wanted:
        return None
    others = [d for d in range(dx.ndim) if d != ctx.dim]
    wide = torch.promote_types(torch.float32, dx.dtype)
    return (dx.sum(others, dtype=wide) if others else dx.clone()).to(ctx.bias_dtype)


def _save_grad(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    upstream, saved, bias, ctx.dim, ctx.act, ctx.alpha, ctx.gain, ctx.clamp, ctx.from_output = inputs
    ctx.bias_dtype = None if bias is None else bias.dtype
    ctx.save_for_backward(upstream, saved, bias)


def _backward_grad(ctx: Any, direction: Tensor) -> tuple[Any, ...]:
    upstream, saved, bias = ctx.saved_tensors
    du = grad(direction, saved, bias, ctx.dim, ctx.act, ctx.alpha, ctx.gain, ctx.clamp, ctx.from_output)
    dx = db = None
    if ctx.act not in TWO_PIECES and (ctx.needs_input_grad[1] or ctx.needs_input_grad[2]):
        dx = grad_grad(upstream, direction, saved, bias, ctx.dim, ctx.act, ctx.gain, ctx.clamp)
        db = _bias_grad(dx, ctx, ctx.needs_input_grad[2])
    return du, dx, db, None, None, None, None, None, None


forward.register_autograd(_backward, setup_context=_save)
grad.register_autograd(_backward_grad, setup_context=_save_grad)
