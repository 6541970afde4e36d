"""The launch table: every launch finds a row, every row fits the chip and says where it comes from."""

from __future__ import annotations

import re
from unittest import mock

import numpy as np
import pytest
import torch

from sdx_kernels import bias_act, launch
from sdx_kernels.testing import record

KERNELS = sorted({row.kernel for row in launch.TABLE})
_MOST_VALUES = 128  # of a thread: more would not fit its 255 registers
_KIB = {80: 163, 86: 99, 89: 99, 90: 227, 100: 227, 120: 99}  # of shared memory that a program gets at most


def _shared_bytes(row: launch.Row, bits: int) -> int:
    """Return the shared memory of the software pipeline of a matrix product, and of a second one's right side."""
    blocks = row.blocks
    if "BLOCK_K" not in blocks:
        return 0
    values = row.stages * blocks["BLOCK_K"] * (blocks["BLOCK_M"] + blocks["BLOCK_N"])
    return (values + blocks["BLOCK_N"] * blocks.get("COLUMNS", 0)) * bits // 8


def test_ten_thousand_launches_find_a_configuration_that_fits() -> None:
    random = np.random.default_rng(0)
    for _ in range(10_000):
        kernel, arch = random.choice(KERNELS), int(random.choice(list(_KIB)))
        bits = int(random.choice([16, 32, 64]))
        row = launch.config(kernel, size=int(2 ** random.uniform(0, 40)), bits=bits, arch=arch)
        assert row.kernel == kernel
        assert row.bits >= bits
        assert row.arch <= arch
        # The ops send no float64 to a GPU.
        assert _shared_bytes(row, bits) <= _KIB[arch if bits < 64 else 80] * 1024


@pytest.mark.parametrize("row", launch.TABLE, ids=lambda row: f"{row.kernel}-{row.bits}-{row.size}")
def test_a_row_can_be_launched(row: launch.Row) -> None:
    assert row.warps in (1, 2, 4, 8, 16)
    for name, block in row.blocks.items():
        if name in ("IMPLICIT", "SIDE"):
            continue
        assert block & (block - 1) == 0, f"{name} is no power of two"
    tile = {name: block for name, block in row.blocks.items() if name.startswith("BLOCK") and name != "BLOCK_K"}
    assert np.prod(list(tile.values())) <= _MOST_VALUES * 32 * row.warps
    assert row.blocks.get("COLUMNS", 0) * row.blocks.get("BLOCK_M", 0) <= _MOST_VALUES * 32 * row.warps
    assert re.fullmatch(r"static|measured:[^,]+,[^,]+,[0-9a-f]{7,40}", row.source)


def test_our_own_convolution_is_chosen_by_measured_rows_alone() -> None:
    for row in launch.TABLE:
        if row.blocks.get("IMPLICIT"):
            assert row.source.startswith("measured:")


def test_what_no_row_takes_is_an_error() -> None:
    with pytest.raises(LookupError, match="no_such_kernel"):
        launch.config("no_such_kernel", size=1, bits=32, arch=80)


def test_the_table_decides_and_the_result_is_the_same() -> None:
    x = torch.randn(3, 1000)
    plain = bias_act(x, act="swish", impl="triton")
    table = (launch.Row("bias_act_kernel", {"BLOCK": 64}), *launch.TABLE)
    with mock.patch.object(launch, "TABLE", table), record() as recording:
        small = bias_act(x, act="swish", impl="triton")
    assert recording.of("bias_act_kernel").grid == (47,)
    assert torch.equal(small, plain)
