"""What a run will cost, measured on its first steps without writing anything."""

from __future__ import annotations

import resource
import sys
import time
from dataclasses import dataclass

import torch

from sdx import devices, networks
from sdx.config import RunConfig
from sdx.training.checkpoint import KEEP
from sdx.training.ledger import RECORD
from sdx.training.run import Parts
from sdx.training.tracking import Silent
from sdx.training.trainer import Trainer


@dataclass(frozen=True)
class Network:
    """Size of one network: parameters, and multiply-accumulates of one face."""

    name: str
    parameters: int
    macs: int


@dataclass(frozen=True)
class Forecast:
    """Images per second, seconds for the whole run without verification, bytes of memory and of disk."""

    networks: list[Network]
    images_per_second: float
    seconds: float
    memory: int
    disk: int


def measure(config: RunConfig, parts: Parts, steps: int = 3) -> Forecast:
    """Train ``steps`` batches on ``parts`` (which must not be used afterwards) and extrapolate."""
    sizes = [
        Network(
            learner.name,
            networks.parameters(learner.student),
            networks.macs(learner.student.network, learner.student.spec.size),
        )
        for learner in parts.learners
    ]
    # A step is the trainer's own, so what it does side by side, as with overlap, is measured as it is.
    trainer = Trainer(
        config,
        parts.source,
        parts.teacher,
        parts.learners,
        parts.sampler,
        parts.random,
        Silent(),
        parts.device,
        record=lambda proposal, similarity: None,
        evaluate=lambda seen: None,
        checkpoint=lambda seen: None,
    )
    seen = trainer.step(0)["images"]  # warms up allocators and caches
    started, first = _now(parts.device), seen
    for _ in range(steps):
        seen += trainer.step(seen)["images"]
    rate = (seen - first) / (_now(parts.device) - started)
    state = sum(4 * network.parameters * (3 + (config.ema is not None)) for network in sizes)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    disk = KEEP * state + sum(4 * n.parameters for n in sizes) + RECORD.itemsize * config.images
    return Forecast(sizes, rate, config.images / rate, peak, disk)


def _now(device: torch.device) -> float:
    """Return the time in seconds at which the device has done all it was given."""
    devices.settle(device)
    return time.perf_counter()
