"""The specification of channelwise in plain torch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import prelu

from sdx_kernels import layout


def channelwise_reference(x: Tensor, bias: Tensor, slope: Tensor | None, added: Tensor | None) -> Tensor:
    """See `sdx_kernels.channelwise`."""
    wide = layout.wide(x)
    y = x.to(wide) + bias.to(wide)[:, None, None]
    if slope is not None:
        y = prelu(y, slope.to(wide))
    if added is not None:
        y = y + added.to(wide)
    return y.to(x.dtype, memory_format=torch.channels_last, copy=True)
