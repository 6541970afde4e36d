"""The specification of bias_act in plain torch."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from sdx_kernels import layout

DEFAULT_GAIN = {
    "linear": 1.0,
    "relu": math.sqrt(2),
    "lrelu": math.sqrt(2),
    "tanh": 1.0,
    "sigmoid": 1.0,
    "elu": 1.0,
    "selu": 1.0,
    "softplus": 1.0,
    "swish": math.sqrt(2),
}
"""What multiplies each activation where the caller gives no gain."""

HOMOGENEOUS = frozenset({"linear", "relu", "lrelu"})
"""Activations with act(g * v) = g * act(v) for g > 0, so that a gain may be taken out of or into them."""

_SLOPE = 0.2  # of lrelu below 0

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "elu": functional.elu,
    "selu": functional.selu,
    # torch takes x itself above the threshold, which at its default of 20 is seen in float64.
    "softplus": lambda x: functional.softplus(x, threshold=40.0),
    "swish": lambda x: x * torch.sigmoid(x),
}


def bias_act_reference(
    x: Tensor,
    bias: Tensor | None,
    dim: int,
    act: str,
    alpha: float | None,
    gain: float | None,
    clamp: float | None,
) -> Tensor:
    """See `sdx_kernels.bias_act`."""
    wide = layout.wide(x)
    y = x.to(wide)
    if bias is not None:
        shape = [1] * x.ndim
        shape[dim] = -1
        y = y + bias.to(wide).reshape(shape)
    # Multiplied even by 1, so that the result is never the argument.
    y = activate(y, act, alpha) * (DEFAULT_GAIN[act] if gain is None else gain)
    return limit(y, clamp).to(x.dtype)


def activate(y: Tensor, act: str, alpha: float | None = None) -> Tensor:
    """Return the bare activation of ``y``, which may be ``y`` itself."""
    if act == "lrelu":
        return functional.leaky_relu(y, _SLOPE if alpha is None else alpha)
    return y if act == "linear" else _ACTIVATIONS[act](y)


def limit(y: Tensor, clamp: float | None) -> Tensor:
    """Return ``y`` within [-clamp, clamp], without a gradient where it lies on the limit or beyond."""
    if clamp is None:
        return y
    # clamp lets the gradient through where y lies on the limit itself in some versions of torch, and not in 2.15.
    return torch.where(y.abs() < clamp, y, y.detach().clamp(-clamp, clamp))
