"""The specification of upfirdn2d: inserted zeros, padding, one depthwise convolution per axis or for both."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import conv2d, pad

from sdx_kernels import layout


def upfirdn2d_reference(
    x: Tensor,
    filter: Tensor | None,
    factors: tuple[int, int, int, int],
    padding: tuple[int, int, int, int],
    flip_filter: bool,
    gain: float,
) -> Tensor:
    """See `sdx_kernels.upfirdn2d`; ``factors`` = (up x, up y, down x, down y)."""
    up_x, up_y, down_x, down_y = factors
    n, channels, height, width = x.shape
    wide = layout.wide(x)
    signal = x.to(wide)
    if up_x > 1 or up_y > 1:
        signal = pad(signal.reshape(n, channels, height, 1, width, 1), (0, up_x - 1, 0, 0, 0, up_y - 1))
        signal = signal.reshape(n, channels, height * up_y, width * up_x)
    signal = pad(signal, padding)
    if filter is not None:
        filter = filter.detach().to(x.device, wide)
        if not flip_filter:
            filter = filter.flip(tuple(range(filter.ndim)))  # conv2d correlates
        passes = (filter[None, :], filter[:, None]) if filter.ndim == 1 else (filter,)
        with layout.without_autocast(x.device):
            for taps in passes:
                signal = conv2d(signal, taps.expand(channels, 1, *taps.shape), groups=max(channels, 1))
    signal = signal[:, :, ::down_y, ::down_x] * gain
    return layout.like(signal.to(x.dtype), x)
