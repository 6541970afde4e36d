"""Where commands print their tables."""

from __future__ import annotations

from rich.console import Console

_PLAIN_WIDTH = 140
"""Columns where the output is a file or a pipe."""


def console() -> Console:
    """Return standard output, wide enough for a table where it is no terminal."""
    found = Console()
    if not found.is_terminal:
        found.width = _PLAIN_WIDTH
    return found
