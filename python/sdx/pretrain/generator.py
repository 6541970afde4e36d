"""The loop that makes a generator; everything periodic is counted in images, so a resumed run is the same run."""

from __future__ import annotations

import contextlib
import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, l1_loss

from sdx import sources
from sdx.evaluation import frechet
from sdx.networks.stylegan2 import Generator
from sdx.pretrain.adversarial import Adversary
from sdx.pretrain.config import PretrainConfig
from sdx.pretrain.eye import Eye
from sdx.pretrain.regression import Regression
from sdx.pretrain.workers import Workers
from sdx.sources import IndexSource, LatentSource
from sdx.sources.stylegan2 import layer_noise
from sdx.training import optimizer, schedule
from sdx.training.interruption import Interrupted, Interruption
from sdx.training.learner import TrainingError
from sdx.training.tracking import Display, Metrics
from sdx.types import HELD_OUT, Random, Stream

_EMA_RAMP = 0.05
_SLICE = 32  # images a pass in validation
_OF_DISCRIMINATOR = 1 << 44  # added to an image's number where the discriminator's step draws


@dataclass(frozen=True)
class Objectives:
    """What the generator is measured by: at least one of the losses; ``eye`` measures every validation."""

    regression: Regression | None
    adversary: Adversary | None
    real: LatentSource | IndexSource | None
    eye: Eye | None


