"""Augmentation, a pure function of the image number."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from sdx.config import AugmentConfig
from sdx.types import Batch, Random, Stream

LEVELS = (0.25, 0.35, 0.5, 0.7)
"""Resolutions of a degraded view, as shares of the face's own."""


def mirrored(config: AugmentConfig, index: Tensor, random: Random) -> Tensor | None:
    """Return which of the images int64 [B] are mirrored, bool [B]: every second one if asked, None for none."""
    return _uniforms(index, random)[:, 0] < 0.5 if config.flip else None


def shared(face: Tensor, flip: Tensor | None) -> Tensor:
    """Return faces [B, 3, S, S] as teacher and student alike see them: mirrored where ``flip``, bool [B], says so."""
    return face if flip is None else torch.where(flip[:, None, None, None], face.flip(3), face)


def student_view(config: AugmentConfig, face: Tensor, batch: Batch, random: Random) -> Tensor:
    """Return faces [B, 3, S, S] as the student alone sees them: some at lower resolution, if asked."""
    if config.degrade == 0:
        return face
    draw = _uniforms(batch.index, random)
    level = torch.where(draw[:, 1] < config.degrade, (draw[:, 2] * len(LEVELS)).long(), len(LEVELS))
    view = face.clone()
    for number, share in enumerate(LEVELS):
        chosen = torch.nonzero(level == number)[:, 0].to(face.device)
        if len(chosen):
            small = interpolate(face[chosen], scale_factor=share, mode="bilinear", antialias=True)
            view[chosen] = interpolate(small, size=face.shape[-2:], mode="bilinear")
    return view


def _uniforms(index: Tensor, random: Random) -> Tensor:
    """Return [B, 3]: flip, whether to degrade, how far."""
    return torch.from_numpy(random.uniforms(Stream.AUGMENTATION, index.numpy(), 3))
