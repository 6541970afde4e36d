"""What the ops share about number formats and memory layouts."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
"""What every op takes: torch promotes no narrower float, so float8 needs the caller's own scale first."""


def wide(*tensors: Tensor) -> torch.dtype:
    """Return the format to accumulate in: float32, or float64 where one of the tensors has it."""
    dtype = torch.float32
    for tensor in tensors:
        dtype = torch.promote_types(dtype, tensor.dtype)
    return dtype


def without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """Return a context in which products keep their operands' precision: autocast would take them in half."""
    if torch.amp.is_autocast_available(device.type):
        return torch.autocast(device.type, enabled=False)
    return nullcontext()


def like(result: Tensor, image: Tensor) -> Tensor:
    """Return ``result`` in the memory format of ``image``: channels_last if that is channels_last alone."""
    if image.is_contiguous(memory_format=torch.channels_last) and not image.is_contiguous():
        return result.contiguous(memory_format=torch.channels_last)
    return result.contiguous()
