"""channelwise as a registered torch op without a derivative."""

from __future__ import annotations

import torch
from torch import Tensor

from sdx_kernels import launch, layout


@torch.library.custom_op("sdx_kernels::channelwise", mutates_args=())
def forward(x: Tensor, bias: Tensor, slope: Tensor | None, added: Tensor | None) -> Tensor:
    """See `sdx_kernels.channelwise`."""
    from sdx_kernels.channelwise.kernel import channelwise_kernel

    x = x.contiguous(memory_format=torch.channels_last)
    out = torch.empty_like(x, memory_format=torch.channels_last)
    row = launch.config("channelwise_kernel", size=x.numel(), bits=8 * x.element_size(), arch=launch.arch_of(x.device))
    launch.launch(
        channelwise_kernel,
        (-(-x.numel() // row.blocks["BLOCK"]),),
        x,
        bias.contiguous(),
        None if slope is None else slope.contiguous(),
        None if added is None else added.contiguous(memory_format=torch.channels_last),
        out,
        x.numel(),
        row=row,
        HAS_SLOPE=slope is not None,
        HAS_ADDED=added is not None,
        CHANNELS=x.shape[1],
        ACC=layout.accumulator(x),
    )
    return out


@forward.register_fake
def _(x: Tensor, bias: Tensor, slope: Tensor | None, added: Tensor | None) -> Tensor:
    return torch.empty_like(x, memory_format=torch.channels_last)
