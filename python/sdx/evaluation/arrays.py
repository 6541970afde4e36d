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
        file = None if size > most_bytes else np.load(path, allow_pickle=False)
    except Exception as error:  # see `_Arrays`
        raise _refused(path, error) from error
    if file is None:
        raise DataError(f"{path}: expected at most {most_bytes:,} bytes of arrays, got {size:,}")
    with file:
        yield _Arrays(path, file)


class _Arrays(Mapping[str, NDArray[Any]]):
    """An open file's arrays.

    A damaged one raises whatever zipfile, its decompressors, or the tokenizer and parser behind numpy's headers do:
    there is no list of it, so everything is caught, around the reading and nothing else.
    """

    def __init__(self, path: Path, file: Mapping[str, Any]) -> None:
        self._path, self._file = path, file

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self._file:
            raise KeyError(name)
        try:
            found = self._file[name]
        except Exception as error:
            raise _refused(self._path, error) from error
        if not isinstance(found, np.ndarray):  # numpy gives the bytes of an entry that is no .npy file
            raise _refused(self._path, f"an entry {name} that is none")
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._file)

    def __len__(self) -> int:
        return len(self._file)


def _refused(path: Path, got: object) -> DataError:
    return DataError(f"{path}: expected an .npz file of plain arrays, got {got}")
