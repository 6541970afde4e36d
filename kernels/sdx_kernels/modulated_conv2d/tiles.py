"""How the kernels that follow a convolution cut their work: a pure function of shapes, for the launch and its cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sdx_kernels import launch

_PROGRAMS = 4096
"""Below this many programs a strip is shorter: a large GPU holds about a thousand of them at once."""


@dataclass(frozen=True)
class Tiles:
    """The programs of one launch; the letters are those of the kernels.

    Args:
        row: of the launch table, that of a strip with the rows that it has.
        is_strip: whether `strip_kernel` runs, and not `epilogue_kernel`.
        tiles: programs that share an image and a group of channels.
        groups: of channels.
        chunks: blocks of channels in a group: all of them where colours are sums over them.
    """

    row: launch.Row
    is_strip: bool
    tiles: int
    groups: int
    chunks: int

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of a program, for pixels in tiles or strips."""
        blocks = self.row.blocks
        return blocks["STEPS"] if self.is_strip else blocks["BLOCK_P"] // blocks["SIDE"], blocks["SIDE"]


def tiles_of(
    shape: Sequence[int],
    *,
    is_pixelwise: bool,
    low_pass_rank: int,
    colours: bool,
    bits: int,
    arch: int,
) -> Tiles:
    """Return the cut.

    Args:
        shape: [N, C, H, W] of the result.
        is_pixelwise: whether the channels of a pixel lie together.
        low_pass_rank: 0 for no low-pass, 1 for four taps down and four across, 2 for any.
        colours: whether colours are taken.
        bits: of an element.
        arch: compute capability.
    """
    n, channels, height, width = shape
    is_strip = low_pass_rank == 1 and is_pixelwise and not colours
    if is_strip:
        name = "strip_kernel"
    else:
        # Colours are a matrix product over channels: it takes 16 of them at least, wherever they lie.
        name = "epilogue_kernel" + ("_channels_last" if is_pixelwise or colours else "")
        name += "_low_pass" if low_pass_rank else "_colours" if colours else ""
    row = launch.config(name, size=channels, bits=bits, arch=arch)
    blocks = -(-channels // row.blocks["BLOCK_C"])
    chunks = blocks if colours else 1
    groups = blocks // chunks
    side = row.blocks["SIDE"]
    if not is_strip:
        pixels = row.blocks["BLOCK_P"]
        tiles = -(-height * width // pixels) if side == 0 else -(-height // (pixels // side)) * -(-width // side)
        return Tiles(row, False, tiles, groups, chunks)
    steps, across = row.blocks["STEPS"], -(-width // side)
    while steps > 1 and n * groups * across * -(-height // steps) < _PROGRAMS:
        steps //= 2
    cut = replace(row, blocks=row.blocks | {"STEPS": steps})
    return Tiles(cut, True, across * -(-height // steps), groups, 1)
