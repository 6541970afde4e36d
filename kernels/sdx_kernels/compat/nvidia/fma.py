"""Multiply and add: `torch_utils.ops.fma`."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["fma"]


def fma(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Return ``a * b + c`` of tensors that broadcast, with gradients of any order to all three."""
    return torch.addcmul(c, a, b)
