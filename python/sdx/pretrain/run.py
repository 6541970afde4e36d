"""From configuration to a generator file: build, resume, train, keep, measure."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sdx import sources
from sdx.errors import ConfigError
from sdx.files import write_atomically
from sdx.networks.stylegan2 import Generator, GeneratorConfig
from sdx.pretrain.adversarial import Adversary
from sdx.pretrain.config import PretrainConfig
from sdx.pretrain.eye import Eye
from sdx.pretrain.generator import Objectives, Pretrainer
from sdx.pretrain.regression import Regression
from sdx.pretrain.workers import Workers
from sdx.random import Philox
from sdx.report import grid
from sdx.simface.parameters import DIMENSION
from sdx.sources import IndexSource, LatentSource, stylegan2
from sdx.training import checkpoint
from sdx.training.tracking import Metrics
from sdx.weights import generator as artefacts
from sdx.weights import registry
from sdx.weights.generator import GeneratorArtefact, GeneratorMeta
from sdx.weights.metadata import Origin

SAMPLES = 16
"""Faces in the grid: rendered ones above the drawn ones of the same z."""


@dataclass(frozen=True)
class Summary:
    """What a finished run has to say."""

    path: Path
    images_seen: int
    scores: dict[str, float]


def build(config: PretrainConfig) -> Generator:
    """Return the generator to train; raises ConfigError or ArtefactError where it cannot be."""
    network = GeneratorConfig(**config.network.model_dump())
    if config.regression is not None and network.z_dim != DIMENSION:
        raise ConfigError(
            f"network.z_dim: expected {DIMENSION}, the coordinates of SimFace, for a regression, got {network.z_dim}"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        generator = Generator(network)
    if config.start is not None:
        start = stylegan2.load(config.start)
        if start.network.config != network:
            raise ConfigError(f"start: expected a generator of {network}, got one of {start.network.config}")
        generator.load_state_dict(start.network.state_dict())
    return generator


def objectives(config: PretrainConfig, random: Philox, workers: Workers) -> Objectives:
    """Return the losses of a run; raises ConfigError, ArtefactError or DataError where one cannot be."""
    eye = None if config.teacher is None else Eye(config.teacher)
    regression = None if config.regression is None else Regression(config.regression, eye)
    if config.adversarial is None:
        return Objectives(regression, None, None, eye)
    real = sources.build(config.adversarial.source, random)
    side = config.network.resolution
    if real.size != side:
        raise ConfigError(
            f"adversarial.source.size: expected {side}, what the generator draws, got {real.size}; "
            f"give adversarial.source.size={side}"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed + 1)
        adversary = Adversary(config.adversarial, GeneratorConfig(**config.network.model_dump()), random, workers)
    return Objectives(regression, adversary, real, eye)


def pretrain(config: PretrainConfig, folder: Path, workers: Workers) -> Summary:
    """Make a generator, resuming from ``folder`` if it holds a checkpoint, and write ``generator.safetensors`` there.

    Raises `sdx.training.interruption.Interrupted` after saving if asked to stop, and an SdxError for everything a user
    can mend.
    """
    random = Philox(config.seed)
    generator, measured = build(config), objectives(config, random, workers)
    if config.batch % workers.count:
        raise ConfigError(f"batch: expected a multiple of the {workers.count} processes, got {config.batch}")
    with checkpoint.claim(config, folder) if workers.rank == 0 else contextlib.nullcontext():
        return _pretrain(config, folder, workers, generator, measured, random)


def _pretrain(
    config: PretrainConfig, folder: Path, workers: Workers, generator: Generator, measured: Objectives, random: Philox
) -> Summary:
    """Train from what ``folder`` holds to the end; the first process writes."""
    leads = workers.rank == 0
    checkpoints = folder / "checkpoints"
    workers.wait()
    objects: dict[str, checkpoint.Stateful] = {}
    trainer = Pretrainer(
        config,
        generator,
        measured,
        random,
        workers,
        checkpoint=lambda seen: _keep(folder, trainer, objects, seen) if leads else None,
    )
    objects |= {"generator": generator, "averaged": trainer.averaged, "optimizer": trainer.optimizer}
    if measured.adversary is not None:
        objects["adversary"] = measured.adversary
    start = checkpoint.load(checkpoints, objects)
    workers.wait()  # nobody reads a checkpoint that is being replaced
    metrics = Metrics(folder / "metrics.jsonl", start) if leads else None
    trainer.metrics = metrics
    try:
        if metrics is not None:
            metrics.write(
                "start", start, torch=torch.__version__, threads=torch.get_num_threads(), workers=workers.count
            )
        seen = trainer.run(start)
        if not leads:
            return Summary(folder, seen, {})
        if seen > start:
            _keep(folder, trainer, objects, seen)
        scores = trainer.validate()
        path = folder / "generator.safetensors"
        artefacts.save(path, to_artefact(config, trainer.averaged, measured.real, seen, scores))
        with checkpoint.writing(about := folder / "summary.json"):
            write_atomically(about, json.dumps({"images_seen": seen, **scores}, indent=2).encode())
        return Summary(path, seen, scores)
    finally:
        if metrics is not None:
            metrics.close()


def to_artefact(
    config: PretrainConfig,
    generator: Generator,
    real: LatentSource | IndexSource | None,
    seen: int,
    scores: dict[str, Any],
) -> GeneratorArtefact:
    """Return the generator with all that is known of where it comes from; its mean w is set."""
    chain: list[Origin] = []
    nuisance = None
    if config.regression is not None:
        nuisance = config.regression.nuisance
        data = "faces rendered by SimFace, split G; no real person"
        chain.append(Origin(role="data", name=f"simface-G-{nuisance}", licence="Apache-2.0", data=data))
    if real is not None:
        chain.append(Origin(role="data", name=real.name, licence=real.licence, data=real.statement))
    if config.teacher is not None and config.regression is not None:
        licence = registry.resolve(config.teacher)[0].licence
        chain.append(Origin(role="teacher", name=config.teacher, licence=licence, data="its features in the loss"))
    artefacts.set_mean_w(generator)
    meta = GeneratorMeta(
        name=f"stylegan2-{config.recipe}-{config.network.resolution}",
        frame="aligned" if real is None else real.frame,
        latent="none" if config.regression is None else "simface",
        nuisance=nuisance,
        licence="Apache-2.0",
        provenance=tuple(chain),
        scores=scores,
        training=f"sdx pretrain generator {config.recipe}: {seen} images, seed {config.seed}, "
        f"batch {config.batch}, {config.optimizer.kind} {config.optimizer.lr:g}",
    )
    return GeneratorArtefact(generator, meta)


def _keep(folder: Path, trainer: Pretrainer, objects: dict[str, checkpoint.Stateful], seen: int) -> None:
    """Write the checkpoint, and a grid of rendered and drawn faces of held-out z."""
    checkpoint.save(folder / "checkpoints", seen, objects)
    with checkpoint.writing(path := folder / "samples.png"):
        grid.write(trainer.samples(SAMPLES), path, columns=8, scale=2)
