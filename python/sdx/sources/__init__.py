"""Where faces come from: the protocols, and `build`, which makes a source from its configuration."""

from __future__ import annotations

from typing import Literal, Protocol, cast, runtime_checkable

import torch
from torch import Tensor

from sdx import plugins
from sdx.config import SOURCES, SourceConfig
from sdx.devices import CPU
from sdx.errors import ConfigError
from sdx.precision import FULL, Policy
from sdx.sources.cache import CacheSource
from sdx.sources.folder import FolderSource
from sdx.sources.renderer import LabelledRendererSource, RendererSource
from sdx.sources.stylegan2 import StyleGAN2Source
from sdx.types import HELD_OUT, Batch, Frame, Proposal, Random
from sdx.weights.metadata import Origin

__all__ = [
    "CacheSource",
    "FolderSource",
    "IndexSource",
    "LatentSource",
    "Source",
    "build",
    "by_number",
    "draw",
    "held_out",
    "origin",
    "samples",
    "strips",
]

RENDERED, FROM_FILES = 64, 128
"""Side of a face in pixels where the configuration gives none."""


class Source(Protocol):
    """What every source tells of itself.

    ``statement`` says in words what the faces are and ``licence`` what binds them (SPDX, `non-commercial` or
    `unknown`), for the artefact of whatever learns from them; ``classes`` is the number of labels, 0 without labels;
    ``skipped`` names the images that could not be read so far.

    A latent source may say ``capturable = True``: on a GPU its ``draw`` then neither waits for the device nor goes to
    the host, and reads tensors alone that stay where they are, so that a graph can record it.
    """

    name: str
    frame: Frame
    size: int
    statement: str
    licence: str
    classes: int
    skipped: list[str]


@runtime_checkable
class LatentSource(Source, Protocol):
    """A source with a latent, so that a sampler can steer it."""

    latent_rms: float
    """rms(w - w_mean) of a root latent's coordinates, the unit of the sampler's noise."""

    def root(self, index: Tensor) -> Tensor:
        """Return the latents float32 [B, L] of fresh images int64 [B], a pure function of each index.

        Numbers come on the host; latents and faces are where the source computes.
        """

    def draw(self, index: Tensor, latent: Tensor) -> Batch:
        """Return the faces of latents float32 [B, L]; all other randomness is keyed by index."""


@runtime_checkable
class IndexSource(Source, Protocol):
    """A source that knows its faces by number alone."""

    def draw(self, index: Tensor) -> Batch:
        """Return the faces of image numbers int64 [B]; numbers from `HELD_OUT` on are never trained on."""


def build(
    config: SourceConfig, random: Random, policy: Policy = FULL, device: torch.device = CPU
) -> LatentSource | IndexSource:
    """Return the configured source, a generator on the device with its convolutions in the policy's format.

    All other sources draw on the host, wherever the run computes.

    Raises ConfigError for an unknown kind, DataError for unreadable data, ArtefactError for a generator that is none.
    """
    match config.kind:
        case "simface":
            return RendererSource(config.split, config.nuisance, config.size or RENDERED, random)
        case "simface-labelled":
            return LabelledRendererSource(
                config.split, config.nuisance, config.size or RENDERED, config.identities, config.views, random
            )
        case "stylegan2":
            return StyleGAN2Source(
                config.generator,
                psi=config.psi,
                noise=config.noise,
                size=config.size,
                random=random,
                dtype=policy.convolutions,
                low_resolutions=config.low_resolutions,
                device=device,
            )
        case "folder":
            if config.path is None:
                raise ConfigError("source.path: expected a folder or zip of images, got none; give source=PATH")
            return FolderSource(config.path, config.frame, config.size or FROM_FILES, config.corrupt, random)
        case "cache":
            if config.path is None:
                raise ConfigError(
                    "source.path: expected a folder that sdx cache wrote, got none; give source.path=FOLDER"
                )
            return CacheSource(config.path, config.size, random)
        case kind if ":" in kind:
            made = plugins.load(kind)(config, random)
            if not isinstance(made, LatentSource | IndexSource):
                raise ConfigError(f"source: expected {kind} to make a source with draw(), got {type(made).__name__}")
            return made
    raise plugins.unknown("source", config.kind, SOURCES)


def draw(source: LatentSource | IndexSource, proposal: Proposal) -> Batch:
    """Return the faces that a sampler proposed."""
    if proposal.latent is None:
        return cast(IndexSource, source).draw(proposal.index)
    return cast(LatentSource, source).draw(proposal.index, proposal.latent)


def origin(source: LatentSource | IndexSource) -> Origin:
    """Return a source as a link of the chain that a student comes from; of a cache, what its faces were drawn from."""
    if isinstance(source, CacheSource):
        return source.origin
    role: Literal["generator", "data"] = "generator" if isinstance(source, LatentSource) else "data"
    return Origin(role=role, name=source.name, licence=source.licence, data=source.statement)


def samples(source: LatentSource | IndexSource, count: int) -> Tensor:
    """Return the first ``count`` faces that a run trains on, float32 [count, 3, S, S], in [-1, 1], on the host."""
    return by_number(source, torch.arange(count)).face.cpu()


def strips(source: LatentSource | IndexSource, count: int, steps: int) -> Tensor:
    """Return ``count`` rows of ``steps`` faces, from latent 2k straight to latent 2k + 1, [count * steps, 3, S, S].

    All faces of a row have the layer noise of its first. Raises ConfigError for a source without latents.
    """
    if not isinstance(source, LatentSource):
        raise ConfigError(f"{source.name}: expected a source with latents to go from one to another, got one without")
    index = torch.arange(2 * count)
    start, end = source.root(index[::2]), source.root(index[1::2])
    share = torch.linspace(0, 1, steps, device=start.device)[None, :, None]
    latent = torch.lerp(start[:, None], end[:, None], share).flatten(0, 1)
    return source.draw(index[::2].repeat_interleave(steps), latent).face


def held_out(source: LatentSource | IndexSource, count: int) -> Batch:
    """Return ``count`` faces that no run trains on, always the same ones for a seed."""
    return by_number(source, torch.arange(HELD_OUT, HELD_OUT + count))


def by_number(source: LatentSource | IndexSource, index: Tensor) -> Batch:
    """Return the faces of image numbers int64 [B], root latents where the source has latents."""
    if isinstance(source, LatentSource):
        return source.draw(index, source.root(index))
    return source.draw(index)
