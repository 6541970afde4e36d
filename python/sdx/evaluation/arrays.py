"""Arrays in .npz files of unknown origin: read as data, or refused."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdx.errors import DataError


@contextmanager
def opened(path: Path, most_bytes: int) -> Iterator[Mapping[str, NDArray[Any]]]:
    """Give the arrays of an .npz file by name, each read when it is asked for; nothing in it can run.

    Args:
        path: of the file.
        most_bytes: largest size of all arrays together, as the file declares them.

    Raises DataError for what is no .npz file of plain arrays, there or when an array is read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > most_bytes:
            raise DataError(f"{path}: expected at most {most_bytes:,} bytes of arrays, got {size:,}")
        with np.load(path, allow_pickle=False) as file:
            yield file
    # What zipfile and numpy raise for damaged files, unknown compressions, pickles, and headers that promise too much.
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, NotImplementedError, MemoryError) as error:
        raise DataError(f"{path}: expected an .npz file of plain arrays, got {error}") from error
