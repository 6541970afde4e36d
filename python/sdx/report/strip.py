"""Faces in rows, each with words below it."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

_WIDTH = 128
"""Least width of a face in pixels, so that its words fit."""
_LINE = 14
"""Height of a line of words in pixels."""

Captioned = tuple[Tensor, Sequence[str]]
"""A face, float32 [3, S, S], RGB in [-1, 1], and the lines below it."""


def png(rows: Sequence[Sequence[Captioned]]) -> bytes:
    """Return rows of faces of one size as a PNG; a small face's pixels become squares."""
    size = rows[0][0][0].shape[-1]
    scale = -(-_WIDTH // size)
    side = size * scale
    height = side + _LINE * max(len(lines) for row in rows for _, lines in row) + 4
    sheet = Image.new("RGB", (side * max(map(len, rows)), height * len(rows)), "white")
    write = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(11)
    for y, row in enumerate(rows):
        for x, (face, lines) in enumerate(row):
            pixels = face.mul(127.5).add(127.5).round().clamp(0, 255).byte().permute(1, 2, 0).numpy()
            enlarged = np.repeat(np.repeat(pixels, scale, 0), scale, 1)
            sheet.paste(Image.fromarray(enlarged), (x * side, y * height))
            for number, line in enumerate(lines):
                write.text((x * side + 3, y * height + side + 1 + _LINE * number), line, "black", font)
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
