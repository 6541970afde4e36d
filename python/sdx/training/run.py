"""A run from configuration to finished student: build, resume, train, keep, verify."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sdx import config as configuration
from sdx import devices, precision, sources, students, teachers
from sdx.config import RunConfig
from sdx.errors import ArtefactError, CheckpointError, ConfigError
from sdx.evaluation import datasets, verification
from sdx.files import write_atomically
from sdx.precision import Policy
from sdx.random import Philox
from sdx.sources import CacheSource, IndexSource, LatentSource
from sdx.teachers import Embedder, Teacher
from sdx.training import checkpoint, graphs, losses, results, sampling
from sdx.training.graphs import Recorder
from sdx.training.learner import Learner
from sdx.training.ledger import Ledger
from sdx.training.results import Outcome
from sdx.training.sampling import Sampler
from sdx.training.steering import steer
from sdx.training.tracking import Metrics
from sdx.training.trainer import Trainer
from sdx.types import Proposal
from sdx.weights import artefact
from sdx.weights.model import LoadedModel

SAMPLES = 48
"""Faces shown of what a run trained on."""


@dataclass(frozen=True)
class Parts:
    """The built pieces of a run."""

    source: LatentSource | IndexSource
    teacher: Embedder | None
    learners: Sequence[Learner]
    sampler: Sampler
    random: Philox
    device: torch.device


@dataclass(frozen=True)
class Summary:
    """What a finished run has to say; ``samples`` are some of the faces it trained on, [B, 3, S, S] in [-1, 1]."""

    images_seen: int
    seconds: float
    skipped: Sequence[str]
    samples: Tensor
    outcome: Outcome


def build(config: RunConfig) -> Parts:
    """Return the pieces of a run; raises an SdxError for whatever does not exist or does not fit together."""
    random = Philox(config.seed)
    device = devices.resolve(config.device)
    policy = policy_of(config, device)
    source = sources.build(config.source, random, policy, device)
    teacher = None if config.teacher is None else teachers.build(config.teacher, device=device, policy=policy)
    taught = _embedding(config, source, teacher)
    recorder = graphs.recorder(config.graphs, device)
    own = precision.of_students(policy, device)
    learners = []
    for chosen in config.students:
        if config.overlap:
            # All students' forward passes come before the first backward pass: in one pool they would meet.
            recorder = graphs.recorder(config.graphs, device)
        learners.append(_learner(config, chosen, source.classes, taught, own, device, recorder))
    sampler = sampling.build(config.sampler, source, [learner.name for learner in learners], random)
    return Parts(source, teacher, learners, sampler, random, device)


def source_of(config: RunConfig) -> tuple[LatentSource | IndexSource, torch.device]:
    """Return the source of a run, as `build` makes it, and the run's device."""
    device = devices.resolve(config.device)
    return sources.build(config.source, Philox(config.seed), policy_of(config, device), device), device


def policy_of(config: RunConfig, device: torch.device) -> Policy:
    """Return the number formats of a run on a device."""
    return precision.of(device) if config.precision == "auto" else Policy(config.precision, "asked for")


def _embedding(config: RunConfig, source: LatentSource | IndexSource, teacher: Embedder | None) -> int | None:
    """Return the size of the targets, None without; raises ConfigError for a teacher that is not the cache's."""
    if not isinstance(source, CacheSource):
        return teacher.embedding if teacher else None
    about = source.description
    if teacher is None:
        return about.embedding
    stored, now = (one.sha256 or one.name for one in (about.teacher, teacher))
    if stored != now or about.embedding != teacher.embedding:
        raise ConfigError(
            f"teacher: expected {about.teacher.name} ({stored[:12]}, {about.embedding} numbers), whose embeddings "
            f"{config.source.path} holds, got {teacher.name} ({now[:12]}, {teacher.embedding} numbers); give "
            "teacher=none"
        )
    return about.embedding


def _learner(
    config: RunConfig,
    chosen: configuration.StudentConfig,
    classes: int,
    taught: int | None,
    policy: Policy,
    device: torch.device,
    recorder: Recorder | None,
) -> Learner:
    embedding = chosen.embedding or taught
    if embedding is None:
        raise ConfigError(
            f"students.{chosen.name}.embedding: expected a size, for there is no teacher to take it from; "
            f"give students.{chosen.name}.embedding=256"
        )
    # The same initial weights whoever else learns beside this student.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        student = students.build(
            chosen.name,
            chosen.architecture,
            embedding,
            size=chosen.size,
            pretrained=chosen.starts_pretrained,
            policy=policy,
        )
        loss = losses.build(
            config.loss,
            embedding=embedding,
            teacher_embedding=taught,
            classes=classes,
            student=chosen.name,
        )
    return Learner(student.to(device), loss.to(device), config.optimizer, config.ema, recorder)


def check(config: RunConfig, folder: Path) -> None:
    """Raise an SdxError for what would stop the run only later; nothing is written.

    That is a run folder of another configuration (ConfigError with the differing keys) or with other files in it, and
    verification sets that cannot be read.
    """
    checkpoint.check(config, folder)
    for name in datasets.expand(config.eval):
        if name not in datasets.NAMES:
            datasets.load(name)


def with_precision(config: RunConfig, folder: Path) -> RunConfig:
    """Return the configuration with its number format fixed: that of the run in ``folder``, else this device's."""
    if config.precision != "auto":
        return config
    path = folder / "config.toml"
    chosen = configuration.load(path, RunConfig).precision if path.exists() else _precision(config)
    return config.model_copy(update={"precision": chosen})


