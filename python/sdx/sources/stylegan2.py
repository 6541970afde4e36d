"""A StyleGAN2 as a source: w is the latent, so that a sampler can steer it."""

from __future__ import annotations

import copy
import importlib.resources
import math
import re
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from sdx.align import FRAMES
from sdx.devices import CPU
from sdx.errors import ArtefactError, ConfigError
from sdx.networks.stylegan2 import Generator, GeneratorConfig, Synthesis, normalise_z
from sdx.slices import over_slices
from sdx.sources.synthesis import FrozenSynthesis, Region
from sdx.types import HELD_OUT, Batch, Frame, Random, Stream
from sdx.weights import generator as artefacts
from sdx.weights.generator import GeneratorArtefact, GeneratorMeta
from sdx_kernels import NoiseKey

Noise = Literal["random", "const", "none"]

_RANDOM = re.compile(r"random-(\d{1,5})")
_MAPPING_SLICE = 256
_RMS_FROM = 4096  # w that the unit of the sampler's noise is measured on


class StyleGAN2Source:
    """A latent source: image n is drawn from z number n of the seed.

    Args:
        reference: a loaded generator, a generator file, the name of a built-in one, or ``random-R``: the layout of
            NVIDIA's FFHQ generator of R pixels with random weights, for benches.
        psi: truncation; 1 for none. The latents are truncated, not the sampler's noise.
        noise: of the layers: ``random`` is keyed by image number, ``const`` is the generator's own, or ``none``.
        size: what the configuration expects a face to measure; None takes what the generator draws.
        random: random numbers of the run's seed.
        dtype: number format of the convolutions.
        low_resolutions: how many of the highest resolutions have that format, None for all; the rest is float32.
        device: where w and faces are made. z is drawn on the host; the layers' noise too on a CPU, elsewhere in the
            layers themselves, the same numbers.

    Raises:
        ConfigError: for a psi that is not a finite number, and a size that the generator does not draw.
        ArtefactError: for a reference that leads to no sound generator.
    """

    classes = 0
    capturable = True
    """On a GPU, `draw` is work of the device alone if its arguments are there, so that a graph can record it."""

    def __init__(
        self,
        reference: str | GeneratorArtefact,
        *,
        psi: float,
        noise: Noise,
        size: int | None,
        random: Random,
        dtype: torch.dtype = torch.float32,
        low_resolutions: int | None = None,
        device: torch.device = CPU,
    ) -> None:
        if not (math.isfinite(psi) and -2 <= psi <= 2):
            raise ConfigError(f"source.psi: expected a number from -2 to 2, got {psi}; 1 is no truncation")
        self.artefact = reference if isinstance(reference, GeneratorArtefact) else load(reference)
        meta = self.artefact.meta
        self.frame: Frame = meta.frame
        self.licence = meta.strictest_licence
        self.name = meta.name
        self.psi = psi
        self.statement = "; ".join(
            [f"faces drawn by {meta.name}", *(f"{o.role} {o.name}: {o.data}" for o in meta.provenance)]
        )
        self.skipped: list[str] = []
        self.device = device
        self.mapping = self.artefact.network.mapping
        self.synthesis = FrozenSynthesis(self.artefact.network.synthesis, dtype, low_resolutions, device)
        resolution = self.artefact.network.config.resolution
        self._region = _pixels(FRAMES[self.frame], resolution)
        if self._region is not None:  # the aligned face is all that anybody looks at
            self.frame = "aligned"
        self.size = resolution if self._region is None else self._region[2] - self._region[0]
        if size not in (None, self.size, resolution):
            raise ConfigError(f"source.size: expected {resolution}, what {meta.name} draws, or none, got {size}")
        self._noise: Noise = noise
        self._random = random
        self._const_noise = None
        if noise == "const":
            self._const_noise = [
                layer.noise_const.to(device)[None, None] for layer in self.artefact.network.synthesis.layers()
            ]
        w = self._w(torch.arange(HELD_OUT, HELD_OUT + _RMS_FROM), 1.0)
        self.latent_rms = float((w - w.mean(0)).square().mean().sqrt())  # on the host, where it is the same for all
        if device.type != "cpu":
            self.mapping = copy.deepcopy(self.mapping).to(device)

    def z(self, index: Tensor) -> Tensor:
        """Return z, float32 [B, Z], standard normal, of image numbers int64 [B]."""
        return torch.from_numpy(self._random.normals(Stream.LATENT, index.numpy(), self.artefact.network.config.z_dim))

    def root(self, index: Tensor) -> Tensor:
        """Return the latents w, float32 [B, W], of images int64 [B]."""
        return self._w(index, self.psi)

    def draw(self, index: Tensor, latent: Tensor) -> Batch:
        """Return the faces of latents float32 [B, W], or [B, L, W] with a w for each style input."""
        latent = latent.to(self.device)
        face = self.synthesis(latent, self._layer_noise(index), self._region).clamp(-1, 1)  # an ordinary tensor again
        return Batch(index, face, latent=latent)

    def simface(self, index: Tensor) -> Tensor:
        """Return the SimFace latents, float32 [B, DIMENSION], that root images int64 [B] were taught to show.

        Raises ConfigError for a generator that was not made by regression onto SimFace.
        """
        if self.artefact.meta.latent != "simface":
            raise ConfigError(f"{self.name}: expected a generator made by regression onto SimFace, got another")
        return normalise_z(self.z(index))

    def _w(self, index: Tensor, psi: float) -> Tensor:
        z = self.z(index).to(self.mapping.w_avg.device)
        return over_slices(lambda part: self.mapping(part, psi), [z], _MAPPING_SLICE).clone()

    def _layer_noise(self, index: Tensor) -> list[Tensor | None] | NoiseKey | None:
        """Return the noise of every layer, float32 [B, 1, R, R], or its key on a GPU; None where it has no strength."""
        if self._noise == "none" or not self.synthesis.is_noisy:
            return None
        if self._const_noise is not None:
            return [noise.expand(len(index), -1, -1, -1) for noise in self._const_noise]
        if self.device.type != "cpu":
            return noise_key(index.to(self.device), self._random)
        return list(layer_noise(self.artefact.network.synthesis, index, self._random))


