"""Augmentation, a pure function of the image number."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from sdx.config import AugmentConfig
from sdx.types import Batch, Random, Stream

LEVELS = (0.25, 0.35, 0.5, 0.7)
"""Resolutions of a degraded view, as shares of the face's own."""


def shared(config: AugmentConfig, face: Tensor, batch: Batch, random: Random) -> Tensor:
    """Return faces [B, 3, S, S] as teacher and student alike see them: mirrored for every second number, if asked."""
    if not config.flip:
        return face
    flip = _uniforms(batch, random)[:, 0] < 0.5
    return torch.where(flip[:, None, None, None], face.flip(3), face)


def student_view(config: AugmentConfig, face: Tensor, batch: Batch, random: Random) -> Tensor:
    """Return faces [B, 3, S, S] as the student alone sees them: some at lower resolution, if asked."""
    if config.degrade == 0:
        return face
    draw = _uniforms(batch, random)
    level = torch.where(draw[:, 1] < config.degrade, (draw[:, 2] * len(LEVELS)).long(), len(LEVELS))
    view = face.clone()
    for number, share in enumerate(LEVELS):
        chosen = level == number
        if bool(chosen.any()):
            small = interpolate(face[chosen], scale_factor=share, mode="bilinear", antialias=True)
            view[chosen] = interpolate(small, size=face.shape[-2:], mode="bilinear")
    return view


def _uniforms(batch: Batch, random: Random) -> Tensor:
    """Return [B, 3]: flip, whether to degrade, how far."""
    return torch.from_numpy(random.uniforms(Stream.AUGMENTATION, batch.index.numpy(), 3))
