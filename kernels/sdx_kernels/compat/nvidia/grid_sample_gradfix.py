"""Sampling at given points, differentiable twice: `torch_utils.ops.grid_sample_gradfix`.

The backward pass of torch's grid_sample has no derivative, so the interpolation is written out here.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sdx_kernels import arguments, layout
from sdx_kernels.dispatch import KernelError

__all__ = ["enabled", "grid_sample"]

enabled = False
"""Taken and without effect: `grid_sample` has derivatives of any order either way."""


def grid_sample(input: Tensor, grid: Tensor) -> Tensor:
    """Return ``input`` at the points of ``grid``, bilinear, zero outside of the image.

    Args:
        input: floating-point [N, C, H, W].
        grid: [N, H', W', 2] in the same dtype, (x, y) with -1 and 1 at the outer edges of the border pixels (torch's
            ``align_corners=False``).

    Returns:
        [N, C, H', W'] in the dtype of ``input``, accumulated in float32 or better. Gradients of any order flow to both.

    Raises:
        KernelError: for other shapes or dtypes, different devices, or an image without pixels.
    """
    _check(input, grid)
    wide = layout.wide(input, grid)
    image, points = input.to(wide), grid.to(wide)
    n, channels, height, width = image.shape
    with layout.without_autocast(image.device):
        x = ((points[..., 0] + 1) * width - 1) / 2
        y = ((points[..., 1] + 1) * height - 1) / 2
        left, top = x.detach().floor(), y.detach().floor()
        flat = image.flatten(2)
        total = image.new_zeros(n, channels, *grid.shape[1:3])
        for column, share_x in ((left, left + 1 - x), (left + 1, x - left)):
            for row, share_y in ((top, top + 1 - y), (top + 1, y - top)):
                inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
                at = row.clamp(0, height - 1).long() * width + column.clamp(0, width - 1).long()
                at = torch.where(inside, at, 0)  # of NaN, anything could have become
                value = flat.gather(2, at.flatten(1)[:, None].expand(-1, channels, -1)).view_as(total)
                value = torch.where(inside[:, None], value, 0.0)  # that pixel may be NaN
                total = total + value * torch.where(inside, share_x * share_y, 0.0)[:, None]
    return total.to(input.dtype)


def _check(input: Tensor, grid: Tensor) -> None:
    op = "grid_sample"
    arguments.tensor(op, "input", input, "[N, C, H, W]", (4,))
    arguments.tensor(op, "grid", grid, "[N, H', W', 2]", (4,))
    if grid.dtype != input.dtype or input.dtype not in layout.DTYPES:
        raise KernelError(
            f"{op}: expected input and grid in one dtype that torch promotes, got {input.dtype} and {grid.dtype}"
        )
    if grid.device != input.device:
        raise KernelError(f"{op}: expected grid on {input.device} as input, got {grid.device}")
    if len(grid) != len(input) or grid.shape[3] != 2:
        raise KernelError(f"{op}: expected grid [{len(input)}, H', W', 2], got {list(grid.shape)}")
    if 0 in input.shape[2:]:
        raise KernelError(f"{op}: expected input with pixels, got {list(input.shape)}")
