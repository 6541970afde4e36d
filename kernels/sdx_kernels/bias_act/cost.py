"""The cost of bias_act."""

from __future__ import annotations

import math

import torch

from sdx_kernels import launch
from sdx_kernels.cost import Cost


def cost(
    shape: tuple[int, ...], dtype: torch.dtype, *, bias: bool = True, channels_last: bool = False, arch: int = 80
) -> Cost:
    """Return the cost for an image [N, C, ...] with a float32 bias [C]; 3 operations a value.

    Args:
        shape: of x.
        dtype: of x.
        bias: whether there is one.
        channels_last: the memory format of x, which decides how many channels a program meets.
        arch: compute capability.
    """
    count, size = math.prod(shape), dtype.itemsize
    stream = 2 * count * size
    if not bias or not count:
        return Cost(3 * count, stream, stream, int(count > 0))
    channels, step = shape[1], 1 if channels_last else math.prod(shape[2:])
    block = launch.config("bias_act_kernel", size=count, bits=8 * size, arch=arch).blocks["BLOCK"]
    met = sum(_channels(start, min(start + block, count), step, channels) for start in range(0, count, block))
    return Cost(3 * count, stream + 4 * channels, stream + 4 * met, 1)


def _channels(start: int, end: int, step: int, channels: int) -> int:
    """Return how many channels the elements [start, end) belong to."""
    return min((end - 1) // step - start // step + 1, channels)
