"""What a run tells while it goes on: metrics.jsonl in its folder, a progress bar or plain lines on the screen."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from sdx.files import write_atomically
from sdx.training.checkpoint import writing

PLAIN_EVERY = 10.0
"""Seconds between lines where the output is no terminal."""


class Metrics:
    """metrics.jsonl: an object a line, each with ``images_seen``.

    A resumed run drops the lines that lie behind its checkpoint, so that every image is logged once, and those that are
    damaged.

    Raises CheckpointError where the file cannot be written.
    """

    def __init__(self, path: Path, images_seen: int) -> None:
        self._path = path
        with writing(path):
            if path.exists():
                lines = [line for line in _lines(path) if _seen(line) <= images_seen]
                write_atomically(path, "".join(f"{line}\n" for line in lines).encode())
            self._file = path.open("a", encoding="utf-8")

    def write(self, event: str, images_seen: int, **values: Any) -> None:
        """Append one line at once to disk buffers, so that a killed run loses nothing that it said.

        Raises CheckpointError where it cannot be written.
        """
        with writing(self._path):
            self._file.write(json.dumps({"event": event, "images_seen": images_seen, **values}) + "\n")
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        with contextlib.suppress(OSError):  # of a line that `write` could not write, and said so
            self._file.close()


class Silent(Metrics):
    """A log that keeps nothing."""

    def __init__(self) -> None: ...

    def write(self, event: str, images_seen: int, **values: Any) -> None:
        """Keep nothing."""

    def close(self) -> None:
        """Nothing is open."""


def read(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a metrics.jsonl up to the first that is none, as a kill may cut the last one short."""
    rows = []
    for line in _lines(path):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            break
        if not isinstance(row, dict):
            break
        rows.append(row)
    return rows


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").splitlines()


def _seen(line: str) -> float:
    """Return the images seen at a line of metrics, infinity for what is none."""
    try:
        row = json.loads(line)
        return float(row["images_seen"]) if "event" in row else float("inf")
    except (ValueError, TypeError, KeyError, RecursionError):
        return float("inf")


class Display:
    """Progress on standard error: a bar on a terminal, a plain line every few seconds elsewhere."""

    def __init__(self, total: int, images_seen: int) -> None:
        console = Console(stderr=True)
        self._total = total
        self._start = (time.perf_counter(), images_seen)
        self._last = time.perf_counter()
        self._bar: Progress | None = None
        self._task = TaskID(0)
        if console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.completed}/{task.total} images"),
                BarColumn(),
                TextColumn("{task.description}"),
                TimeRemainingColumn(),
                console=console,
                transient=True,
            )
            self._task = self._bar.add_task("", total=total, completed=images_seen)
            self._bar.start()

    def update(self, images_seen: int, loss: float | None = None, cosine: float | None = None) -> None:
        """Show images/s, loss and cosine where there are any, and the time left."""
        now = time.perf_counter()
        rate = (images_seen - self._start[1]) / max(now - self._start[0], 1e-9)
        text = f"{rate:.0f} images/s"
        text += "" if loss is None else f"  loss {loss:.4f}"
        text += "" if cosine is None else f"  cosine {cosine:.3f}"
        if self._bar is not None:
            self._bar.update(self._task, completed=images_seen, description=text)
        elif now - self._last >= PLAIN_EVERY or images_seen >= self._total:
            self._last = now
            left = max(self._total - images_seen, 0) / max(rate, 1e-9)
            print(f"{images_seen}/{self._total} images  {text}  {left:.0f} s left", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.stop()
