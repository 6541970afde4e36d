"""What follows a convolution of a frozen network, in one step."""

from __future__ import annotations

import torch
from torch import Tensor

from sdx_kernels import arguments, dispatch, layout
from sdx_kernels.channelwise.op import forward
from sdx_kernels.channelwise.reference import channelwise_reference

__all__ = ["channelwise"]


def channelwise(
    x: Tensor,
    bias: Tensor,
    *,
    slope: Tensor | None = None,
    added: Tensor | None = None,
    impl: dispatch.Impl = "auto",
) -> Tensor:
    """Return ``prelu(x + bias, slope) + added``, each of the last two where it is given.

    It serves sdx and is not among the public ops: `sdx_kernels.backend` does not list it, but ``impl`` is theirs.

    Args:
        x: float16, bfloat16, float32 or float64 [N, C, H, W]; another layout than channels_last is copied first.
        bias: [C], float32 or the dtype of ``x``.
        slope: likewise, of each channel below 0.
        added: the shape and dtype of ``x``.
        impl: see `sdx_kernels.backend`.

    Returns:
        The shape and dtype of ``x`` in channels_last, never ``x`` itself; computed in float32 or better and rounded
        once. No gradient flows.

    Raises:
        KernelError: for another dtype or shape, tensors on several devices, or Triton where it cannot run.
    """
    op = "channelwise"
    triton = dispatch.runs_triton(op, impl, x=x, bias=bias, slope=slope, added=added)
    arguments.tensor(op, "x", x, "[N, C, H, W]", (4,))
    if x.dtype not in layout.DTYPES:
        raise dispatch.KernelError(f"{op}: expected a floating-point image, got {x.dtype}")
    for name, value in (("bias", arguments.tensor(op, "bias", bias, "[C]", (1,))), ("slope", slope)):
        if value is not None and (value.shape != x.shape[1:2] or value.dtype not in (torch.float32, x.dtype)):
            raise dispatch.KernelError(
                f"{op}: expected {name} [{x.shape[1]}] in float32 or {x.dtype}, got {value.dtype} {list(value.shape)}"
            )
    if added is not None and (added.shape != x.shape or added.dtype != x.dtype):
        raise dispatch.KernelError(
            f"{op}: expected added {list(x.shape)} in {x.dtype} as x, got {added.dtype} {list(added.shape)}"
        )
    y: Tensor
    with torch.no_grad():
        y = (forward if triton else channelwise_reference)(x, bias, slope, added)
    dispatch.checked(op, y)
    return y
