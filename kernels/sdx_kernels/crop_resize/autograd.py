"""crop_resize as registered torch ops: the gather, and its transpose, which is its derivative."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from sdx_kernels import launch, layout
from sdx_kernels.crop_resize.reference import SKIP_FILTER
from sdx_kernels.crop_resize.tables import Table, gathering, integers
from sdx_kernels.upfirdn2d.autograd import upfirdn2d

_NO_SKIP = 0, 0, 0, 0
_UP = [2, 2, 1, 1], [2, 1, 2, 1], False, 4.0


@torch.library.custom_op("sdx_kernels::crop_resize", mutates_args=())
def forward(
    image: Tensor, skip: Tensor | None, sizes: Sequence[int], box: Sequence[float], antialias: bool, clamp: float | None
) -> Tensor:
    """Return the results of all sizes after each other in one row, see `faces`."""
    from sdx_kernels.crop_resize.kernel import crop_resize_kernel

    n, channels, height, width = image.shape
    out = _flat(image, sizes)
    rows, columns = _tables(image, sizes, box, antialias, False)
    row = _row(image)
    tiles, segments, lines, place = 0, [], 0, 0
    for size in sizes:
        segments += [tiles, size, lines, place]
        tiles, lines = tiles - (-(size**2) // row.blocks["BLOCK_P"]), lines + size
        place += n * channels * size**2
    launch.launch(
        crop_resize_kernel,
        (tiles * -(-n * channels // row.blocks["BLOCK_C"]),),
        image,
        skip,
        integers(tuple(segments), image.device),
        rows.first,
        rows.weight,
        columns.first,
        columns.weight,
        out,
        n * channels,
        channels,
        height,
        width,
        tiles,
        *image.stride(),
        *(_NO_SKIP if skip is None else skip.stride()),
        0.0 if clamp is None else clamp,
        row=row,
        **_constants(image, skip, sizes, rows, columns, clamp),
    )
    return out


@torch.library.custom_op("sdx_kernels::crop_resize_grad", mutates_args=())
def grad(
    upstream: Tensor,
    image: Tensor,
    skip: Tensor | None,
    sizes: Sequence[int],
    box: Sequence[float],
    antialias: bool,
    clamp: float | None,
) -> Tensor:
    """Return the gradient at the image, [N, C, H, W]."""
    from sdx_kernels.crop_resize.kernel import crop_resize_grad_kernel

    n, channels, height, width = image.shape
    out = torch.empty(image.shape, dtype=image.dtype, device=image.device, memory_format=layout.order_of(image))
    rows, columns = _tables(image, sizes, box, antialias, True)
    row = _row(image)
    tiles = -(-height * width // row.blocks["BLOCK_P"])
    sides, place = [], 0
    for size in sizes:
        sides += [size, place]
        place += n * channels * size**2
    launch.launch(
        crop_resize_grad_kernel,
        (tiles * -(-n * channels // row.blocks["BLOCK_C"]),),
        upstream.contiguous(),
        image,
        skip,
        rows.first,
        rows.weight,
        columns.first,
        columns.weight,
        integers(tuple(sides), image.device),
        out,
        n * channels,
        channels,
        height,
        width,
        tiles,
        *image.stride(),
        *(_NO_SKIP if skip is None else skip.stride()),
        *out.stride(),
        0.0 if clamp is None else clamp,
        row=row,
        **_constants(image, skip, sizes, rows, columns, clamp),
    )
    return out


def faces(flat: Tensor, image: Tensor, sizes: Sequence[int]) -> tuple[Tensor, ...]:
    """Return what `forward` gives as one [N, C, size, size] for each size, in the order of the image's dimensions."""
    n, channels = image.shape[:2]
    ends = itertools.accumulate(n * channels * size**2 for size in sizes)
    parts = [flat[end - n * channels * size**2 : end] for size, end in zip(sizes, ends, strict=True)]
    if layout.order_of(image) == torch.channels_last:
        return tuple(
            part.view(n, size, size, channels).permute(0, 3, 1, 2) for part, size in zip(parts, sizes, strict=True)
        )
    return tuple(part.view(n, channels, size, size) for part, size in zip(parts, sizes, strict=True))


