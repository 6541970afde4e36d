"""Encoded images of unknown origin, decoded or refused."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

from PIL import Image

from sdx.errors import DataError

_BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)
"""All that Pillow raises for bytes that are no image (its warning, where warnings are errors)."""


def decode(data: bytes, accept: Callable[[int, int], None]) -> Image.Image:
    """Return a JPEG or PNG as an RGB picture.

    Args:
        data: the file.
        accept: called with width and height in pixels before anything is decoded; raises to refuse them.

    Raises DataError for bytes that are no such image, and whatever ``accept`` raises.
    """
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as image:
            accept(*image.size)
            return image.convert("RGB")
    except _BROKEN as error:
        raise DataError(f"expected a JPEG or PNG image, got {len(data)} bytes that do not decode") from error
