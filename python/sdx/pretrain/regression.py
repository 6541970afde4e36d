"""Regression onto the renderer: the generator learns to draw what SimFace draws for the same latent."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, cosine_similarity, l1_loss

from sdx.networks.stylegan2 import normalise_z
from sdx.pretrain.config import RegressionConfig
from sdx.pretrain.eye import Eye
from sdx.simface.render import render

SCALES = 4
"""Scales of the pixel loss, each half the one before."""


class Regression:
    """The loss of a generator against the renderer.

    Args:
        config: weights of the loss.
        eye: the teacher's view, None to compare pixels alone.
    """

    def __init__(self, config: RegressionConfig, eye: Eye | None) -> None:
        self._config = config
        self._eye = eye

    def target(self, z: Tensor, size: int) -> Tensor:
        """Return the rendered faces [B, 3, size, size] of z [B, Z], without the sensor's noise."""
        return render(normalise_z(z), size=size, nuisance=self._config.nuisance)

    def loss(self, image: Tensor, target: Tensor, progress: float) -> tuple[Tensor, dict[str, float]]:
        """Return the loss of images [B, 3, S, S] against ``target`` and its parts; ``progress`` is in [0, 1]."""
        config = self._config
        pixel = pixel_loss(image, target)
        parts = {"l1": float(l1_loss(image.detach(), target))}
        loss = config.pixel * pixel
        if self._eye is not None and progress >= config.teacher_from:
            with torch.no_grad():
                wanted, embedding = self._eye(target)
            features, got = self._eye(image)
            cosine = cosine_similarity(got, embedding).mean()
            # In units of each stage's own size, so that no stage outweighs another.
            ratios = [l1_loss(f, w) / w.abs().mean() for f, w in zip(features, wanted, strict=True)]
            feature = torch.stack(ratios).mean()
            loss = loss + config.feature * feature + config.cosine * (1 - cosine)
            parts |= {"feature": float(feature.detach()), "cosine": float(cosine.detach())}
        return loss, parts


def pixel_loss(image: Tensor, target: Tensor) -> Tensor:
    """Return the sum of L1 at `SCALES` scales and L1 between the gradients along rows and columns."""
    difference = image - target
    loss = (difference[..., 1:] - difference[..., :-1]).abs().mean()
    loss = loss + (difference[..., 1:, :] - difference[..., :-1, :]).abs().mean()
    for scale in range(SCALES):
        if scale:
            difference = avg_pool2d(difference, 2)
        loss = loss + difference.abs().mean()
    return loss
