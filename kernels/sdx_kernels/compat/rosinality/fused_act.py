"""Bias and leaky ReLU: `op.fused_act`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sdx_kernels import arguments, bias_act

__all__ = ["FusedLeakyReLU", "fused_leaky_relu"]

_SCALE: float = 2**0.5


def fused_leaky_relu(
    input: Tensor, bias: Tensor | None = None, negative_slope: float = 0.2, scale: float = _SCALE
) -> Tensor:
    """Return ``scale * leaky_relu(input + bias)``.

    Args:
        input: float16, bfloat16, float32 or float64 [N, C, ...].
        bias: [C].
        negative_slope: below 0.
        scale: multiplier of the result.

    Raises:
        KernelError: for what `sdx_kernels.bias_act` refuses.
    """
    op = "fused_leaky_relu"
    arguments.tensor(op, "input", input, "[N, C, ...]", range(1 if bias is None else 2, 64))
    if bias is not None:
        arguments.tensor(op, "bias", bias, f"[{input.shape[1]}]", (1,))
    return bias_act(input, bias, act="lrelu", alpha=float(negative_slope), gain=float(scale))


class FusedLeakyReLU(nn.Module):
    """`fused_leaky_relu` with a bias of its own, which starts at 0.

    Args:
        channel: C.
        bias: whether there is one; without, the parameter ``bias`` is None.
        negative_slope: below 0.
        scale: multiplier of the result.
    """

    bias: nn.Parameter | None

    def __init__(self, channel: int, bias: bool = True, negative_slope: float = 0.2, scale: float = _SCALE) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channel)) if bias else None
        self.negative_slope = negative_slope
        self.scale = scale

    def forward(self, input: Tensor) -> Tensor:
        """Return the activation of ``input``, [N, C, ...]."""
        return fused_leaky_relu(input, self.bias, self.negative_slope, self.scale)
