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


_CAST = (torch.float16, torch.bfloat16, torch.float32)
_WITH_AUTOCAST = ("cpu", "cuda", "mps", "xpu")  # torch.amp.is_autocast_available stops torch 2.11's compiler


def without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """Return a context in which products keep their operands' precision: autocast would take them in half."""
    return torch.autocast(device.type, enabled=False) if device.type in _WITH_AUTOCAST else nullcontext()


def of_autocast(*tensors: Tensor) -> torch.dtype | None:
    """Return what autocast, where it is on for their device, makes of float tensors, as `torch.nn.functional.conv2d`.

    None where it is off, and where one of the tensors is of a format that autocast leaves alone: float64.
    """
    # The public ops ask here: torch.library.register_autocast takes one format for good, and the user has two.
    kind = tensors[0].device.type
    if kind not in _WITH_AUTOCAST or not torch.is_autocast_enabled(kind):
        return None
    return torch.get_autocast_dtype(kind) if all(tensor.dtype in _CAST for tensor in tensors) else None


def promoted(x: Tensor, other: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Return both in the wider of their formats where autocast is on, as it does to what `torch.cat` is given."""
    if other is None or of_autocast(x, other) is None:
        return x, other
    dtype = torch.promote_types(x.dtype, other.dtype)
    return x.to(dtype), other.to(dtype)


def order_of(image: Tensor) -> torch.memory_format:
    """Return the memory format of results: channels_last if ``image`` [N, C, H, W] is channels_last alone."""
    last = image.is_contiguous(memory_format=torch.channels_last) and not image.is_contiguous()
    return torch.channels_last if last else torch.contiguous_format


def like(result: Tensor, image: Tensor) -> Tensor:
    """Return ``result`` in the memory format that `order_of` gives for ``image``."""
    return result.contiguous(memory_format=order_of(image))


def dense(x: Tensor) -> Tensor:
    """Return ``x`` if its elements fill their storage span in some order of the dimensions, else a copy that does."""
    expected = 1
    for stride, size in sorted((stride, size) for stride, size in zip(x.stride(), x.shape, strict=True) if size != 1):
        if stride != expected:
            return torch.empty_like(x).copy_(x)
        expected *= size
    return x


def rows_together(x: Tensor) -> Tensor:
    """Return ``x`` [N, D] if the values of a row lie together, else a copy in which they do."""
    return x if x.stride(1) == 1 or x.shape[1] <= 1 else x.contiguous()


def strided_as(x: Tensor, other: Tensor) -> Tensor:
    """Return ``x`` in the strides of ``other``, which is dense and of its shape: ``x`` itself where it has them."""
    return x if x.stride() == other.stride() else torch.empty_like(other, dtype=x.dtype).copy_(x)


def accumulator(*tensors: Tensor) -> object:
    """Return what a Triton kernel accumulates in, triton's float32, or float64 where a tensor has it."""
    import triton.language as tl

    return tl.float64 if wide(*tensors) == torch.float64 else tl.float32


_VECTOR = 32
"""Values of a half format in the widest vector register: torch's loops over rows run what is left value by value."""


def rows(image: Tensor) -> tuple[Tensor, int]:
    """Return a channels_last image, [N, C, H, W], as a view of its rows, [N, H W / k, k C], and k.

    A row holds k neighbouring pixels: what is the same for all pixels is tiled k times (``per_channel.repeat(1, k)``).
    """
    n, channels, height, width = image.shape
    pixels, k = height * width, 1
    while (k * channels < 2 * _VECTOR or k * channels % _VECTOR) and k < _VECTOR and pixels % (2 * k) == 0:
        k *= 2
    pixelwise = image.permute(0, 2, 3, 1)
    shape = (n, pixels // k, k * channels)
    # reshape would take a copy of another layout without a word; of no images any layout is as good.
    return (pixelwise.view(shape) if image.numel() else pixelwise.reshape(shape)), k
