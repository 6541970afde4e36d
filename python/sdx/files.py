"""Files that are either the old or the new one, never half of it, and folders that one process alone writes."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO


def write_atomically(path: Path, data: bytes) -> None:
    """Write ``data`` beside ``path``, then rename it there; OSError leaves the old file as it was."""
    with replacing(path) as file:
        file.write(data)


def check_writable(path: Path) -> None:
    """Raise the OSError that `replacing` would, but for a full disk, before there is anything to write."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}."):
        pass


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Give a file beside ``path`` to write to, which then takes its place; an error leaves the old one as it was."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        temporary = Path(file.name)
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            temporary.chmod(0o644)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the rename itself
    finally:
        os.close(folder)


@contextlib.contextmanager
def alone(folder: Path, taken: Exception) -> Iterator[None]:
    """While entered, nobody else can be in `alone` of this folder; ``taken`` is raised where somebody is.

    The lock goes with the process, however that ends, and leaves no file. Where the file system has no locks, none is
    held.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise taken from error
        except OSError:
            pass
        yield
    finally:
        os.close(descriptor)
