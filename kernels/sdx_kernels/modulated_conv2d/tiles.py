"""How `epilogue_kernel` cuts its work: a pure function of shapes, for the launch and for its cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sdx_kernels import launch

_PROGRAMS = 4096
"""Below this many programs a strip is shorter: a large GPU holds about a thousand of them at once."""


@dataclass(frozen=True)
class Tiles:
    """The programs of one launch; the letters are those of the kernel.

    Args:
        row: of the launch table, with the tiles of a program, one below the other, as its STEPS.
        low_pass: 0 for none, 1 for any, 2 for four taps down and four across.
        tiles: programs that share an image and a group of channels.
        groups: of channels.
        chunks: blocks of channels in a group: all of them where colours are sums over them.
    """

    row: launch.Row
    low_pass: int
    tiles: int
    groups: int
    chunks: int

    @property
    def strip(self) -> tuple[int, int]:
        """Rows and columns of a program, for tiles that have a width."""
        side = self.row.blocks["SIDE"]
        return self.row.blocks["BLOCK_P"] // side * self.row.blocks["STEPS"], side


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
    kind = 0 if low_pass_rank == 0 else 2 if low_pass_rank == 1 and is_pixelwise and not colours else 1
    name = "epilogue_kernel" + ("_channels_last" if is_pixelwise else "") + ("", "_low_pass", "_strip")[kind]
    row = launch.config(name, size=channels, bits=bits, arch=arch)
    pixels, side, most = row.blocks["BLOCK_P"], row.blocks["SIDE"], row.blocks["STEPS"]
    blocks = -(-channels // row.blocks["BLOCK_C"])
    chunks = blocks if colours else 1
    groups = blocks // chunks

    def tiles(steps: int) -> int:
        if side == 0:
            return -(-height * width // pixels)
        return -(-height // (pixels // side * steps)) * -(-width // side)

    steps = most
    while steps > 1 and n * groups * tiles(steps) < _PROGRAMS:
        steps //= 2
    cut = replace(row, blocks=row.blocks | {"STEPS": steps})
    return Tiles(cut, kind, tiles(steps), groups, chunks)