def with_device(config: RunConfig, folder: Path) -> RunConfig:
    """Return the configuration with its device fixed: that of the run in ``folder``, else what is here.

    A run folder from before there were devices was made on a CPU. Raises ConfigError for a device that is not there.
    """
    chosen = config.device
    if chosen == "auto":
        path = folder / "config.toml"
        began = configuration.load(path, RunConfig).device if path.exists() else devices.resolve(chosen).type
        chosen = "cpu" if began == "auto" else began
    devices.resolve(chosen)
    return config.model_copy(update={"device": chosen})


def _precision(config: RunConfig) -> str:
    return precision.of(devices.resolve(config.device)).name


def train(config: RunConfig, folder: Path) -> Summary:
    """Train to the end, resuming from ``folder`` if it holds a checkpoint, and write students and summary.json.

    Raises `Interrupted` after saving if asked to stop, and an SdxError for everything a user can mend.
    """
    config = with_precision(with_device(config, folder), folder)
    check(config, folder)
    with devices.using(devices.resolve(config.device), exact=config.precision == "fp32"):
        return _train(config, folder)


def _train(config: RunConfig, folder: Path) -> Summary:
    """See `train`; nothing in ``config`` is left to choose."""
    parts = build(config)
    with checkpoint.claim(config, folder):
        return _learn(config, folder, parts)


def _learn(config: RunConfig, folder: Path, parts: Parts) -> Summary:
    """Train from what ``folder`` holds to the end, and finish."""
    objects = {f"student.{learner.name}": learner for learner in parts.learners} | {"sampler": parts.sampler}
    checkpoints = folder / "checkpoints"
    start = checkpoint.load(checkpoints, objects)
    metrics = Metrics(folder / "metrics.jsonl", start)
    ledger = Ledger(folder, start)
    notices = [learner.student.notice for learner in parts.learners if learner.student.notice]
    metrics.write(
        "start",
        start,
        torch=torch.__version__,
        threads=torch.get_num_threads(),
        device=_device_name(parts.device),
        notices=notices,
    )

    def save(seen: int) -> None:
        ledger.sync()
        checkpoint.save(checkpoints, seen, objects)

    trainer = Trainer(
        config,
        parts.source,
        parts.teacher,
        parts.learners,
        parts.sampler,
        parts.random,
        metrics,
        parts.device,
        record=lambda proposal, similarity: _record(config, parts, ledger, proposal, similarity),
        evaluate=lambda seen: _evaluate(config, parts, metrics, seen),
        checkpoint=save,
    )
    try:
        clock = time.perf_counter()
        seen = trainer.run(start)
        trained = time.perf_counter() - clock
        if seen > start:
            save(seen)
        return _finish(config, folder, parts, metrics, seen, trained)
    finally:
        ledger.close()
        metrics.close()


def _record(config: RunConfig, parts: Parts, ledger: Ledger, proposal: Proposal, similarity: Tensor) -> None:
    cosine = steer(similarity, config.sampler.steer, [learner.name for learner in parts.learners])
    ledger.write(proposal.parent, proposal.scale, cosine)


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _evaluate(config: RunConfig, parts: Parts, metrics: Metrics, seen: int) -> None:
    """Verify the students in the middle of a run: on the dev split where a set has one, for the test split is not to be
    looked at before the end."""
    found: dict[str, dict[str, float]] = {}
    for name in datasets.expand(config.eval):
        dataset = datasets.load(f"{name}@dev" if f"{name}@dev" in datasets.NAMES else name)
        for learner in parts.learners:
            model = Teacher(_as_model(config, parts, learner, seen))
            found.setdefault(learner.name, {})[dataset.name] = verification.evaluate(model, dataset).accuracy
    metrics.write("evaluate", seen, students=found)


def _as_model(config: RunConfig, parts: Parts, learner: Learner, seen: int) -> LoadedModel:
    return LoadedModel.of(results.to_artefact(config, learner.result, parts.source, parts.teacher, seen))


def _finish(config: RunConfig, folder: Path, parts: Parts, metrics: Metrics, seen: int, seconds: float) -> Summary:
    """Write the students, verify everything, write summary.json."""
    kept = []
    for learner in parts.learners:
        made = results.to_artefact(config, learner.result, parts.source, parts.teacher, seen)
        path = results.student_path(folder, learner.name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            artefact.save(path, made)
        except (OSError, ArtefactError) as error:
            raise CheckpointError(
                f"{path}: cannot be written ({error}); free space and run the same command"
            ) from error
        kept.append(made)
    clock = time.perf_counter()
    teacher = None if parts.teacher is None else teachers.exact(parts.teacher)
    outcome = results.evaluate(config, kept, parts.source, teacher, folder)
    summary: dict[str, Any] = {
        "recipe": config.recipe,
        "seed": config.seed,
        "images_seen": seen,
        "train_seconds": round(seconds, 1),
        "evaluate_seconds": round(time.perf_counter() - clock, 1),
        "gap_closed": outcome.gap_closed,
        "results": outcome.results,
        "remarks": outcome.remarks,
        "skipped": parts.source.skipped,
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
    }
    with checkpoint.writing(path := folder / "summary.json"):
        write_atomically(path, json.dumps(summary, indent=2).encode())
    metrics.write("end", seen, gap_closed=outcome.gap_closed)
    samples = sources.samples(parts.source, SAMPLES)
    return Summary(seen, seconds, parts.source.skipped, samples, outcome)
