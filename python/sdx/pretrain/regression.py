"""Regression onto the renderer: the generator learns to draw what SimFace draws for the same latent."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, cosine_similarity, l1_loss

from sdx.align import view
from sdx.errors import ConfigError
from sdx.networks.folding import fold_batchnorm
from sdx.networks.iresnet import IResNet
from sdx.networks.stylegan2 import normalise_z
from sdx.pretrain.config import RegressionConfig
from sdx.simface.render import render
from sdx.weights import registry

SCALES = 4
"""Scales of the pixel loss, each half the one before."""


class Eye:
    """A frozen teacher through which gradients flow back to the picture.

    Args:
        reference: a model of `sdx.weights.registry` whose network is an IResNet.
    """

    def __init__(self, reference: str) -> None:
        models = registry.resolve(reference)
        if len(models) != 1 or not isinstance(models[0].network, IResNet):
            raise ConfigError(f"regression.teacher: expected one IResNet, got {reference}; use simface-teacher or none")
        self._spec = models[0].spec
        self._network = fold_batchnorm(models[0].network).requires_grad_(False).to(memory_format=torch.channels_last)
        self._features: list[Tensor] = []
        for stage in models[0].network.stages:
            self._network.get_submodule(stage).register_forward_hook(self._keep)

    def __call__(self, face: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return the features of every stage and the embedding, [B, D], of aligned faces [B, 3, S, S]."""
        self._features = []
        embedding: Tensor = self._network(
            view(face, "aligned", self._spec).contiguous(memory_format=torch.channels_last)
        )
        return self._features, embedding

    def _keep(self, module: nn.Module, inputs: Any, output: Tensor) -> None:
        self._features.append(output)


class Regression:
    """The loss of a generator against the renderer."""

    def __init__(self, config: RegressionConfig) -> None:
        self._config = config
        self.eye = None if config.teacher is None else Eye(config.teacher)

    def target(self, z: Tensor, size: int) -> Tensor:
        """Return the rendered faces [B, 3, size, size] of z [B, Z], without the sensor's noise."""
        return render(normalise_z(z), size=size, nuisance=self._config.nuisance)

    def loss(self, image: Tensor, target: Tensor, progress: float) -> tuple[Tensor, dict[str, float]]:
        """Return the loss of images [B, 3, S, S] against ``target`` and its parts; ``progress`` is in [0, 1]."""
        config = self._config
        pixel = pixel_loss(image, target)
        parts = {"l1": float(l1_loss(image.detach(), target))}
        loss = config.pixel * pixel
        if self.eye is not None and progress >= config.teacher_from:
            with torch.no_grad():
                wanted, embedding = self.eye(target)
            features, got = self.eye(image)
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
