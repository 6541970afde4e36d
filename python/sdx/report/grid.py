"""Faces side by side."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from sdx.files import write_atomically


def write(face: Tensor, path: Path, *, columns: int = 8, scale: int = 1) -> None:
    """Write `png` of faces to ``path``, all of it or nothing; OSError where it cannot be written."""
    write_atomically(path, png(face, columns=columns, scale=scale))


def png(face: Tensor, *, columns: int = 8, scale: int = 1) -> bytes:
    """Return faces as one PNG, row by row.

    Args:
        face: float32 [B, 3, S, S], RGB in [-1, 1].
        columns: faces in a row.
        scale: every pixel becomes a square of this side.
    """
    pixels = face.mul(127.5).add(127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()  # [B, S, S, 3]
    count, size = pixels.shape[:2]
    rows = -(-count // columns)
    sheet = np.zeros((rows * columns, size, size, 3), np.uint8)
    sheet[:count] = pixels
    picture = sheet.reshape(rows, columns, size, size, 3).swapaxes(1, 2).reshape(rows * size, columns * size, 3)
    buffer = io.BytesIO()
    Image.fromarray(picture.repeat(scale, 0).repeat(scale, 1)).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
