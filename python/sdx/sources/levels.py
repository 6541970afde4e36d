"""Faces as bytes, one for each of 256 levels, and back."""

from __future__ import annotations

import torch
from torch import Tensor


def to_bytes(face: Tensor) -> Tensor:
    """Return faces [B, 3, S, S] in [-1, 1] as uint8, each value at the nearest level."""
    return face.mul(127.5).add_(127.5).round_().clamp_(0, 255).to(torch.uint8)


def to_faces(pixels: Tensor) -> Tensor:
    """Return uint8 [B, 3, S, S] as float32 in [-1, 1]; `to_bytes` gives the same bytes again."""
    return pixels.float().div_(127.5).sub_(1.0)