class Pretrainer:
    """Trains a generator against the renderer, a discriminator, or both.

    Args:
        config: the run.
        generator: the network that learns; changed in place.
        objectives: what it is measured by.
        random: random numbers of the run's seed.
        workers: the processes that share the work.
        checkpoint: called at every ``checkpoint_every``, at the end, and before an interruption, with images seen.
    """

    metrics: Metrics | None = None
    """The run's log; None in all processes but the first."""

    def __init__(
        self,
        config: PretrainConfig,
        generator: Generator,
        objectives: Objectives,
        random: Random,
        workers: Workers,
        checkpoint: Callable[[int], None],
    ) -> None:
        self.config = config
        self.generator = generator.train()
        self.averaged = copy.deepcopy(generator).eval().requires_grad_(False)
        groups = [
            {"params": list(generator.synthesis.parameters()), "multiplier": 1.0},
            {"params": list(generator.mapping.parameters()), "multiplier": config.mapping_lr},
        ]
        self.optimizer = optimizer.build(config.optimizer, groups)
        self._objectives = objectives
        self._random = random
        self._workers = workers
        self._checkpoint = checkpoint
        self._held_out: Tensor | None = None

    def run(self, images_seen: int = 0) -> int:
        """Train until ``config.images`` are seen and return their number; raises Interrupted if asked to stop."""
        config = self.config
        display = Display(config.images, images_seen)
        clock = (time.perf_counter(), images_seen)
        with Interruption() as interruption, contextlib.closing(display):
            while images_seen < config.images:
                before = images_seen
                row, stop = self._step(before, interruption.asked)
                images_seen += config.batch
                display.update(images_seen, row["loss"], row.get("cosine", 0.0))
                if schedule.due(config.log_every, before, images_seen):
                    rate = (images_seen - clock[1]) / (time.perf_counter() - clock[0])
                    self._log("train", images_seen, images_per_second=round(rate, 1), **row)
                    clock = (time.perf_counter(), images_seen)
                if schedule.due(config.validate_every, before, images_seen):
                    self._log("validate", images_seen, **self.validate())
                if stop or schedule.due(config.checkpoint_every, before, images_seen):
                    self._checkpoint(images_seen)
                if stop:
                    raise Interrupted
        return images_seen

    def z(self, index: Tensor) -> Tensor:
        """Return z, float32 [B, Z], of image numbers int64 [B]."""
        return torch.from_numpy(self._random.normals(Stream.LATENT, index.numpy(), self.config.network.z_dim))

    def samples(self, count: int) -> Tensor:
        """Return held-out faces, [*, 3, R, R]; in a regression each eight drawn ones follow the rendered ones."""
        z = self.z(torch.arange(HELD_OUT, HELD_OUT + count))
        with torch.inference_mode():
            drawn: Tensor = self.averaged(z).clamp(-1, 1)
        if self._objectives.regression is None:
            return drawn
        rendered = self._objectives.regression.target(z, self.config.network.resolution)
        rows = [part for pair in zip(torch.split(rendered, 8), torch.split(drawn, 8), strict=True) for part in pair]
        return torch.cat(rows)

    def validate(self) -> dict[str, float]:
        """Return what the averaged generator is worth on held-out z.

        ``l1`` of pixels and, in the teacher's space, the mean ``cosine`` between a drawn face and the rendered one
        (regression alone), and the ``frechet`` distance between all drawn and all real faces.
        """
        count, eye = self.config.held_out, self._objectives.eye
        z = self.z(torch.arange(HELD_OUT, HELD_OUT + count))
        regression, real = self._objectives.regression, self._objectives.real
        if self._held_out is None:
            if regression is not None:
                self._held_out = regression.target(z, self.config.network.resolution)
            elif real is not None:
                self._held_out = sources.held_out(real, count).face
        found: dict[str, float] = {}
        if self._held_out is None:
            return found
        with torch.inference_mode():
            drawn = torch.cat([self.averaged(part) for part in torch.split(z, _SLICE)])
            if regression is not None:
                found["l1"] = float(l1_loss(drawn, self._held_out))
            if eye is not None:
                got = torch.cat([eye(part)[1] for part in torch.split(drawn, _SLICE)])
                wanted = torch.cat([eye(part)[1] for part in torch.split(self._held_out, _SLICE)])
                if regression is not None:
                    found["cosine"] = float(cosine_similarity(got, wanted).mean())
                found["frechet"] = frechet.distance(got, wanted)
        return found

    def _step(self, images_seen: int, stop: bool) -> tuple[dict[str, Any], bool]:
        """Take one step and return what there is to log, and whether any process was asked to stop."""
        config, regression, adversary = self.config, self._objectives.regression, self._objectives.adversary
        rate = schedule.learning_rate(config.optimizer, images_seen, config.images)
        index = self._workers.share(torch.arange(images_seen, images_seen + config.batch))
        parts = self._discriminate(index, images_seen)
        optimizer.set_rate(self.optimizer, rate)
        z = self.z(index)
        image = self.generator(z, noise=self._noise(index))
        loss = image.new_zeros(())
        if regression is not None:
            progress = images_seen / config.images
            target = regression.target(z, config.network.resolution)
            against, found = regression.loss(image, target, progress)
            loss, parts = loss + against, parts | found
        if adversary is not None and config.adversarial is not None:
            against = adversary.loss(image, index)
            loss, parts = loss + config.adversarial.weight * against, parts | {"adversarial": float(against.detach())}
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        value, asked = self._workers.average_gradients(self.generator.parameters(), float(loss.detach()), float(stop))
        if value != value or value in (float("inf"), float("-inf")):
            raise TrainingError(
                f"generator: expected a finite loss, got {value} at images {images_seen} to "
                f"{images_seen + config.batch - 1}; lower optimizer.lr, then resume from the last checkpoint"
            )
        self.optimizer.step()
        # Early on the average would be one of initial weights: its half-life grows with the run.
        half_life = max(min(config.ema, _EMA_RAMP * images_seen), 1.0)
        optimizer.average(self.averaged, self.generator, 0.5 ** (config.batch / half_life))
        return {"loss": value, "lr": rate, **parts}, asked > 0

    def _discriminate(self, index: Tensor, images_seen: int) -> dict[str, Any]:
        """Take the discriminator's step, if there is one, on fakes of its own and as many reals."""
        adversary, real, settings = self._objectives.adversary, self._objectives.real, self.config.adversarial
        if adversary is None or real is None or settings is None:
            return {}
        own = index + _OF_DISCRIMINATOR
        with torch.no_grad():
            fake = self.generator(self.z(own), noise=self._noise(own))
        step = images_seen // self.config.batch
        rate = schedule.learning_rate(settings.optimizer, images_seen, self.config.images)
        face = sources.by_number(real, index).face
        return adversary.learn(fake, face, index, rate=rate, is_regularised=step % settings.r1_every == 0)

    def _noise(self, index: Tensor) -> list[Tensor] | None:
        """Return the layers' noise of images int64 [B]; none in a mere regression, whose target has none."""
        if self._objectives.adversary is None:
            return None
        return layer_noise(self.generator.synthesis, index, self._random)

    def _log(self, event: str, images_seen: int, **values: Any) -> None:
        if self.metrics is not None:
            self.metrics.write(event, images_seen, **values)
