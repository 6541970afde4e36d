"""Compare the DRAM bytes that ncu saw with those that the cost model counts.

    python benches/dram_bytes.py CSV LINES      what ncu and touch_kernels.py wrote; see on_gpu.sh

A workload's kernels must move at least each byte once ("least") and at most each byte once a program ("asked"): the L2
cache saves some of what neighbouring programs read twice. Up to its size may still be in it, unwritten, when a kernel
ends. Exits 1 if one is more than a tenth outside of that, or if the launches are not those that were printed.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_METRICS = ("dram__bytes_read.sum", "dram__bytes_write.sum")
_SLACK = 0.1


@dataclass(frozen=True)
class Moved:
    """One launch: its kernel, and the bytes that DRAM read and wrote."""

    kernel: str
    bytes: float


def launches(lines: Iterable[str]) -> list[Moved]:
    """Return the launches of ncu's CSV in order; raises ValueError for a metric that is missing or not in bytes."""
    found: dict[int, dict[str, float]] = {}
    names: dict[int, str] = {}
    for row in csv.DictReader(line for line in lines if line.startswith('"')):
        if row["Metric Name"] not in _METRICS:
            continue
        if row["Metric Unit"] != "byte":
            raise ValueError(f"ncu: expected bytes, got {row['Metric Unit']!r}; give --print-units base")
        number = int(row["ID"])
        names[number] = row["Kernel Name"].partition("(")[0]
        found.setdefault(number, {})[row["Metric Name"]] = float(row["Metric Value"].replace(",", ""))
    for number, values in found.items():
        if len(values) < len(_METRICS):
            raise ValueError(f"ncu: expected {' and '.join(_METRICS)} of {names[number]}, got {', '.join(values)}")
    return [Moved(names[number], sum(values.values())) for number, values in sorted(found.items())]


def compared(moved: list[Moved], workloads: list[dict[str, Any]], cache: int) -> list[tuple[str, float, float, bool]]:
    """Return for each workload its name, its bytes over the least and over those asked for, and whether that is right.

    Raises ValueError if the launches are not those of the workloads.
    """
    expected = [kernel for work in workloads for kernel in work["kernels"]]
    if expected != [one.kernel for one in moved]:
        raise ValueError(f"ncu: expected launches {expected}, got {[one.kernel for one in moved]}")
    left, rows = iter(moved), []
    for work in workloads:
        total = sum(next(left).bytes for _ in work["kernels"])
        is_right = (1 - _SLACK) * work["least"] - cache <= total <= (1 + _SLACK) * work["asked"]
        rows.append((work["name"], total / work["least"], total / work["asked"], is_right))
    return rows


def main(table: Path, printed: Path) -> int:
    """Print a line for each workload, and return the exit status."""
    lines = [json.loads(line) for line in printed.read_text().splitlines() if line.startswith("{")]
    if not lines:
        print("touch_kernels.py: expected lines of JSON, got none")
        return 1
    try:
        rows = compared(launches(table.read_text().splitlines()), lines[1:], lines[0]["L2"])
    except ValueError as error:
        print(error)
        return 1
    for (name, of_least, of_asked, is_right), work in zip(rows, lines[1:], strict=True):
        megabytes = of_least * work["least"] / 1e6
        sign = "" if is_right else "  OFF"
        print(f"{name:38} {megabytes:9.1f} MB  {of_least:5.2f} of least  {of_asked:5.2f} of asked{sign}")
    return int(not all(is_right for *_, is_right in rows))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
