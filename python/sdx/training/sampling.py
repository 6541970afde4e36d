"""Samplers: which latents are drawn next, given what the students still get wrong."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sdx import plugins
from sdx.config import SamplerConfig
from sdx.errors import ConfigError
from sdx.sources import IndexSource, LatentSource
from sdx.training.evidence import Evidence
from sdx.training.pool import Pool
from sdx.training.steering import steer
from sdx.types import Proposal, Random, Stream

BUILT_IN = ("fresh", "resample", "pool")
"""Kinds of samplers that need no class of the user's."""


class Sampler(Protocol):
    """Proposes images and is told how alike student and teacher found them."""

    def propose(self, n: int, images_seen: int) -> Proposal:
        """Return what to draw next, at most ``n`` images; ``images_seen`` counts all images before."""

    def observe(self, proposal: Proposal, similarity: Tensor) -> None:
        """Take note of float32 [students, B] on the host, cosine of student and teacher before the step on this."""

    def state_dict(self) -> dict[str, Any]:
        """Return what resuming needs: tensors, numbers and containers of them."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over `state_dict`'s value."""


@runtime_checkable
class Examiner(Protocol):
    """A sampler that asks for more than similarities; it is told by this in place of `Sampler.observe`."""

    def examine(self, proposal: Proposal, similarity: Tensor, evidence: Evidence) -> None:
        """Take note of the similarities, and of what it asks of ``evidence``."""


def observe(sampler: Sampler, proposal: Proposal, similarity: Tensor, evidence: Evidence) -> None:
    """Tell a sampler of the batch that it proposed, the way that it listens."""
    if isinstance(sampler, Examiner):
        sampler.examine(proposal, similarity, evidence)
    else:
        sampler.observe(proposal, similarity)


def build(config: SamplerConfig, source: LatentSource | IndexSource, students: list[str], random: Random) -> Sampler:
    """Return the configured sampler; raises ConfigError for an unknown kind, or a steering one without latents."""
    if config.kind == "fresh":
        return Fresh(source)
    if config.kind in ("resample", "pool"):
        if not isinstance(source, LatentSource):
            raise ConfigError(
                f"sampler: {config.kind} steers a latent source, got {source.name}, which has none; use sampler=fresh"
            )
        kind = Resample if config.kind == "resample" else Pool
        return kind(source, config, students, random)
    if ":" in config.kind:
        made: Sampler = plugins.load(config.kind)(config, source, students, random)
        return made
    raise plugins.unknown("sampler", config.kind, BUILT_IN)


def numbers(kind: str, batch: int, place: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the image numbers, int64 [n], of images by their place in training, 0 for the first.

    Args:
        kind: a built-in sampler.
        batch: size of its batches.
        place: int64 [n], at least 0.
    """
    if kind != "resample":
        return place
    pair, within = np.divmod(place, 2 * batch)
    number: NDArray[np.int64] = 2 * (pair * batch + within % batch) + within // batch
    return number


def places(kind: str, batch: int, number: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the places in training, int64 [n], of image numbers; `numbers`' inverse."""
    if kind != "resample":
        return number
    pair, root = np.divmod(number // 2, batch)
    return 2 * pair * batch + number % 2 * batch + root


class Fresh:
    """Never looks back: image n is root latent n."""

    def __init__(self, source: LatentSource | IndexSource) -> None:
        self._source = source

    def propose(self, n: int, images_seen: int) -> Proposal:
        """Return the next ``n`` images."""
        index = torch.arange(images_seen, images_seen + n)
        latent = self._source.root(index) if isinstance(self._source, LatentSource) else None
        return _roots(index, latent)

    def observe(self, proposal: Proposal, similarity: Tensor) -> None:
        """Learn nothing."""

    def state_dict(self) -> dict[str, Any]:
        """Return no state."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take no state."""


class Resample:
    """SynthDistill's dynamic sampling: every batch of roots is followed by a batch of their neighbours.

    w' = w + scale * (cos + 1) / 2 * N(0, I), with the cosine that the student reached on w before its step (IJCB 2023,
    as the authors run it): what is hard is revisited close by, what is easy is left far behind.

    Root k is image 2k and its neighbour image 2k + 1, so that latents and noise do not depend on the batch size. A
    neighbour owns the layer noise and the grain of its own number.
    """

    def __init__(self, source: LatentSource, config: SamplerConfig, students: list[str], random: Random) -> None:
        self._source = source
        self._scale = config.scale * (source.latent_rms if config.unit == "rms" else 1.0)
        self._steer = config.steer
        self._students = students
        self._random = random
        self._roots = 0
        self._pending: tuple[Tensor, Tensor] | None = None  # index and scale of roots whose neighbours come next

    def propose(self, n: int, images_seen: int) -> Proposal:
        """Return ``n`` roots, then as many neighbours as there were roots."""
        if self._pending is not None:
            parent, scale = self._pending
            self._pending = None
            return self._neighbours(parent, scale)
        index = 2 * torch.arange(self._roots, self._roots + n)
        self._roots += n
        return _roots(index, self._source.root(index))

    def observe(self, proposal: Proposal, similarity: Tensor) -> None:
        """After roots, fix the size of their neighbours' noise; neighbours leave no trace."""
        if bool((proposal.parent < 0).all()):
            cosine = steer(similarity, self._steer, self._students)
            self._pending = (proposal.index, self._scale * (cosine + 1) / 2)

    def state_dict(self) -> dict[str, Any]:
        """Return the number of roots so far and the roots whose neighbours are due; latents are recomputed."""
        parent, scale = self._pending or (torch.empty(0, dtype=torch.int64), torch.empty(0))
        return {"roots": self._roots, "parent": parent, "scale": scale}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over `state_dict`'s value."""
        self._roots = state["roots"]
        self._pending = (state["parent"], state["scale"]) if len(state["parent"]) else None

    def _neighbours(self, parent: Tensor, scale: Tensor) -> Proposal:
        index = parent + 1
        latent = self._source.root(parent)
        noise = self._random.normals(Stream.PERTURBATION, index.numpy(), latent.shape[1])
        step = (scale[:, None] * torch.from_numpy(noise)).to(latent.device)
        return Proposal(index, latent + step, parent, scale)


def _roots(index: Tensor, latent: Tensor | None) -> Proposal:
    return Proposal(index, latent, torch.full_like(index, -1), torch.zeros(len(index)))
