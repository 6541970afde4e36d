"""What a layer with frozen weights needs, made once before any image."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sdx_kernels import dispatch, layout
from sdx_kernels.modulated_conv2d.reference import SMALLEST, demodulation


@dataclass(frozen=True)
class PackedWeight:
    """A frozen weight as its convolution wants it; made by `PackedWeight.of`.

    Args:
        weight: [O, I, k, k] in channels_last, for ``up`` > 1 as conv_transpose2d takes it, [I, O, k, k].
        square_sum: float32 [O, I], the sum of the squared taps, for dcoef.
        up: factor of upsampling.
        low_pass: the filter of the upsampling, turned and times up^2, one for each output channel, [O, 1, taps, taps'];
            in the dtype of ``weight`` if that has its values, else float32; up^2 alone without a filter. None for
            ``up`` = 1.
        separable: float32 [8], four taps of the low-pass down and four across, where it is their outer product;
            else None.
        norm: float32 [O], what ``weight`` was divided by so that float16 holds its sums, or None; `dcoef` has it.
    """

    weight: Tensor
    square_sum: Tensor
    up: int
    low_pass: Tensor | None = None
    separable: Tensor | None = None
    norm: Tensor | None = None

    @classmethod
    def of(
        cls, weight: Tensor, *, up: int = 1, filter: Tensor | None = None, dtype: torch.dtype | None = None
    ) -> PackedWeight:
        """Return a weight, [O, I, k, k], packed; no gradient flows to it.

        Args:
            weight: floating point.
            up: factor of upsampling of the layer.
            filter: low-pass of the upsampling, [taps] or [taps, taps'].
            dtype: format of the convolution, that of the weight if None.

        Raises:
            KernelError: for a filter without upsampling.
        """
        if up == 1 and filter is not None:
            raise dispatch.KernelError("PackedWeight: expected a filter with up above 1 alone, got one with up=1")
        weight = weight.detach()
        dtype = dtype or weight.dtype
        square_sum, norm = weight.float().square().sum((2, 3)), None
        if dtype == torch.float16:
            norm = square_sum.sum(1).clamp_min(SMALLEST).sqrt()
            weight = weight / norm[:, None, None, None]
        packed = weight if up == 1 else weight.flip((2, 3)).transpose(0, 1)
        packed = packed.to(dtype).contiguous(memory_format=torch.channels_last)
        low_pass = separable = None
        if up > 1:
            square = _low_pass(weight.new_ones(1) if filter is None else filter.detach(), up)
            low_pass, separable = _for_each(square, len(weight), dtype), _separated(square)
        return cls(packed, square_sum, up, low_pass, separable, norm)

    def dcoef(self, styles: Tensor) -> Tensor:
        """Return the demodulation coefficients, times ``norm``, float32 [N, O], of styles float32 [N, I].

        Give the styles themselves: where x was scaled by styles / m to stay in range, multiply dcoef by m afterwards.
        """
        with layout.without_autocast(styles.device):
            dcoef = demodulation(self.square_sum, styles.float())
        return dcoef if self.norm is None else dcoef * self.norm


@dataclass(frozen=True)
class Rgb:
    """The colours that a layer's output gives, and the image so far.

    Args:
        weight: float32 [3, O].
        styles: float32 [N, O], with the gain of a toRGB layer (1 / sqrt(O)) in them.
        bias: float32 [3].
        image: float32 [N, 3, H, W] to add to, or None.
        clamp: limit of the colours before they are added.
    """

    weight: Tensor
    styles: Tensor
    bias: Tensor
    image: Tensor | None = None
    clamp: float | None = None


def _low_pass(filter: Tensor, up: int) -> Tensor:
    """Return what an upsampled image is correlated with, float32 [taps, taps']."""
    square = torch.outer(filter, filter) if filter.ndim == 1 else filter
    return square.float().flip((0, 1)) * up**2


def _for_each(square: Tensor, channels: int, dtype: torch.dtype) -> Tensor:
    exact = square.to(dtype)
    taps = exact if square.is_meta or torch.equal(exact.float(), square) else square
    return taps.expand(channels, 1, -1, -1).contiguous()


def _separated(square: Tensor) -> Tensor | None:
    """Return the taps down and across of which a filter of four by four is the outer product, bit for bit, or None."""
    if square.shape != (4, 4) or square.is_meta or not square.any():
        return None
    row, column = divmod(int(square.abs().argmax()), 4)
    down, across = square[:, column] / square[row, column], square[row]
    return torch.cat([down, across]) if torch.equal(torch.outer(down, across), square) else None
