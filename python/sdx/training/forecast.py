"""What a run will cost, measured on its first steps without writing anything."""

from __future__ import annotations

import resource
import sys
import time
from dataclasses import dataclass

import torch

from sdx import networks
from sdx.config import RunConfig
from sdx.training import graphs, sampling
from sdx.training.checkpoint import KEEP
from sdx.training.evidence import Evidence
from sdx.training.frozen import Frozen
from sdx.training.ledger import RECORD
from sdx.training.run import Parts


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
    frozen = Frozen(
        parts.source,
        parts.teacher,
        config.augment,
        parts.random,
        parts.device,
        graphs.recorder(config.graphs, parts.device),
    )
    seen = 0
    started = 0.0
    for step in range(steps + 1):
        if step == 1:  # the first warms up allocators and caches
            started = time.perf_counter()
        proposal = parts.sampler.propose(config.batch, seen)
        batch = frozen(proposal)
        steps_taken = [
            learner.step(batch.face, parts.source.frame, batch.target, batch, rate=config.optimizer.lr, progress=0.0)
            for learner in parts.learners
        ]
        similarity = torch.stack([similarity for _, similarity in steps_taken]).cpu()
        sampling.observe(parts.sampler, proposal, similarity, Evidence(batch, frozen))
        seen += len(batch)
    rate = steps * config.batch / (time.perf_counter() - started)
    state = sum(4 * network.parameters * (3 + (config.ema is not None)) for network in sizes)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    disk = KEEP * state + sum(4 * n.parameters for n in sizes) + RECORD.itemsize * config.images
    return Forecast(sizes, rate, config.images / rate, peak, disk)
