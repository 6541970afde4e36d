"""The training curve of a run from its metrics.jsonl."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from sdx.files import write_atomically


def write(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw each student's cosine to the teacher over images seen, in training and on held-out faces, as a PNG.

    Args:
        rows: lines of metrics.jsonl, see `sdx.training.tracking.read`; one without what is drawn is left out.
        path: the PNG, written whole or not at all; OSError where it cannot be.
    """
    figure = Figure(figsize=(7, 4), dpi=110, layout="constrained")
    axes = figure.subplots()
    for event, style in (("train", {"alpha": 0.35, "linewidth": 0.8}), ("validate", {"marker": "o", "markersize": 4})):
        lines: dict[str, list[tuple[int, float]]] = {}
        for row in rows:
            if row.get("event") == event:
                for name, values in row.get("students", {}).items():
                    if "cosine" in values:
                        lines.setdefault(name, []).append((row["images_seen"], values["cosine"]))
        for number, (name, points) in enumerate(lines.items()):
            seen, cosine = zip(*points, strict=True)
            where = "training batches" if event == "train" else "held-out faces"
            axes.plot(seen, cosine, label=f"{name}, {where}", color=f"C{number}", **style)
    axes.set_xlabel("images seen")
    axes.set_ylabel("cosine(student, teacher)")
    axes.grid(alpha=0.3)
    if axes.has_data():
        axes.legend(loc="lower right")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    write_atomically(path, buffer.getvalue())
