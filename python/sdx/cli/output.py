"""The file that a command writes: refused at once where it cannot be written, not after the work."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from sdx import files
from sdx.errors import ConfigError


def check(path: Path) -> None:
    """Raise ConfigError for a file that cannot be written: its folder is not there or closed, or it is a folder."""
    with writing(path):
        files.check_writable(path)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raise ConfigError, in one line, where what is done here cannot write ``path``."""
    try:
        yield
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror or error}); give another --out") from error
