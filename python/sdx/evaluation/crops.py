"""Loose crops of photographs, aligned by their five landmarks, as IJB-B's and IJB-C's images come."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np
import torch
from numpy.typing import NDArray

from sdx import align, pictures
from sdx.errors import DataError
from sdx.evaluation.embed import to_face
from sdx.evaluation.ijb import ImageList

SIZE = 112
"""Side of an aligned face in pixels."""

_MAX_SIDE = 8192


class AlignedCrops:
    """The images of a list, each carried onto ArcFace's template and rounded to whole grey levels, as the field does.

    Args:
        folder: with the files that the list names.
        images: names and landmarks of N images.

    DataError, naming the image: at once for a file that is missing or beyond the folder, or landmarks that coincide;
    when it is read, for what is no picture.
    """

    def __init__(self, folder: Path, images: ImageList) -> None:
        self._folder, self._names, self._landmarks = folder, images.names, images.landmarks
        spread = np.ptp(images.landmarks, axis=1).max(1)
        for name, extent in zip(images.names, spread.tolist(), strict=True):
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts:
                raise DataError(f"expected images within {folder}, got {name}")
            if not (folder / path).is_file():
                raise DataError(f"{folder / path}: expected an image, found none")
            if extent < 1e-3:
                raise DataError(f"{folder / path}: expected five distinct landmarks, got one point")

    @property
    def size(self) -> int:
        """Side in pixels."""
        return SIZE

    def __len__(self) -> int:
        return len(self._names)

    def read(self, start: int, stop: int) -> NDArray[np.uint8]:
        """Return images start to stop (exclusive), uint8 [stop - start, 112, 112, 3], RGB."""
        return np.stack([self._aligned(position) for position in range(start, min(stop, len(self)))])

    def _aligned(self, position: int) -> NDArray[np.uint8]:
        path = self._folder / self._names[position]
        try:
            pixels = np.array(pictures.decode(path.read_bytes(), _check))
            face = align.warp(to_face(torch.from_numpy(pixels[None]))[0], self._landmarks[position], SIZE)
        except (DataError, OSError) as error:
            raise DataError(f"{path}: {error}") from error
        level: NDArray[np.uint8] = face.mul(127.5).add(127.5).round().byte().permute(1, 2, 0).numpy()
        return level


def _check(width: int, height: int) -> None:
    if max(width, height) > _MAX_SIDE:
        raise DataError(f"expected an image of at most {_MAX_SIDE} pixels a side, got {width} x {height}")
