"""What the workloads of the kernels are made of: sizes, a call of ours and the same by others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from peers import nvidia
from sdx_kernels.cost import Cost

Call = Callable[[], Any]
BINOMIAL = (0.125, 0.375, 0.375, 0.125)
FEW = 2
"""Images that are computed in float64; a whole batch would not fit."""


@dataclass(frozen=True)
class Sizes:
    """What a workload is made for.

    Args:
        batch: images.
        rows: embeddings of 512 values.
        device: where it runs.
        prototypes: of a bank.
        side: of an image of the ops that are no layer.
        dtype: of what is large, images of three channels apart.
        nvidia: a checkout of their stylegan3.
    """

    batch: int
    rows: int
    device: torch.device
    prototypes: int = 65536
    side: int = 256
    dtype: torch.dtype = torch.float16
    nvidia: Path | None = None

    def normal(self, *shape: int) -> Tensor:
        """Return float32 normals on the device."""
        return torch.randn(shape, device=self.device)

    def image(self, channels: int, side: int) -> Tensor:
        """Return normals [batch, channels, side, side] in channels_last."""
        x = self.normal(self.batch, channels, side, side).to(self.dtype)
        return x.contiguous(memory_format=torch.channels_last)


@dataclass
class Workload:
    """One call of ours, what it costs, its oracle and its peers.

    Args:
        ours: the call; the first of what it returns counts.
        oracle: the same in float64, or the first rows of it.
        peers: the same by others, by name.
        cost: what it moves and computes.
        kernels: the part of ``cost`` that is our kernels', where the library runs too.
        absent: peers that cannot be, and why.
        about: what a row of results says of it, sizes among it.
    """

    ours: Call
    oracle: Callable[[], Tensor]
    peers: dict[str, Call]
    cost: Cost
    kernels: Cost
    absent: dict[str, str] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)

    def error(self) -> float:
        """Return the relative distance of ours from float64, root of mean square."""
        return distance(self.ours(), self.oracle())


def distance(got: Any, exact: Tensor) -> float:
    """Return how far a result is from the oracle, on the rows that the oracle has."""
    first: Tensor = got[0] if isinstance(got, tuple) else got
    if exact.ndim:
        first = first[: len(exact)]
    return float((first.double() - exact).norm() / exact.norm())


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return what `torch.compile` makes of a function, at the first call: its import alone takes seconds."""
    made = cache(lambda: torch.compile(function, dynamic=False, fullgraph=True))
    return lambda *arguments: made()(*arguments)


def nvidia_peers(
    sizes: Sizes, build: Callable[[nvidia.Ops, bool, bool], Call], forms: dict[str, tuple[bool, bool]] = nvidia.FORMS
) -> tuple[dict[str, Call], dict[str, str]]:
    """Return NVIDIA's call in each form, and which peers are absent and why.

    Args:
        sizes: where their code is.
        build: makes a call of their ops, fused or not, channels_last or not.
        forms: of `nvidia.FORMS`.
    """
    ops = nvidia.load(sizes.nvidia)
    if isinstance(ops, str):
        return {}, {nvidia.NAME: ops}
    return {name: build(ops, *form) for name, form in forms.items()}, {}