def layer_noise(synthesis: Synthesis, index: Tensor, random: Random) -> list[Tensor]:
    """Return the random noise of every layer, before its strength, float32 [B, 1, R, R], of image numbers int64 [B]."""
    sides = [layer.noise_const.shape[0] for layer in synthesis.layers()]
    pixels = [side**2 for side in sides]
    noise = torch.from_numpy(random.normals(Stream.LAYER_NOISE, index.numpy(), sum(pixels)))
    return [part.view(-1, 1, side, side) for part, side in zip(torch.split(noise, pixels, 1), sides, strict=True)]


def noise_key(index: Tensor, random: Random) -> NoiseKey:
    """Return what keys the noise of `layer_noise` in all layers together, for image numbers int64 [B] on any device."""
    return NoiseKey(random.seed, index, int(Stream.LAYER_NOISE))


def builtin() -> dict[str, Path]:
    """Return the generators that ship with sdx, by name."""
    folder = Path(str(importlib.resources.files("sdx"))) / "assets" / "generators"
    return {path.stem: path for path in sorted(folder.glob("*.safetensors"))}


def load(reference: str) -> GeneratorArtefact:
    """Return the generator that ``reference`` names, see `StyleGAN2Source`."""
    if found := _RANDOM.fullmatch(reference):
        return _random_weights(int(found.group(1)))
    if reference in builtin():
        return artefacts.load(builtin()[reference])
    if Path(reference).suffix or Path(reference).exists():
        return artefacts.load(reference)
    raise ArtefactError(
        f"no generator {reference!r}: expected a generator file, a built-in name "
        f"({', '.join(builtin()) or 'none'}), or random-256 for random weights"
    )


def _random_weights(resolution: int) -> GeneratorArtefact:
    """Return the layout of NVIDIA's FFHQ generators with random weights, always the same ones."""
    base = 16384 if resolution <= 256 else 32768
    config = GeneratorConfig(resolution, channel_base=base)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Generator(config).eval().requires_grad_(False)
    for layer in network.synthesis.layers():  # as a trained one, it has noise
        layer.noise_strength.fill_(0.1)
    artefacts.set_mean_w(network, 1024)
    meta = GeneratorMeta(name=f"stylegan2-random-{resolution}", frame="ffhq", licence="Apache-2.0")
    return GeneratorArtefact(network, meta)


def _pixels(box: tuple[float, float, float, float], side: int) -> Region | None:
    """Return a box in whole pixels; None for the whole image, or where it does not lie on pixels."""
    edges = [edge * side for edge in box]
    top, left, bottom, right = (round(edge) for edge in edges)
    exact = all(abs(edge - whole) < 1e-6 for edge, whole in zip(edges, (top, left, bottom, right), strict=True))
    is_square = bottom - top == right - left
    return (top, left, bottom, right) if exact and is_square and box != (0.0, 0.0, 1.0, 1.0) else None
