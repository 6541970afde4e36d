"""Which source lines each line of a result reads, and how much of each: for rows, for columns, and transposed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

Weights = list[dict[int, float]]


def weights_of(length: int, start: float, end: float, size: int, antialias: bool) -> Weights:
    """Return for every output pixel the source pixels that it reads, with their weights above 0."""
    first, last = start * length, end * length
    scale = (last - first) / size
    centres = [first + (i + 0.5) * scale for i in range(size)]  # in pixels from the frame's edge
    if antialias:
        weights = [_triangle(centre, max(scale, 1.0), first, last, length) for centre in centres]
        if all(weights):
            return weights
        # A box narrower than a pixel: no centre lies in it, and the plain rule below still has an answer.
    low, high = min(first, length - 1.0), max(last - 1, 0.0)
    weights = []
    for centre in centres:
        at = min(max(centre - 0.5, min(low, high), 0.0), max(low, high), length - 1.0)
        below = math.floor(at)
        pair = {pixel: 1 - abs(pixel - at) for pixel in (below, below + 1)}
        weights.append({pixel: weight for pixel, weight in pair.items() if weight > 0})
    return weights


def _triangle(centre: float, reach: float, first: float, last: float, length: int) -> dict[int, float]:
    """Return the pixels whose centres lie in the box and within ``reach``, with weights that fall off and sum to 1."""
    near = range(max(math.floor(centre - reach), 0), min(math.ceil(centre + reach), length))
    inside = {pixel: 1 - abs(pixel + 0.5 - centre) / reach for pixel in near if first < pixel + 0.5 < last}
    inside = {pixel: weight for pixel, weight in inside.items() if weight > 0}
    total = sum(inside.values())
    return {pixel: weight / total for pixel, weight in inside.items()}


@dataclass(frozen=True)
class Table:
    """One axis as a kernel reads it: line i reads the lines from ``first[i]`` on by ``weight[i, :]``, 0 for none.

    Args:
        first: int32 [lines].
        weight: float32 or float64 [lines, reach].
    """

    first: Tensor
    weight: Tensor

    @classmethod
    def of(cls, weights: Weights, dtype: torch.dtype, device: torch.device) -> Table:
        """Return the table of lines one after the other."""
        firsts = [min(line, default=0) for line in weights]
        reach = max((max(line, default=0) - first + 1 for line, first in zip(weights, firsts, strict=True)), default=1)
        rows = [[line.get(first + k, 0.0) for k in range(reach)] for line, first in zip(weights, firsts, strict=True)]
        with torch.inference_mode(False):  # made in inference mode and kept, it could not serve a backward pass later
            return cls(
                torch.tensor(firsts, dtype=torch.int32, device=device), torch.tensor(rows, dtype=dtype, device=device)
            )


def transposed(weights: Weights, length: int) -> Weights:
    """Return for every source line the lines that read it, with the same weights."""
    turned: Weights = [{} for _ in range(length)]
    for i, line in enumerate(weights):
        for pixel, weight in line.items():
            turned[pixel][i] = weight
    return turned


@lru_cache(maxsize=256)
def gathering(
    length: int,
    span: tuple[float, float],
    sizes: tuple[int, ...],
    antialias: bool,
    dtype: torch.dtype,
    device: torch.device,
    turned: bool,
) -> Table:
    """Return the table of one axis for all sizes after each other, [sum of sizes] lines, or turned, [S * length]."""
    lines: Weights = []
    for size in sizes:
        weights = weights_of(length, *span, size, antialias)
        lines += transposed(weights, length) if turned else weights
    return Table.of(lines, dtype, device)


@lru_cache(maxsize=256)
def integers(values: tuple[int, ...], device: torch.device) -> Tensor:
    """Return int64 [len(values)] on the device."""
    with torch.inference_mode(False):
        return torch.tensor(values, dtype=torch.int64, device=device)
