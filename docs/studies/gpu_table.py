"""The tables of kernels/README.md that were measured on a GPU, from the rows of the benches.

    python docs/studies/gpu_table.py

A peer's figure is its time over ours in the same round, the median over the rounds: above 1 ours is quicker.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROWS = Path(__file__).parents[2] / "benches" / "results" / "gpu.jsonl"
COLUMNS = ("call", "us", "TFLOP/s or TB/s", "NVIDIA's ops", "eager torch", "torch.compile")
STEP = ("part of a step", "ms", "original", "NVIDIA's ops", "bare convolutions")
_COMPUTE = ("styled_layer", "prototype_loss")  # bound by operations, not by bytes


def parts() -> dict[str, list[dict[str, Any]]]:
    """Return the rows of each part, ours first."""
    found: dict[str, list[dict[str, Any]]] = {}
    for line in ROWS.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        found.setdefault(row["part"], []).append(row)
    return {part: sorted(rows, key=lambda row: row["impl"] != "ours") for part, rows in found.items()}


def kernels() -> list[str]:
    """Return the lines of the calls of single ops."""
    lines = []
    for part, rows in parts().items():
        ours = rows[0]
        if "bytes_min" not in ours:
            continue
        seconds = ours["p50"]
        rate = ours["flops"] / seconds * 1e-12 if part.startswith(_COMPUTE) else ours["bytes_min"] / seconds * 1e-12
        unit = "TFLOP/s" if part.startswith(_COMPUTE) else "TB/s"
        theirs, eager, compiled = (_ratio(rows, start) for start in ("NVIDIA", ("eager", "cuDNN"), "torch.compile"))
        lines.append(f"| {part} | {seconds * 1e6:.0f} | {rate:.3g} {unit} | {theirs} | {eager} | {compiled} |")
    return lines


def steps() -> list[str]:
    """Return the lines of the parts of a training step."""
    lines = []
    for part, rows in parts().items():
        if "bytes_min" in rows[0]:
            continue
        peers = " | ".join(_ratio(rows, start) for start in ("original", "NVIDIA", "bare"))
        lines.append(f"| {part} | {rows[0]['p50'] * 1e3:.1f} | {peers} |")
    return lines


def _ratio(rows: list[dict[str, Any]], start: str | tuple[str, ...]) -> str:
    """Return the smallest ratio of the peers whose names start so, that of the quickest."""
    found = [row["ratio"] for row in rows if row["impl"].startswith(start)]
    return f"{min(found):.2f}" if found else ""


def main() -> None:
    """Print the tables."""
    for columns, lines in ((COLUMNS, kernels()), (STEP, steps())):
        print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
        print("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
