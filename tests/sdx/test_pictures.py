"""Bytes of unknown origin become a picture or one error, whatever is wrong with them."""

import io

import numpy as np
import pytest
from PIL import Image

from sdx import pictures
from sdx.errors import DataError


def _encoded(kind: str) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def _any(width: int, height: int) -> None:
    pass


def _small(width: int, height: int) -> None:
    if max(width, height) > 64:
        raise DataError("too large")


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_sound_images_decode_to_rgb(kind: str) -> None:
    picture = pictures.decode(_encoded(kind), _any)
    assert (picture.mode, picture.size) == ("RGB", (16, 16))


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_damaged_images_decode_or_are_refused(kind: str) -> None:
    sound, random = _encoded(kind), np.random.default_rng(1)
    refused = 0
    for _ in range(400):
        damaged = bytearray(sound)
        for place in random.integers(0, len(sound), random.integers(1, 6)):
            damaged[place] = random.integers(0, 256)
        try:
            pictures.decode(bytes(damaged[: random.integers(len(sound) // 2, len(sound) + 1)]), _small)
        except DataError:
            refused += 1
    assert refused > 40


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF"])
def test_other_formats_are_refused(kind: str) -> None:
    with pytest.raises(DataError, match="expected a JPEG or PNG"):
        pictures.decode(_encoded(kind), _any)


def test_size_is_looked_at_before_decoding() -> None:
    header = bytearray(_encoded("PNG")[:60])  # no pixel data at all

    def refuse(width: int, height: int) -> None:
        raise DataError(f"{width} x {height}")

    with pytest.raises(DataError, match="16 x 16"):
        pictures.decode(bytes(header), refuse)
