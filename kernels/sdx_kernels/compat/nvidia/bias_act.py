"""Bias and activation: `torch_utils.ops.bias_act`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from torch import Tensor

import sdx_kernels
from sdx_kernels import arguments
from sdx_kernels.bias_act import Activation
from sdx_kernels.bias_act.reference import DEFAULT_GAIN, activate
from sdx_kernels.compat.nvidia.implementation import implementation
from sdx_kernels.dispatch import KernelError

__all__ = ["activation_funcs", "bias_act"]


@dataclass(frozen=True)
class ActivationSpec:
    """An activation and its defaults.

    Args:
        func: the bare activation, of a tensor and ``alpha``, without gain.
        def_alpha: slope of lrelu below 0; 0 for the others, which have no parameter.
        def_gain: multiplier where the caller gives none.
    """

    func: Callable[..., Tensor]
    def_alpha: float
    def_gain: float


def _spec(act: str) -> ActivationSpec:
    slope = 0.2 if act == "lrelu" else 0.0

    def func(x: Tensor, alpha: float = slope, **_: object) -> Tensor:
        return activate(x, act, alpha)

    return ActivationSpec(func, slope, DEFAULT_GAIN[act])


activation_funcs = {act: _spec(act) for act in DEFAULT_GAIN}
"""The nine activations by name."""


def bias_act(
    x: Tensor,
    b: Tensor | None = None,
    dim: int = 1,
    act: str = "linear",
    alpha: float | None = None,
    gain: float | None = None,
    clamp: float | None = None,
    impl: str = "cuda",
) -> Tensor:
    """Return ``clamp(gain * act(x + b))``.

    Args:
        x: float16, bfloat16, float32 or float64 of any shape.
        b: [x.shape[dim]].
        dim: the dimension of ``b``; counts only with one.
        act: a key of `activation_funcs`.
        alpha: slope of lrelu below 0, None = 0.2; without effect for the others.
        gain: None = the default of the activation.
        clamp: limit the result to [-clamp, clamp].
        impl: "cuda" = `sdx_kernels`' "auto", "ref" = its "reference".

    Raises:
        KernelError: for what `sdx_kernels.bias_act` refuses (a clamp of 0 too), or another ``impl``.
    """
    arguments.tensor("bias_act", "x", x, "of any shape", range(64))
    if b is not None:
        arguments.tensor("bias_act", "b", b, "[x.shape[dim]]", (1,))
    if act not in DEFAULT_GAIN:
        raise KernelError(f"bias_act: expected act one of {', '.join(DEFAULT_GAIN)}, got {act!r}")
    return sdx_kernels.bias_act(
        x,
        b,
        dim=dim,
        act=cast(Activation, act),
        alpha=None if alpha is None or act != "lrelu" else float(alpha),
        gain=None if gain is None else float(gain),
        clamp=None if clamp is None else float(clamp),
        impl=implementation("bias_act", impl),
    )
