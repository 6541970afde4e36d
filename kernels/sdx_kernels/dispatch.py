"""Which implementation of an op runs: the argument `impl` decides, and nothing else."""

from __future__ import annotations

from typing import Literal

Impl = Literal["auto", "triton", "reference"]

OPS = ("bias_act", "crop_resize", "embedding_loss", "modulated_conv2d", "styled_layer", "upfirdn2d")

_TRITON_KERNELS: frozenset[str] = frozenset()
"""Ops that have a Triton kernel in this version."""


class KernelError(ValueError):
    """An argument that an op cannot take, or an implementation that does not exist."""


def backend() -> dict[str, str]:
    """Return what `impl="auto"` runs for each op, and why."""
    return dict.fromkeys(OPS, "reference: no Triton kernel in this version")


def check(op: str, impl: str) -> None:
    """Raise KernelError unless ``impl`` names an implementation that ``op`` has; "triton" never falls back."""
    if impl not in ("auto", "triton", "reference"):
        raise KernelError(f"{op}: expected impl 'auto', 'triton' or 'reference', got {impl!r}")
    if impl == "triton" and op not in _TRITON_KERNELS:
        raise KernelError(f"{op}: expected an op with a Triton kernel for impl='triton', got none; use impl='auto'")
