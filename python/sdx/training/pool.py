"""The sampler that remembers: fresh faces, and neighbours of those that the students found hardest so far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sdx import _core
from sdx.config import SamplerConfig
from sdx.sources import LatentSource
from sdx.training.steering import steer
from sdx.types import Proposal, Random, Stream

_HOPS = 8
_STEER: dict[str, Literal["mean", "hardest"]] = {"mean": "mean", "hardest": "hardest"}


@dataclass(frozen=True)
class Lineage:
    """Where latents come from: a root, and hops away from it.

    Args:
        root: int64 [n], image number of the root latent.
        hops: int64 [n], 0 to 8.
        index: int64 [n, 8], image number whose noise a hop takes, -1 beyond ``hops``.
        scale: float32 [n, 8], size of a hop, 0 beyond ``hops``.
    """

    root: NDArray[np.int64]
    hops: NDArray[np.int64]
    index: NDArray[np.int64]
    scale: NDArray[np.float32]

    @classmethod
    def roots(cls, index: NDArray[np.int64]) -> Lineage:
        """Return the lineage of roots."""
        n = len(index)
        none = np.full((n, _HOPS), -1, np.int64), np.zeros((n, _HOPS), np.float32)
        return cls(index.copy(), np.zeros(n, np.int64), *none)

    def child(self, index: NDArray[np.int64], scale: NDArray[np.float32]) -> Lineage:
        """Return the lineage one hop on; of a chain of 8 the last hop is replaced."""
        place = np.minimum(self.hops, _HOPS - 1)
        rows = np.arange(len(index))
        indices, scales = self.index.copy(), self.scale.copy()
        indices[rows, place], scales[rows, place] = index, scale
        return Lineage(self.root, place + 1, indices, scales)

    def latent(self, source: LatentSource, random: Random) -> Tensor:
        """Return the latents, float32 [n, L] on the source's device, the same to the bit whoever else is asked for."""
        latent = source.root(torch.from_numpy(self.root))
        for hop in range(int(self.hops.max(initial=0))):
            there = np.flatnonzero(self.hops > hop)
            noise = random.normals(Stream.PERTURBATION, np.ascontiguousarray(self.index[there, hop]), latent.shape[1])
            step = torch.from_numpy(self.scale[there, hop][:, None] * noise)
            latent[torch.from_numpy(there)] += step.to(latent.device)
        return latent

    def joined(self, other: Lineage) -> Lineage:
        """Return these lineages and the others after them."""
        pairs = ((getattr(self, name), getattr(other, name)) for name in ("root", "hops", "index", "scale"))
        return Lineage(*(np.concatenate(pair) for pair in pairs))


class Pool:
    """Fresh roots, and hops away from what is hardest in a pool of the faces met so far.

    Every face met enters the pool with its similarity. A share of each batch is drawn from there by priority,
    1 - similarity, and a step of resample's size is taken from it, scale * (cos + 1) / 2 * N(0, I): close by where it
    is hard. Where the step leads is a new face with a lineage one hop longer, and takes the place of the one that it
    came from; so chains grow where the students keep failing, up to 8 hops.

    What is drawn depends on the batch size, for the pool learns batch by batch. Reliability of the teacher is not
    measured: it counts as 1.
    """

    def __init__(self, source: LatentSource, config: SamplerConfig, students: list[str], random: Random) -> None:
        self._source = source
        self._scale = config.scale * (source.latent_rms if config.unit == "rms" else 1.0)
        self._revisit = config.revisit
        self._exploration = config.exploration
        self._random = random
        self._pool = _core.LatentPool(
            config.capacity,
            len(students),
            seed=random.seed,
            stream=Stream.POOL,
            steer=_STEER.get(config.steer) or students.index(config.steer),
            smoothing=0.0,
            eviction="easiest",
        )
        self._steer = config.steer
        self._students = students
        self._proposed: tuple[Lineage, NDArray[np.int64]] | None = None

    def propose(self, n: int, images_seen: int) -> Proposal:
        """Return ``n`` images, numbered on from ``images_seen``: roots first, then steps away from hard faces."""
        index = np.arange(images_seen, images_seen + n)
        again = min(round(n * self._revisit), len(self._pool))
        chosen = self._pool.draw(again, images_seen, self._exploration)
        entries = self._pool.entries(chosen)
        parents = Lineage(entries.root, entries.hops, entries.index, entries.scale)
        cosine = steer(torch.from_numpy(entries.latest), self._steer, self._students).numpy()
        scale = (self._scale * (cosine + 1) / 2).astype(np.float32)
        new = index[n - again :]
        lineage = Lineage.roots(index[: n - again]).joined(parents.child(new, scale))
        self._proposed = lineage, chosen
        last = np.where(parents.hops > 0, parents.index[np.arange(again), parents.hops - 1], parents.root)
        return Proposal(
            torch.from_numpy(index),
            lineage.latent(self._source, self._random),
            torch.from_numpy(np.concatenate([np.full(n - again, -1), last])),
            torch.from_numpy(np.concatenate([np.zeros(n - again, np.float32), scale])),
        )

    def observe(self, proposal: Proposal, similarity: Tensor) -> None:
        """Let the faces into the pool, and those out that steps were taken from."""
        if self._proposed is None:
            raise AssertionError("a proposal comes before its observation")
        lineage, left = self._proposed
        self._proposed = None
        n = len(proposal)
        self._pool.evict(left)
        self._pool.push(
            lineage.root,
            lineage.hops,
            lineage.index,
            lineage.scale,
            np.ascontiguousarray(similarity.numpy().clip(-1, 1), np.float32),
            np.ones(n, np.float32),
            np.full(n, -1, np.int64),
            int(proposal.index[-1]) + 1,
        )

    def state_dict(self) -> dict[str, Any]:
        """Return the pool's snapshot, uint8 [bytes]."""
        return {"pool": torch.from_numpy(self._pool.snapshot())}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over `state_dict`'s value; raises DataError for what no pool wrote."""
        self._pool = _core.LatentPool.restore(np.ascontiguousarray(state["pool"].numpy()))
        self._proposed = None
