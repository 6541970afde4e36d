"""Convolution with resampling: `torch_utils.ops.conv2d_resample`."""

from __future__ import annotations

from torch import Tensor

from sdx_kernels import arguments, upfirdn2d
from sdx_kernels.arguments import Sides
from sdx_kernels.compat.nvidia.conv2d_gradfix import conv2d, conv_transpose2d
from sdx_kernels.dispatch import KernelError
from sdx_kernels.modulated_conv2d.geometry import pads_of

__all__ = ["conv2d_resample"]


def conv2d_resample(
    x: Tensor,
    w: Tensor,
    f: Tensor | None = None,
    up: int = 1,
    down: int = 1,
    padding: Sides = 0,
    groups: int = 1,
    flip_weight: bool = True,
    flip_filter: bool = False,
) -> Tensor:
    """Return ``x`` upsampled by ``up``, convolved, and downsampled by ``down``.

    Args:
        x: floating-point [N, I, H, W].
        w: [O, I / groups, kh, kw] in the dtype of ``x``.
        f: low-pass of both resamplings, see `upfirdn2d`; without resampling it has no effect.
        up: factor of upsampling; its gain of ``up ** 2`` is included.
        down: factor of downsampling.
        padding: one number, (x, y), or (left, right, top, bottom), in pixels of the upsampled image, besides what the
            filter needs to keep the size; all of it is applied before the convolution.
        groups: of the channels.
        flip_weight: correlate as torch's convolutions do; False convolves.
        flip_filter: correlate with ``f``; False convolves.

    Returns:
        [N, O, H', W'] in the dtype of ``x``; gradients of any order flow to ``x`` and ``w``.

    Raises:
        KernelError: for shapes that do not fit, different dtypes, factors below 1, or an output without pixels.
    """
    pads = _checked(x, w, f, up, down, padding, groups)
    if not flip_weight:
        w = w.flip((2, 3))
    pointwise = w.shape[2:] == (1, 1)
    if up > 1:
        if pointwise and down == 1:  # on the small image: mixing channels and filtering commute
            return upfirdn2d(
                conv2d(x, w, groups=groups), f, up=up, padding=pads, flip_filter=flip_filter, gain=float(up**2)
            )
        y = _upsampled(x, w, f, up, pads, groups, flip_filter)
        return y if down == 1 else upfirdn2d(y, f, down=down, flip_filter=flip_filter)
    if down > 1:
        # The filter goes first, so that the convolution skips the pixels that are dropped.
        step = down if pointwise else 1
        y = upfirdn2d(x, f, down=step, padding=pads, flip_filter=flip_filter)
        return conv2d(y, w, stride=1 if pointwise else down, groups=groups)
    left, right, top, bottom = pads
    if left == right >= 0 and top == bottom >= 0:
        return conv2d(x, w, padding=(top, left), groups=groups)
    return conv2d(upfirdn2d(x, None, padding=pads), w, groups=groups)


def _upsampled(
    x: Tensor, w: Tensor, f: Tensor | None, up: int, pads: tuple[int, int, int, int], groups: int, flip_filter: bool
) -> Tensor:
    """Return the convolution of the upsampled image, by a transposed one that multiplies no inserted zero."""
    outputs, inputs, rows, columns = w.shape
    # A transposed convolution takes [I, O / groups, kh, kw] and turns its weight round.
    turned = w.flip((2, 3)).reshape(groups, outputs // groups, inputs, rows, columns).transpose(1, 2)
    y = conv_transpose2d(x, turned.reshape(groups * inputs, outputs // groups, rows, columns), stride=up, groups=groups)
    # It reaches k - 1 pixels beyond the image on either side, and lacks the zeros that follow the last pixel.
    left, right, top, bottom = pads
    sides = (left - columns + 1, right - columns + up, top - rows + 1, bottom - rows + up)
    return upfirdn2d(y, f, padding=sides, flip_filter=flip_filter, gain=float(up**2))


def _checked(
    x: Tensor, w: Tensor, f: Tensor | None, up: int, down: int, padding: Sides, groups: int
) -> tuple[int, int, int, int]:
    """Return (left, right, top, bottom) around the upsampled image, those of the filter included."""
    op = "conv2d_resample"
    arguments.tensor(op, "x", x, "[N, I, H, W]", (4,))
    arguments.tensor(op, "w", w, "[O, I / groups, kh, kw]", (4,))
    for name, value in (("up", up), ("down", down), ("groups", groups)):
        if not isinstance(value, int) or value < 1:
            raise KernelError(f"{op}: expected {name} as an int >= 1, got {value!r}")
    if w.dtype != x.dtype:
        raise KernelError(f"{op}: expected w in the dtype of x, {x.dtype}, got {w.dtype}")
    if w.shape[1] * groups != x.shape[1] or len(w) % groups or not w.numel():
        raise KernelError(
            f"{op}: expected w [O, {x.shape[1]} / {groups}, kh, kw] with O a multiple of groups={groups} for x "
            f"{list(x.shape)}, got {list(w.shape)}"
        )
    taps = arguments.size(op, "f", f)
    left, right, top, bottom = arguments.sides(op, padding)
    (before_x, after_x), (before_y, after_y) = (pads_of(0, n, up, down) for n in taps)
    pads = (left + before_x, right + after_x, top + before_y, bottom + after_y)
    passes = (up > 1) + (down > 1)
    for axis, kernel, n, around in ((2, w.shape[2], taps[1], sum(pads[2:])), (3, w.shape[3], taps[0], sum(pads[:2]))):
        needs, has = kernel + passes * (n - 1), x.shape[axis] * up + around
        if x.shape[axis] == 0 or has < needs:
            raise KernelError(
                f"{op}: expected padded images of at least {needs} pixels along dimension {axis} for w and f, "
                f"got {has} from x {list(x.shape)}, up={up}, padding={padding}"
            )
    return pads
