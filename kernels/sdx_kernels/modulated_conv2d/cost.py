"""The cost of a layer: its convolution, and the epilogue that finishes it."""

from __future__ import annotations

import torch

from sdx_kernels import launch
from sdx_kernels.cost import Cost
from sdx_kernels.modulated_conv2d.geometry import pads_of
from sdx_kernels.modulated_conv2d.tiles import tiles_of


def cost(
    shape: tuple[int, ...],
    dtype: torch.dtype,
    *,
    outputs: int,
    kernel: int = 3,
    up: int = 1,
    taps: int = 4,
    noise: bool = True,
    colours: bool = False,
    own: bool = False,
    arch: int = 80,
) -> Cost:
    """Return the cost of `styled_layer` on an image [N, I, H, W] in channels_last, styles of the next layer included.

    `modulated_conv2d` without gradients costs the same and, before it, one pass over x to scale it.

    Args:
        shape: of x.
        dtype: of x.
        outputs: channels of the result.
        kernel: taps a side of the weight.
        up: factor of upsampling.
        taps: taps a side of its low-pass.
        noise: whether the normals of a key are added, which a kernel before this one draws.
        colours: whether the colours are taken, with an image to add to.
        own: the convolution is `conv_kernel`, with its loads counted as it issues them, not the library's.
        arch: compute capability.
    """
    n, inputs, height, width = shape
    size = dtype.itemsize
    result = n * outputs * height * width * up**2 * size
    image = 24 * n * height * width * up**2 if colours else 0
    vectors = 4 * (outputs * (2 * n + 1) + (outputs * (n + 3) + 3 if colours else 0))
    source, weight = n * inputs * height * width * size, outputs * inputs * kernel**2 * size
    bytes_min = source + weight + result + image + vectors
    flops = 2 * n * outputs * inputs * kernel**2 * height * width
    if up > 1:
        flops += 2 * taps**2 * n * outputs * height * width * up**2
    moved = (
        loads_of_convolution(shape, dtype, outputs=outputs, kernel=kernel, up=up, arch=arch) if own else source + weight
    )
    launches = up**2 if own else 1
    if noise:
        moved, launches = moved + bytes_of_noise(n, height * width * up**2, arch=arch), launches + 1
    if own and up == 1 and not colours:
        blocks = -(-outputs // launch.config("conv_kernel", size=outputs, bits=8 * size, arch=arch).blocks["BLOCK_N"])
        grain = 4 * n * height * width * blocks if noise else 0
        return Cost(flops, bytes_min, moved + result + vectors + grain, launches)
    convolved = n * outputs * _convolved(height, kernel, up) * _convolved(width, kernel, up) * size
    after = bytes_of_epilogue(
        (n, outputs, height, width), dtype, kernel=kernel, up=up, taps=taps, noise=noise, colours=colours, arch=arch
    )
    return Cost(flops, bytes_min, moved + convolved + after, launches + 1)


def bytes_of_epilogue(
    shape: tuple[int, ...],
    dtype: torch.dtype,
    *,
    kernel: int = 3,
    up: int = 1,
    taps: int = 4,
    noise: bool = True,
    colours: bool = False,
    arch: int = 80,
) -> int:
    """Return the bytes of `epilogue_kernel`, each once a program, for a convolution of an image of ``shape``.

    ``shape`` is [N, O, H, W] before the upsampling; the rest as in `cost`.
    """
    n, outputs, height, width = shape
    size = dtype.itemsize
    cut = tiles_of(
        (n, outputs, height * up, width * up),
        is_pixelwise=True,
        low_pass_rank=0 if up == 1 else 1 if taps == 4 else 2,
        colours=colours,
        bits=8 * size,
        arch=arch,
    )
    pixels = height * width
    if up > 1:
        rows, columns = cut.size
        pixels = _reach(height, rows, kernel, up, taps) * _reach(width, columns, kernel, up, taps)
    programs = n * cut.tiles * cut.groups
    filter = 0 if up == 1 else 32 if cut.is_strip else 4 * taps**2
    vectors = 4 * n * cut.tiles * outputs * (7 if colours else 3) + programs * (filter + (12 if colours else 0))
    grain = 4 * n * height * width * up**2 * cut.groups if noise else 0
    image = 24 * n * height * width * up**2 if colours else 0
    return n * outputs * (pixels + height * width * up**2) * size + image + grain + vectors


def bytes_of_noise(n: int, pixels: int, *, arch: int = 80) -> int:
    """Return the bytes of `noise_kernel` for ``n`` whole images: each pixel, and what a program reads of its key."""
    block = launch.config("noise_kernel", size=pixels, bits=32, arch=arch).blocks["BLOCK"]
    return 4 * n * pixels + 12 * n * -(-(pixels + 3) // (4 * block))


def loads_of_convolution(
    shape: tuple[int, ...], dtype: torch.dtype, *, outputs: int, kernel: int = 3, up: int = 1, arch: int = 80
) -> int:
    """Return the bytes of x and weight that `conv_kernel` loads: x anew for every tap and every block of outputs."""
    n, inputs, height, width = shape
    size, half = dtype.itemsize, (kernel - 1) // 2
    row = launch.config("conv_kernel", size=outputs, bits=8 * size, arch=arch)
    blocks = -(-outputs // row.blocks["BLOCK_N"])
    total = 0
    for first_y in range(up):
        for first_x in range(up):
            if up == 1:
                met = [[length - abs(tap - half) for tap in range(kernel)] for length in (height, width)]
                pixels, taps = height * width, kernel**2
            else:
                # Every tap of a phase meets every pixel of x once.
                counts = [-(-(kernel - first) // up) for first in (first_y, first_x)]
                met = [[length] * count for length, count in zip((height, width), counts, strict=True)]
                sides = [
                    -(-((length - 1) * up + kernel - first) // up)
                    for length, first in ((height, first_y), (width, first_x))
                ]
                pixels, taps = sides[0] * sides[1], counts[0] * counts[1]
            tiles = -(-n * pixels // row.blocks["BLOCK_M"])
            total += (n * inputs * sum(met[0]) * sum(met[1]) * blocks + tiles * taps * inputs * outputs) * size
    return total


def _convolved(length: int, kernel: int, up: int) -> int:
    return length if up == 1 else (length - 1) * up + kernel


def _reach(length: int, tile: int, kernel: int, up: int, taps: int) -> int:
    """Return how many pixels of an axis the tiles of an upsampled one read, the same pixel once for each tile."""
    before = pads_of((kernel - 1) // 2, taps, up, 1)[0] - kernel + 1
    available = _convolved(length, kernel, up)
    total = 0
    for start in range(0, length * up, tile):
        last = min(start + tile, length * up) - 1 - before + taps - 1
        total += min(last, available - 1) - max(start - before, 0) + 1
    return total
