"""Bytes that ncu saw against those that the cost model counts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import dram_bytes
from kernel_calls import Sizes
from kernel_workloads import WORKLOADS
from sdx_kernels.testing import record
from touch_kernels import touched

_HEAD = '"ID","Process ID","Kernel Name","Section Name","Metric Name","Metric Unit","Metric Value"'
_CACHE = 50
LAYERS = ["styled_layer 16 px, 512 to 512"]
_WORK = [
    {"name": "one", "kernels": ["a_kernel"], "least": 1000, "asked": 1500},
    {"name": "two", "kernels": ["b_kernel", "c_kernel"], "least": 2000, "asked": 2000},
]


def _table(*launches: tuple[str, int, int], unit: str = "byte") -> str:
    rows = [
        f'"{number}","7","{name}","Command line profiler metrics","dram__bytes_{kind}.sum","{unit}","{value:,}"'
        for number, (name, *values) in enumerate(launches)
        for kind, value in zip(("read", "write"), values, strict=True)
    ]
    return "\n".join(["==PROF== Connected to process 7", _HEAD, *rows, "==PROF== Disconnected from process 7"])


def _main(folder: Path, table: str) -> int:
    (folder / "bytes.csv").write_text(table)
    lines = ["a warning", json.dumps({"L2": _CACHE}), *map(json.dumps, _WORK)]
    (folder / "lines.log").write_text("\n".join(lines))
    return dram_bytes.main(folder / "bytes.csv", folder / "lines.log")


@pytest.mark.parametrize(("read", "code"), [(700, 0), (1150, 0), (1151, 1), (350, 0), (349, 1)])
def test_bytes_lie_between_once_and_once_a_program(
    read: int, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = _main(tmp_path, _table(("a_kernel", read, 500), ("b_kernel(int, int)", 900, 900), ("c_kernel", 100, 100)))
    printed = capsys.readouterr().out.splitlines()
    assert found == code
    assert ("OFF" in printed[0]) == bool(code)
    assert f"{(read + 500) / 1000:.2f} of least" in printed[0]
    assert "1.00 of asked" in printed[1]


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (_table(("a_kernel", 1, 1)), "expected launches"),
        (_table(("a_kernel", 1, 1), ("c_kernel", 1, 1), ("b_kernel", 1, 1)), "expected launches"),
        (_table(("a_kernel", 1, 1), unit="Mbyte"), "--print-units base"),
        (_table(("a_kernel", 1, 1)).replace("write", "other"), "expected dram__bytes_read.sum and"),
        ("==ERROR== no permission", "expected launches"),
    ],
)
def test_a_table_that_says_something_else_fails(
    table: str, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _main(tmp_path, table) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert reason in line


@pytest.mark.skipif(torch.cuda.is_available(), reason="Triton does not interpret beside a CUDA device")
@pytest.mark.parametrize("name", [name for name in WORKLOADS if not name.startswith("styled_layer")] + LAYERS)
def test_lines_name_the_launches_in_order(name: str) -> None:
    with record() as recording:
        line = touched(name, Sizes(1, 3, torch.device("cpu"), prototypes=40, side=16))
    assert line["kernels"] == [launch.kernel for launch in recording.each]
    moved = sum(launch.bytes() for launch in recording.each)
    assert line["asked"] == pytest.approx(moved, rel=0.1, abs=100)
