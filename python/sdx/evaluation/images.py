"""Where the images of a verification set come from: an array of pixels, or encoded files in memory."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sdx import pictures
from sdx.errors import DataError

MAX_SIDE = 1024
"""Largest side in pixels of a verification image; the field's are 112, and a bomb is refused before it is decoded."""


class Images(Protocol):
    """Square images of one size, read in any order and from several threads at once."""

    @property
    def size(self) -> int:
        """Side in pixels."""

    def __len__(self) -> int: ...

    def read(self, start: int, stop: int) -> NDArray[np.uint8]:
        """Return images start to stop (exclusive), uint8 [stop - start, size, size, 3], RGB."""


class PixelImages:
    """Images already decoded.

    Args:
        pixels: uint8 [M, size, size, 3], RGB, M >= 1. ValueError for another shape or dtype.
    """

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        square = (
            pixels.ndim == 4 and pixels.shape[0] > 0 and pixels.shape[1] == pixels.shape[2] and pixels.shape[3] == 3
        )
        if not square or pixels.dtype != np.uint8:
            raise ValueError(f"expected square images uint8 [M, S, S, 3], got {pixels.dtype} {list(pixels.shape)}")
        self._pixels = pixels

    @property
    def size(self) -> int:
        """Side in pixels."""
        return int(self._pixels.shape[1])

    def __len__(self) -> int:
        return len(self._pixels)

    def read(self, start: int, stop: int) -> NDArray[np.uint8]:
        """Return images start to stop (exclusive), uint8 [stop - start, size, size, 3]."""
        return self._pixels[start:stop]


class EncodedImages:
    """JPEG or PNG files in memory, decoded when read.

    Args:
        source: what error messages call the set.
        data: uint8 [bytes], the files one after another.
        offsets: int64 [N + 1], where each begins and the last ends.
        item: int64 [M], M >= 1, which of the N files are this set's images, in its order.

    The first image's size is the set's. Raises DataError, naming the item, where an image is none, is not square, is
    larger than `MAX_SIDE`, or differs from the first in size: the first at once, the others when they are read.
    """

    def __init__(
        self, source: str, data: NDArray[np.uint8], offsets: NDArray[np.int64], item: NDArray[np.int64]
    ) -> None:
        self._source, self._data, self._offsets, self._item = source, data, offsets, item
        self._size: int | None = None
        self._size = self._decode(0).shape[0]

    @property
    def size(self) -> int:
        """Side in pixels."""
        assert self._size is not None
        return self._size

    def __len__(self) -> int:
        return len(self._item)

    def read(self, start: int, stop: int) -> NDArray[np.uint8]:
        """Return images start to stop (exclusive), uint8 [stop - start, size, size, 3], RGB."""
        return np.stack([self._decode(position) for position in range(start, min(stop, len(self)))])

    def _decode(self, position: int) -> NDArray[np.uint8]:
        item = int(self._item[position])
        where = f"{self._source}: item {item}"
        encoded = self._data[self._offsets[item] : self._offsets[item + 1]]
        try:
            return np.array(pictures.decode(encoded.tobytes(), self._check))
        except DataError as error:
            raise DataError(f"{where}: {error}") from error

    def _check(self, width: int, height: int) -> None:
        side = self._size or width
        if width != side or height != side or side > MAX_SIDE:
            expected = f"{side} x {side}, as the first" if self._size else f"a square of at most {MAX_SIDE} pixels"
            raise DataError(f"expected {expected}, got an image of {width} x {height}: align and resize it")
