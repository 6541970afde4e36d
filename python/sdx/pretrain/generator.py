"""The loop that makes a generator; everything periodic is counted in images, so a resumed run is the same run."""

from __future__ import annotations

import contextlib
import copy
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, l1_loss

from sdx.evaluation import frechet
from sdx.networks.stylegan2 import Generator
from sdx.pretrain.config import PretrainConfig
from sdx.pretrain.regression import Regression
from sdx.pretrain.workers import Workers
from sdx.training import optimizer, schedule
from sdx.training.interruption import Interrupted, Interruption
from sdx.training.learner import TrainingError
from sdx.training.tracking import Display, Metrics
from sdx.types import HELD_OUT, Random, Stream

_EMA_RAMP = 0.05
_SLICE = 32  # images a pass in validation


class Pretrainer:
    """Trains a generator against the renderer.

    Args:
        config: the run.
        generator: the network that learns; changed in place.
        regression: its loss.
        random: random numbers of the run's seed.
        workers: the processes that share the work.
        metrics: the run's log.
        checkpoint: called at every ``checkpoint_every``, at the end, and before an interruption, with images seen.
    """

    def __init__(
        self,
        config: PretrainConfig,
        generator: Generator,
        regression: Regression,
        random: Random,
        workers: Workers,
        metrics: Metrics | None,
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
        self._regression = regression
        self._random = random
        self._workers = workers
        self.metrics = metrics
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
        """Return rows of eight held-out faces, rendered, then drawn by the averaged generator for the same z."""
        z = self.z(torch.arange(HELD_OUT, HELD_OUT + count))
        rendered = self._regression.target(z, self.config.network.resolution)
        with torch.inference_mode():
            drawn = self.averaged(z).clamp(-1, 1)
        rows = [part for pair in zip(torch.split(rendered, 8), torch.split(drawn, 8), strict=True) for part in pair]
        return torch.cat(rows)

    def validate(self) -> dict[str, float]:
        """Return what the averaged generator is worth on held-out z.

        ``l1`` of pixels; and in the teacher's space the mean cosine between a drawn face and the rendered one, and the
        Frechet distance between all of either.
        """
        z = self.z(torch.arange(HELD_OUT, HELD_OUT + self.config.held_out))
        if self._held_out is None:
            self._held_out = self._regression.target(z, self.config.network.resolution)
        with torch.inference_mode():
            drawn = torch.cat([self.averaged(part) for part in torch.split(z, _SLICE)])
            found = {"l1": float(l1_loss(drawn, self._held_out))}
            if (eye := self._regression.eye) is not None:
                got = torch.cat([eye(part)[1] for part in torch.split(drawn, _SLICE)])
                wanted = torch.cat([eye(part)[1] for part in torch.split(self._held_out, _SLICE)])
                found["cosine"] = float(cosine_similarity(got, wanted).mean())
                found["frechet"] = frechet.distance(got, wanted)
        return found

    def _step(self, images_seen: int, stop: bool) -> tuple[dict[str, Any], bool]:
        """Take one step and return what there is to log, and whether any process was asked to stop."""
        config = self.config
        rate = schedule.learning_rate(config.optimizer, images_seen, config.images)
        optimizer.set_rate(self.optimizer, rate)
        index = self._workers.share(torch.arange(images_seen, images_seen + config.batch))
        z = self.z(index)
        target = self._regression.target(z, config.network.resolution)
        loss, parts = self._regression.loss(self.generator(z), target, images_seen / config.images)
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

    def _log(self, event: str, images_seen: int, **values: Any) -> None:
        if self.metrics is not None:
            self.metrics.write(event, images_seen, **values)
