"""upfirdn2d with four taps of one axis: which calls go down strips of rows, and how the strips are cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from sdx_kernels import launch, layout

TAPS = 4
FACTORS = ((1, 1), (2, 1), (1, 2))
"""(up, down), alike along both axes."""
_PROGRAMS = 2048  # some fifteen for each multiprocessor of a large GPU
_LONGEST, _SHORTEST = 32, 4  # steps of a strip, which filters up to three rows that the one above it filters too


@dataclass(frozen=True)
class Plan:
    """The programs of one launch, for each image.

    Args:
        row: of the launch table.
        across: tiles of columns.
        groups: of channels.
        strips: of rows.
        length: steps of a strip, a power of two.
        total: steps of all of them: rows of the result, or with ``up`` pairs of rows that share their source rows.
    """

    row: launch.Row
    across: int
    groups: int
    strips: int
    length: int
    total: int


def plan(shape: Sequence[int], up: int, top: int, *, channels_last: bool, bits: int, arch: int) -> Plan:
    """Return how a result [N, C, H, W], none of them 0 but N, is cut: long strips unless that makes too few programs.

    With ``up`` 2 the rows of a pair are those under which tap 1 and then tap 0 meets the same source row, so that a
    pair begins with row -1 where ``top`` is even.
    """
    n, channels, height, width = shape
    name = "upfirdn2d_strip_kernel" + ("_channels_last" if channels_last else "")
    row = launch.config(name, size=channels, bits=bits, arch=arch)
    across, groups = -(-width // row.blocks["BLOCK_P"]), -(-channels // row.blocks["BLOCK_C"])
    total = (height - top % 2) // 2 + 1 if up == 2 else height
    length = _LONGEST
    while length > _SHORTEST and n * across * groups * -(-total // length) < _PROGRAMS:
        length //= 2
    return Plan(row, across, groups, -(-total // length), length, total)


def is_strip(x: Tensor, filter: Tensor, out: Tensor, factors: Sequence[int]) -> bool:
    """Return whether `launch_strip` takes a call: neighbours along x or the channels lie together in both tensors."""
    up_x, up_y, down_x, down_y = factors
    if filter.ndim != 1 or len(filter) != TAPS or (up_x, down_x) not in FACTORS or (up_x, down_x) != (up_y, down_y):
        return False
    return any(x.stride(axis) == out.stride(axis) == 1 for axis in (1, 3))


def launch_strip(
    x: Tensor,
    filter: Tensor,
    out: Tensor,
    factors: Sequence[int],
    padding: Sequence[int],
    flip_filter: bool,
    gain: float,
) -> None:
    """Write the result of a call that `is_strip` accepts into ``out``; see `upfirdn2d.autograd.upfirdn2d`."""
    from sdx_kernels.upfirdn2d.strip_kernel import upfirdn2d_strip_kernel

    up, down = factors[0], factors[2]
    left, _, top, _ = padding
    n, channels, height, width = out.shape
    cut = plan(
        out.shape,
        up,
        top,
        channels_last=channels > 1 and x.stride(1) == out.stride(1) == 1,
        bits=8 * out.element_size(),
        arch=launch.arch_of(out.device),
    )
    launch.launch(
        upfirdn2d_strip_kernel,
        (n * cut.strips * cut.across * cut.groups,),
        x,
        filter,
        out,
        height,
        width,
        channels,
        *x.shape[2:],
        cut.across,
        cut.groups,
        cut.strips,
        cut.length,
        cut.total,
        top,
        left,
        *x.stride()[:3],
        *out.stride(),
        float(gain),
        row=cut.row,
        UP=up,
        DOWN=down,
        FLIP=flip_filter,
        X_X=x.stride(3),
        ACC=layout.accumulator(x),
    )
