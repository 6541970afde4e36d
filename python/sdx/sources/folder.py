"""A folder or zip of JPEG and PNG faces as an index source, in a new random order every epoch."""

from __future__ import annotations

import os
import stat
import zipfile
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from sdx import pictures
from sdx.errors import DataError
from sdx.sources.levels import to_faces
from sdx.sources.order import Order
from sdx.types import HELD_OUT, Batch, Frame, Random

SUFFIXES = (".jpg", ".jpeg", ".png")
LARGEST_FILE = 64 << 20
"""Bytes of one image, compressed or not; more than that is taken for an attack or a mistake."""
LARGEST_IMAGE = 1 << 26
"""Pixels of one image, for the same reason."""
_BROKEN_ENTRY = (OSError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError)
"""All that zipfile raises for an entry that is damaged, encrypted, or packed in a way it does not know."""


class FolderSource:
    """Faces from files; an image that is not square is cut to its centre, any size is brought to ``size``.

    Sub-folders are labels where there are at least two of them.

    Args:
        path: a folder (searched in depth) or a zip file.
        frame: how the faces sit in the images.
        size: side of a face in pixels.
        corrupt: ``skip`` replaces an unreadable image by the next one and names it in ``skipped``; ``refuse`` raises.
        random: random numbers of the run's seed.

    Raises DataError if there is no readable path or fewer than two images.
    """

    licence = "unknown"

    def __init__(self, path: str, frame: Frame, size: int, corrupt: Literal["skip", "refuse"], random: Random) -> None:
        self.frame: Frame = frame
        self.size = size
        names, self._read = _open(Path(path))
        if len(names) < 2:
            raise DataError(f"{path}: expected at least two {', '.join(SUFFIXES)} images, got {len(names)}")
        place = Path(path)
        self.name = (place.resolve() if place.name in ("", "..") else place).name
        self.statement = f"{len(names)} images of {self.name}, used without labels; it is for their owner to say whose"
        self.skipped: list[str] = []
        folders = sorted({name.rpartition("/")[0] for name in names})
        self.classes = len(folders) if len(folders) > 1 else 0
        if self.classes:
            self.statement = f"{len(names)} images of {self.name}, labelled by {self.classes} sub-folders"
        self._label = {folder: number for number, folder in enumerate(folders)}
        self._corrupt = corrupt
        self._order = Order(random, len(names))
        self._held_out = [names[i] for i in self._order.held_out]
        self._train = [names[i] for i in self._order.train]
        self._threads = ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1))

    def draw(self, index: Tensor) -> Batch:
        """Return faces float32 [B, 3, S, S] of image numbers int64 [B], each epoch a permutation of all images."""
        found = list(self._threads.map(self._decode_from, [self._file(int(n)) for n in index]))
        face = to_faces(torch.from_numpy(np.stack([face for face, _ in found])).permute(0, 3, 1, 2))
        label = torch.tensor([self._label[name.rpartition("/")[0]] for _, name in found]) if self.classes else None
        return Batch(index, face, label=label)

    def _file(self, index: int) -> tuple[list[str], int]:
        """Return the list of names that image ``index`` belongs to and its place there."""
        return self._held_out if index >= HELD_OUT else self._train, self._order.place(index)

    def _decode_from(self, file: tuple[list[str], int]) -> tuple[np.ndarray, str]:
        """Return the image at a place, or the next readable one; raises DataError if there is none."""
        names, place = file
        for step in range(len(names)):
            name = names[(place + step) % len(names)]
            try:
                return decode(self._read(name), self.size), name
            except DataError as error:
                if self._corrupt == "refuse":
                    raise DataError(f"{self.name}/{name}: {error}; remove it or set source.corrupt=skip") from error
                if name not in self.skipped:
                    self.skipped.append(name)
        raise DataError(f"{self.name}: expected a readable image, got none among {len(names)}")


def decode(data: bytes, size: int) -> np.ndarray:
    """Return the centre square of a JPEG or PNG as uint8 [size, size, 3], RGB; raises DataError if it is none."""
    picture = pictures.decode(data, _accept)
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    if (side, side) != picture.size:
        picture = picture.crop((left, top, left + side, top + side))
    if side != size:
        picture = picture.resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(picture)


def _accept(width: int, height: int) -> None:
    if width * height > LARGEST_IMAGE:
        raise DataError(f"expected at most {LARGEST_IMAGE} pixels, got {width} x {height}")


def _open(path: Path) -> tuple[list[str], Callable[[str], bytes]]:
    """Return the sorted names of all images under ``path`` and a function that reads one of them."""
    if path.is_dir():
        names = sorted(p.relative_to(path).as_posix() for p in path.rglob("*") if p.suffix.lower() in SUFFIXES)

        def read_file(name: str) -> bytes:
            file = path / name
            try:
                about = file.stat()
                if not stat.S_ISREG(about.st_mode):  # a pipe would be waited for, a device read without end
                    raise DataError("expected a file, got something else of that name")
                if about.st_size > LARGEST_FILE:
                    raise DataError(f"expected at most {LARGEST_FILE} bytes, got {about.st_size}")
                return file.read_bytes()
            except OSError as error:
                raise DataError(f"expected a readable file, got {error.strerror or error}") from error

        return names, read_file
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: expected a folder or a zip of images, got {error}") from error
    sizes = {i.filename: i.file_size for i in archive.infolist() if i.filename.lower().endswith(SUFFIXES)}

    def read_entry(name: str) -> bytes:
        if sizes[name] > LARGEST_FILE:
            raise DataError(f"expected at most {LARGEST_FILE} bytes, got {sizes[name]}")
        try:
            return archive.read(name)
        except _BROKEN_ENTRY as error:
            raise DataError(f"expected a readable zip entry, got {error}") from error

    return sorted(sizes), read_entry
