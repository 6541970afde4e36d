"""What an op must move and compute, and what its Triton kernels do: one model for benches, tests and predictions."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import torch

from sdx_kernels.dispatch import OPS, KernelError


@dataclass(frozen=True)
class Cost:
    """The forward pass of one call.

    Args:
        flops: floating-point operations of products and sums, 2 for a multiplication with its addition.
        bytes_min: every argument read once and every result written once.
        bytes_kernel: what the kernels ask of memory beyond the cache of one multiprocessor: each byte once a program.
        launches: Triton kernels and library calls that run on the device.
    """

    flops: int
    bytes_min: int
    bytes_kernel: int
    launches: int

    def __add__(self, other: Cost) -> Cost:
        """Return the cost of both, one after the other."""
        return Cost(
            self.flops + other.flops,
            self.bytes_min + other.bytes_min,
            self.bytes_kernel + other.bytes_kernel,
            self.launches + other.launches,
        )


def cost(op: str, shape: tuple[int, ...], dtype: torch.dtype, **options: Any) -> Cost:
    """Return what a call of ``op`` costs on its Triton path.

    Args:
        op: its name, see `sdx_kernels.backend`.
        shape: of its first argument.
        dtype: of its first argument.
        options: what else decides the cost, as the op's own `cost` module says.

    Raises:
        KernelError: for another op.
    """
    if op not in OPS:
        raise KernelError(f"cost: expected one of {', '.join(OPS)}, got {op!r}")
    if op == "styled_layer":
        op = "modulated_conv2d"
    if op == "embedding_loss_gradient":
        op, options = "embedding_loss", {**options, "gradient": True}
    model = importlib.import_module(f"sdx_kernels.{op}.cost")
    result = model.cost(shape, dtype, **options)
    assert isinstance(result, Cost)
    return result
