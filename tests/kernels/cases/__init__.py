"""Calls of every Triton kernel, small enough for the interpreter: the evidence tests run each of them.

A case names what it calls, what must run, and what it may move. Shapes are odd on purpose (1, 63, 100, 129).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

import torch
from torch import Tensor

HALF_AND_FULL = (torch.float32, torch.float16)


@dataclass(frozen=True)
class Case:
    """One call.

    Args:
        name: of the case.
        op: its row in the table of tolerances.
        make: returns the tensors for a number format; those that require a gradient get one compared.
        call: runs the op on them with ``impl``, and returns its results.
        launches: kernels of the forward pass, and how often each runs.
        backward: likewise of the first derivative; None where there is none.
        halo: what programs may read of the same bytes, over what the tensors hold: 1.05, or more with a reason.
        cost: what `sdx_kernels.cost` says for the case in float32, where the launches are all of it.
        dtypes: the formats that the interpreter computes rightly.
        gradients: row of the table for the gradients, where the results are in a wider format; None = that of the op.
    """

    name: str
    op: str
    make: Callable[[torch.dtype], tuple[Tensor, ...]]
    call: Callable[..., Tensor | tuple[Tensor, ...]]
    launches: dict[str, int]
    backward: dict[str, int] | None = field(default_factory=dict)
    halo: float = 1.05
    cost: Callable[[], object] | None = None
    dtypes: Sequence[torch.dtype] = HALF_AND_FULL
    gradients: str | None = None


def normal(*shape: int, seed: int, dtype: torch.dtype, grad: bool = True, scale: float = 1.0) -> Tensor:
    """Return standard normals times ``scale``, the same for every number format but for rounding."""
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(shape, generator=generator) * scale).to(dtype).requires_grad_(grad)


def all_cases() -> list[Case]:
    """Return the cases of every module in this folder."""
    names = sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py"))
    return [case for name in names for case in import_module(f"cases.{name}").CASES]
