"""lineage.bin, in a run folder: from which image each one was derived, how far away from it, and how hard it was.

A header of 16 bytes, `MAGIC` and the images that training had seen when the file was begun (int64; 0 unless an older
file was lost), then 16 bytes an image, in the order of training: see `RECORD`. All numbers are little-endian. The image
itself is known by its place: see `sdx.training.sampling.numbers`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sdx.errors import DataError
from sdx.files import write_atomically
from sdx.training.checkpoint import writing

NAME = "lineage.bin"
MAGIC = b"sdx.lin1"
RECORD = np.dtype([("parent", "<i8"), ("scale", "<f4"), ("cosine", "<f4")])
"""Parent's image number, -1 for a root; size of the step away from it, 0 for a root; the cosine that steers."""

_HEADER = struct.Struct("<8sq")
_log = logging.getLogger(__name__)


class Ledger:
    """Appends to lineage.bin.

    A resumed run drops the records that lie behind its checkpoint, so that every image has one. Where the file has not
    all of those before it, a warning says so and the file is begun anew.

    Args:
        folder: the run folder.
        images_seen: of the checkpoint that the run goes on from.

    Raises CheckpointError where the file cannot be written.
    """

    def __init__(self, folder: Path, images_seen: int) -> None:
        self._path = folder / NAME
        with writing(self._path):
            end = self._end(images_seen)
            if end is None:
                write_atomically(self._path, _HEADER.pack(MAGIC, images_seen))
                end = _HEADER.size
            self._file = self._path.open("r+b")
            self._file.truncate(end)
            self._file.seek(end)

    def _end(self, images_seen: int) -> int | None:
        """Return the bytes to keep, None where they are not all there."""
        if images_seen == 0:
            return None
        try:
            first, size = _extent(self._path)
            if first <= images_seen <= first + size // RECORD.itemsize:
                return _HEADER.size + (images_seen - first) * RECORD.itemsize
            got = f"{size // RECORD.itemsize} from {first} on"
        except FileNotFoundError:
            got = "no file"
        except DataError as error:
            got = str(error)
        message = "%s: expected the records of %d images, got %s; begun anew, no image before this can be replayed"
        _log.warning(message, self._path, images_seen, got)
        return None

    def write(self, parent: Tensor, scale: Tensor, cosine: Tensor) -> None:
        """Append a batch: int64 [B], float32 [B], float32 [B], see `RECORD`; raises CheckpointError if it cannot."""
        records = np.empty(len(parent), RECORD)
        for name, values in (("parent", parent), ("scale", scale), ("cosine", cosine)):
            records[name] = values.numpy()
        with writing(self._path):
            self._file.write(records.tobytes())
            self._file.flush()

    def sync(self) -> None:
        """Wait until all is on the disk: to be done before a checkpoint counts on it."""
        with writing(self._path):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        with contextlib.suppress(OSError):  # of records that `write` could not write, and said so
            self._file.close()


def read(folder: Path) -> tuple[int, NDArray[np.void]]:
    """Return the images seen before the first record, and the records, `RECORD` [n], mapped from the file.

    Raises DataError where there is no such file, or none that `Ledger` wrote.
    """
    path = folder / NAME
    try:
        first, size = _extent(path)
        count, rest = divmod(size, RECORD.itemsize)
        if rest:
            raise DataError(
                f"{path}: expected records of {RECORD.itemsize} bytes, got {rest} bytes over; resume the run"
            )
        # A file of no records cannot be mapped.
        return first, np.memmap(path, RECORD, "r", _HEADER.size, (count,)) if count else np.empty(0, RECORD)
    except OSError as error:
        raise DataError(
            f"{path}: expected the lineages of a run, got: {error.strerror}; runs of earlier versions have none"
        ) from error


def _extent(path: Path) -> tuple[int, int]:
    """Return the images seen before the first record, and the bytes behind the header."""
    with path.open("rb") as file:
        header = file.read(_HEADER.size)
        size = os.fstat(file.fileno()).st_size
    magic, first = _HEADER.unpack(header) if len(header) == _HEADER.size else (b"", -1)
    if magic != MAGIC or first < 0:
        raise DataError(f"{path}: expected a file that begins with {MAGIC!r}, got {header[:8]!r}")
    return first, size - _HEADER.size