def _tables(
    image: Tensor, sizes: Sequence[int], box: Sequence[float], antialias: bool, turned: bool
) -> tuple[Table, Table]:
    """Return the tables of rows and of columns."""
    rest = tuple(sizes), antialias, layout.wide(image), image.device, turned
    height, width = image.shape[2:]
    top, left, bottom, right = box
    return gathering(height, (top, bottom), *rest), gathering(width, (left, right), *rest)


def _row(image: Tensor) -> launch.Row:
    planes, bits = image.shape[0] * image.shape[1], 8 * image.element_size()
    return launch.config("crop_resize_kernel", size=planes, bits=bits, arch=launch.arch_of(image.device))


def _constants(
    image: Tensor, skip: Tensor | None, sizes: Sequence[int], rows: Table, columns: Table, clamp: float | None
) -> dict[str, Any]:
    """Return the constants that both kernels take."""
    return {
        "SIZES": len(sizes),
        "REACH_Y": rows.weight.shape[1],
        "REACH_X": columns.weight.shape[1],
        "HAS_SKIP": skip is not None,
        "HAS_CLAMP": clamp is not None,
        "LAST": layout.order_of(image) == torch.channels_last,
        "ACC": layout.accumulator(image),
    }


def _flat(image: Tensor, sizes: Sequence[int]) -> Tensor:
    planes = image.shape[0] * image.shape[1]
    return torch.empty((sum(planes * size**2 for size in sizes),), dtype=image.dtype, device=image.device)


@forward.register_fake
def _(image: Tensor, skip: Tensor | None, sizes: Sequence[int], *_: Any) -> Tensor:
    return _flat(image, sizes)


@grad.register_fake
def _(upstream: Tensor, image: Tensor, *_: Any) -> Tensor:
    return torch.empty(image.shape, dtype=image.dtype, device=image.device, memory_format=layout.order_of(image))


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    image, skip, *ctx.rest = inputs
    ctx.save_for_backward(image, skip)


def _backward(ctx: Any, upstream: Tensor) -> tuple[Any, ...]:
    image, skip = ctx.saved_tensors
    at_image = grad(upstream, image, skip, *ctx.rest)
    at_skip = None
    if skip is not None and ctx.needs_input_grad[1]:
        at_skip = upfirdn2d(at_image, _binomial(skip), [1, 1, 2, 2], [1, 1, 1, 1], True, 4.0).to(skip.dtype)
    return at_image if ctx.needs_input_grad[0] else None, at_skip, None, None, None, None


def _save_grad(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    _, image, skip, ctx.sizes, ctx.box, ctx.antialias, ctx.clamp = inputs
    ctx.save_for_backward(image, skip)


def _backward_grad(ctx: Any, direction: Tensor) -> tuple[Any, ...]:
    image, skip = ctx.saved_tensors
    direction = layout.like(direction, image)  # a row of results follows the order of its image
    if ctx.clamp is not None:
        value = image.to(layout.wide(image))
        if skip is not None:
            value = value + upfirdn2d(skip.to(value.dtype), _binomial(skip), *_UP)
        direction = torch.where(value.abs() <= ctx.clamp, direction, 0)
    along = forward(direction, None, ctx.sizes, ctx.box, ctx.antialias, None)
    return along, None, None, None, None, None, None


def _binomial(like: Tensor) -> Tensor:
    # A tensor that only stands for one (while tracing) must not meet the cache.
    taps = _kept_filter if type(like) in (Tensor, torch.nn.Parameter) else _filter
    return taps(layout.wide(like), like.device)


def _filter(dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False):
        return torch.tensor(SKIP_FILTER, dtype=dtype, device=device)


_kept_filter = lru_cache(maxsize=8)(_filter)


forward.register_autograd(_backward, setup_context=_save)
grad.register_autograd(_backward_grad, setup_context=_save_grad)
