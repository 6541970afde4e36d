"""Adversarial training: non-saturating loss, lazy R1, adaptive augmentation (Karras et al. 2020, 2020b)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softplus

from sdx.networks.discriminator import Discriminator
from sdx.networks.stylegan2 import GeneratorConfig
from sdx.pretrain import adaptive
from sdx.pretrain.config import AdversarialConfig
from sdx.pretrain.workers import Workers
from sdx.training import optimizer
from sdx.types import Random


class Adversary:
    """The discriminator with its optimiser and the strength of its augmentation.

    Args:
        config: weights of the losses.
        network: of the generator, for the discriminator's size.
        random: random numbers of the run's seed.
        workers: the processes that share the work.
    """

    def __init__(self, config: AdversarialConfig, network: GeneratorConfig, random: Random, workers: Workers) -> None:
        self._config = config
        self._random = random
        self._workers = workers
        self.discriminator = Discriminator(network)
        self.optimizer = optimizer.build(
            config.optimizer, [{"params": list(self.discriminator.parameters()), "multiplier": 1.0}]
        )
        self.strength = 0.0
        """Probability of each augmentation, moved so that reals stay recognised to the configured degree."""

    def learn(
        self, fake: Tensor, real: Tensor, index: Tensor, *, rate: float, is_regularised: bool
    ) -> dict[str, float]:
        """Take one step of the discriminator.

        Args:
            fake: images [B, 3, R, R] without a graph.
            real: images [B, 3, R, R] in [-1, 1].
            index: int64 [B], the images' numbers.
            rate: learning rate.
            is_regularised: whether R1 is due.

        Returns the parts of the loss, and ``real_sign``, the mean sign of the reals' logits.
        """
        self.discriminator.requires_grad_(True)
        real = self._augment(real, index).detach().requires_grad_(is_regularised)
        fake_logit = self.discriminator(self._augment(fake, index))
        real_logit = self.discriminator(real)
        loss = softplus(fake_logit).mean() + softplus(-real_logit).mean()
        parts = {"discriminator": float(loss.detach())}
        if is_regularised:
            # With respect to the augmented image: the penalty is on what the discriminator sees.
            (gradient,) = torch.autograd.grad(real_logit.sum(), real, create_graph=True)
            penalty = gradient.square().sum([1, 2, 3]).mean()
            loss = loss + 0.5 * self._config.r1 * self._config.r1_every * penalty
            parts["r1"] = float(penalty.detach())
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        sign = float(real_logit.detach().sign().mean())
        (sign,) = self._workers.average_gradients(self.discriminator.parameters(), sign)
        optimizer.set_rate(self.optimizer, rate)
        self.optimizer.step()
        batch = len(index) * self._workers.count
        change = batch / self._config.augment_over * (1 if sign > self._config.augment_target else -1)
        self.strength = min(max(self.strength + change, 0.0), 1.0) if self._config.augment_target < 1 else 0.0
        return parts | {"real_sign": sign, "augment": self.strength}

    def loss(self, image: Tensor, index: Tensor) -> Tensor:
        """Return the generator's loss of images [B, 3, R, R]; the discriminator keeps no gradient of it."""
        self.discriminator.requires_grad_(False)
        logit: Tensor = self.discriminator(self._augment(image, index))
        return softplus(-logit).mean()

    def state_dict(self) -> dict[str, Any]:
        """Return weights, optimiser moments and the strength of the augmentation."""
        return {
            "discriminator": self.discriminator.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "strength": self.strength,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over `state_dict`'s value."""
        self.discriminator.load_state_dict(state["discriminator"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.strength = state["strength"]

    def _augment(self, image: Tensor, index: Tensor) -> Tensor:
        return adaptive.augment(image, index, self.strength, self._random)
