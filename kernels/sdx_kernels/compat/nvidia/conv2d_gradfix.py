"""Convolutions whose weight gradients can be switched off: `torch_utils.ops.conv2d_gradfix`.

torch's own convolutions have derivatives of any order, so these are torch's. What is left is the switch: while
`weight_gradients_disabled`, a backward pass gives none to the weights of these convolutions. A penalty on the gradient
at an image, made in that state, still trains the weights when it is differentiated outside of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["conv2d", "conv_transpose2d", "enabled", "no_weight_gradients", "switchable", "weight_gradients_disabled"]

enabled = False
"""Taken and without effect: there is no slower path to choose."""

weight_gradients_disabled = False
"""Whether backward passes leave out the gradients of the weights; see `no_weight_gradients`."""


@contextmanager
def no_weight_gradients(disable: bool = True) -> Iterator[None]:
    """Let no backward pass within reach the weights of convolutions; with ``disable=False`` change nothing."""
    global weight_gradients_disabled
    before = weight_gradients_disabled
    weight_gradients_disabled = before or disable
    try:
        yield
    finally:
        weight_gradients_disabled = before


class _Switchable(torch.autograd.Function):
    """The identity, whose gradient the switch of this module stops."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor) -> Tensor:
        """Return a view of ``weight``."""
        return weight.view_as(weight)

    @staticmethod
    def backward(ctx: Any, *upstream: Any) -> Any:
        """Return the gradient, or none."""
        # Asked for here and not in forward: the switch concerns the backward pass that runs while it is on.
        return None if weight_gradients_disabled else upstream[0]


def switchable(weight: Tensor) -> Tensor:
    """Return ``weight`` so that `no_weight_gradients` stops its gradient; compiled code has no such switch."""
    if torch.compiler.is_compiling() or not weight.requires_grad:
        return weight
    through: Tensor = _Switchable.apply(weight)
    return through


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Tensor:
    """Return `torch.nn.functional.conv2d` of these, with the switch on ``weight``; raises what torch raises."""
    return functional.conv2d(input, switchable(weight), bias, stride, padding, dilation, groups)


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    output_padding: int | Sequence[int] = 0,
    groups: int = 1,
    dilation: int | Sequence[int] = 1,
) -> Tensor:
    """Return `torch.nn.functional.conv_transpose2d` of these, likewise."""
    weight = switchable(weight)
    return functional.conv_transpose2d(input, weight, bias, stride, padding, output_padding, groups, dilation)
