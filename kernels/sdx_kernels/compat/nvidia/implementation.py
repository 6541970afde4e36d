"""NVIDIA's names of implementations."""

from __future__ import annotations

from sdx_kernels.dispatch import Impl, KernelError

_NAMES: dict[str, Impl] = {"cuda": "auto", "ref": "reference"}


def implementation(op: str, impl: str) -> Impl:
    """Return the implementation that NVIDIA's ``impl`` stands for: "cuda" is "auto", "ref" is "reference".

    Raises:
        KernelError: for another name.
    """
    if impl not in _NAMES:
        raise KernelError(f"{op}: expected impl 'cuda' or 'ref', got {impl!r}")
    return _NAMES[impl]
