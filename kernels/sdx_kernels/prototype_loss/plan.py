"""How prototype_loss cuts rows and bank over the programs of a launch."""

from __future__ import annotations

from dataclasses import dataclass

from sdx_kernels import launch

_PROGRAMS = 256  # about two for each multiprocessor of a large GPU
_MOST_SPLITS = 64  # each leaves a gradient in float32


@dataclass(frozen=True)
class Plan:
    """The programs of one launch.

    Args:
        row: of the launch table.
        rows: blocks of what programs own: rows, or the prototypes of a bank's gradient.
        splits: parts of what streams by: the bank, or the batch.
        tiles: blocks in each part, a power of two.
    """

    row: launch.Row
    rows: int
    splits: int
    tiles: int


def plan(kernel: str, n: int, d: int, count: int, *, bits: int, arch: int) -> Plan:
    """Return how ``n`` rows of ``d`` values that programs own are cut against ``count`` that stream by, all at least 1.

    Few rows are spread over many splits, many rows over few: about 256 programs, and parts of the gradient that never
    exceed 64 times the gradient.
    """
    row = launch.config(kernel, size=d, bits=bits, arch=arch)
    rows, blocks = -(-n // row.blocks["BLOCK_M"]), -(-count // row.blocks["BLOCK_N"])
    wanted = max(min(_PROGRAMS // rows, _MOST_SPLITS), 1)
    tiles = 1 << (-(-blocks // wanted) - 1).bit_length()
    return Plan(row, rows, -(-blocks // tiles), tiles)
