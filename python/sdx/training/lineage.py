"""Lineages: from which root, by which steps, a latent comes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sdx.sources import LatentSource
from sdx.types import Random, Stream

HOPS = 8
"""Most steps of a lineage."""


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
        none = np.full((n, HOPS), -1, np.int64), np.zeros((n, HOPS), np.float32)
        return cls(index.copy(), np.zeros(n, np.int64), *none)

    def child(self, index: NDArray[np.int64], scale: NDArray[np.float32]) -> Lineage:
        """Return the lineage one hop on; of a chain of 8 the last hop is replaced."""
        place = np.minimum(self.hops, HOPS - 1)
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
