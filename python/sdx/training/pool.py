"""The sampler that remembers: fresh faces, and neighbours of those that the students found hardest so far."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sdx import _core
from sdx.config import SamplerConfig
from sdx.sources import LatentSource
from sdx.training.evidence import Evidence
from sdx.training.lineage import Lineage
from sdx.training.steering import steer
from sdx.types import Proposal, Random, Stream

_STEER: dict[str, Literal["mean", "hardest"]] = {"mean": "mean", "hardest": "hardest"}


class Pool:
    """Fresh roots, and hops away from what is hardest in a pool of the faces met so far.

    Every face met enters the pool with its similarity. A share of each batch is drawn from there by priority,
    1 - similarity, and a step of resample's size is taken from it, scale * (cos + 1) / 2 * N(0, I): close by where it
    is hard. Where the step leads is a new face with a lineage one hop longer, and takes the place of the one that it
    came from; so chains grow where the students keep failing, up to 8 hops.

    Where ``config.reliability`` asks for it, priority is (1 - similarity) x reliability, the teacher's cosine between
    the face and its mirror image, so that a face that the generator spoiled is not taken for a hard one. It is measured
    for that share of each batch, the hardest, and taken to be their mean for the others, of which little is drawn.

    What is drawn depends on the batch size, for the pool learns batch by batch.
    """

    def __init__(self, source: LatentSource, config: SamplerConfig, students: list[str], random: Random) -> None:
        self._source = source
        self._scale = config.scale * (source.latent_rms if config.unit == "rms" else 1.0)
        self._revisit = config.revisit
        self._exploration = config.exploration
        self._measured = config.reliability
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
        """Let the faces into the pool as reliable ones of no known group, and those out that steps were taken from."""
        n = len(proposal)
        self._take(proposal, similarity, np.ones(n, np.float32), np.full(n, -1, np.int64))

    def examine(self, proposal: Proposal, similarity: Tensor, evidence: Evidence) -> None:
        """Do as `observe`, with the groups that the source knows and the reliability of the teacher."""
        self._take(proposal, similarity, self._reliability(similarity, evidence), evidence.group().numpy())

    def _reliability(self, similarity: Tensor, evidence: Evidence) -> NDArray[np.float32]:
        """Return float32 [B] in [-1, 1]: measured for the hardest, the mean of those for the others."""
        n = similarity.shape[1]
        count = round(n * self._measured)
        if count == 0:
            return np.ones(n, np.float32)
        hardest = steer(similarity, self._steer, self._students).argsort(stable=True)[:count]
        found = evidence.reliability(hardest).numpy().clip(-1, 1)
        reliability = np.full(n, found.mean(), np.float32)
        reliability[hardest.numpy()] = found
        return reliability

    def _take(
        self, proposal: Proposal, similarity: Tensor, reliability: NDArray[np.float32], group: NDArray[np.int64]
    ) -> None:
        if self._proposed is None:
            raise AssertionError("a proposal comes before its observation")
        lineage, left = self._proposed
        self._proposed = None
        self._pool.evict(left)
        self._pool.push(
            lineage.root,
            lineage.hops,
            lineage.index,
            lineage.scale,
            np.ascontiguousarray(similarity.numpy().clip(-1, 1), np.float32),
            reliability,
            np.ascontiguousarray(group, np.int64),
            int(proposal.index[-1]) + 1,
        )

    def state_dict(self) -> dict[str, Any]:
        """Return the pool's snapshot, uint8 [bytes]."""
        return {"pool": torch.from_numpy(self._pool.snapshot())}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over `state_dict`'s value; raises DataError for what no pool wrote."""
        self._pool = _core.LatentPool.restore(np.ascontiguousarray(state["pool"].numpy()))
        self._proposed = None
