"""Which pixels a resampled convolution reads and gives, along both axes."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from sdx_kernels.dispatch import KernelError

Roi = tuple[int, int, int, int]


@dataclass(frozen=True)
class Geometry:
    """How an image becomes another; made by `Geometry.of`, which has checked that it can.

    Args:
        up: factor of upsampling.
        down: factor of downsampling.
        filter: low-pass of both.
        pads: (left, right, top, bottom) zeros around the upsampled image, those of the filter included.
        size: (H, W) of the whole result.
        roi: (top, left, bottom, right), the part of it that is wanted.
    """

    up: int
    down: int
    filter: Tensor | None
    pads: tuple[int, int, int, int]
    size: tuple[int, int]
    roi: Roi

    @classmethod
    def of(
        cls, x: Tensor, weight: Tensor, up: int, down: int, padding: int, filter: Tensor | None, roi: Roi | None
    ) -> Geometry:
        """Return the geometry of a call of `modulated_conv2d`.

        Raises:
            KernelError: for factors below 1, an output without pixels, or a roi that is empty or leaves the output.
        """
        if min(up, down) < 1:
            raise KernelError(f"modulated_conv2d: expected factors >= 1, got up={up}, down={down}")
        taps = (1, 1) if filter is None else (filter.shape[0], filter.shape[-1])
        passes = (up > 1) + (down > 1)
        pads: list[int] = []
        size: list[int] = []
        for length, tap, kernel in zip(x.shape[2:], taps, weight.shape[2:], strict=True):
            before, after = pads_of(padding, tap, up, down)
            needs = kernel + passes * (tap - 1)
            if length * up + before + after < needs:
                raise KernelError(
                    f"modulated_conv2d: expected padded images of at least {needs} pixels a side for this kernel and "
                    f"filter, got {length * up + before + after} from {list(x.shape)}, up={up}"
                )
            size.append((length * up + before + after - needs) // down + 1)
            pads[:0] = (before, after)  # columns come first, as in upfirdn2d
        height, width = size
        top, left, bottom, right = roi or (0, 0, height, width)
        if not (0 <= top < bottom <= height and 0 <= left < right <= width):
            raise KernelError(
                "modulated_conv2d: expected roi (top, left, bottom, right) ordered within the output "
                f"{height}x{width}, got {roi}"
            )
        return cls(up, down, filter, (pads[0], pads[1], pads[2], pads[3]), (height, width), (top, left, bottom, right))

    def needed(self, x: Tensor, kernel: tuple[int, int]) -> tuple[int, int, int, int]:
        """Return (top, left, bottom, right) of the part of ``x`` that the roi depends on, for down = 1."""
        taps = (1, 1) if self.filter is None or self.up == 1 else (self.filter.shape[0], self.filter.shape[-1])
        starts, ends = [], []
        for axis, pad in ((0, self.pads[2]), (1, self.pads[0])):
            # The first and the last pixel of the upsampled image under the filter and the kernel.
            first = self.roi[axis] - pad
            last = self.roi[axis + 2] - 1 - pad + taps[axis] - 1 + kernel[axis] - 1
            length = x.shape[2 + axis]
            start = min(max(-(-first // self.up), 0), length - 1)
            starts.append(start)
            ends.append(max(min(last // self.up + 1, length), start + 1))  # at least a pixel, if only zeros are met
        return starts[0], starts[1], ends[0], ends[1]


def pads_of(padding: int, taps: int, up: int, down: int) -> tuple[int, int]:
    """Return the zeros before and after one axis of the upsampled image."""
    before = after = padding
    if up > 1:
        before, after = before + (taps + up - 1) // 2, after + (taps - up) // 2
    if down > 1:
        before, after = before + (taps - down + 1) // 2, after + (taps - down) // 2
    return before, after
