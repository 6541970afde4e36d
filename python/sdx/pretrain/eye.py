"""A frozen teacher that looks at drawn faces, to compare them as a recogniser does."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from sdx.align import view
from sdx.errors import ConfigError
from sdx.networks.folding import fold_batchnorm
from sdx.networks.iresnet import IResNet
from sdx.weights import registry


class Eye:
    """A frozen teacher through which gradients flow back to the picture.

    Args:
        reference: a model of `sdx.weights.registry` whose network is an IResNet.
    """

    def __init__(self, reference: str) -> None:
        models = registry.resolve(reference)
        if len(models) != 1 or not isinstance(models[0].network, IResNet):
            raise ConfigError(f"teacher: expected one IResNet, got {reference}; use simface-teacher or none")
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
