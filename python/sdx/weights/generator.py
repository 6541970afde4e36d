"""A generator in one file: weights under NVIDIA's names, all there is to build it, and a picture that checks it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor
from torch.nn.functional import avg_pool2d

from sdx.errors import ArtefactError, ConfigError
from sdx.networks.stylegan2 import Generator, GeneratorConfig
from sdx.random import Philox
from sdx.types import Frame, Stream
from sdx.weights import licence as licences
from sdx.weights.metadata import Origin
from sdx.weights.storage import Storage, compare, digest, read, stored, versions, write

FORMAT = "sdx-generator"
VERSION = 1
SELF_CHECK_TOLERANCE = 2e-4
"""Relative L2 error of the coarse picture; other CPUs and thread counts stay under 1e-5."""

_COARSE = 8


class GeneratorMeta(BaseModel):
    """Everything but the weights.

    `save` fills in the last four.

    Args:
        name: what reports call it.
        frame: how a face sits in its images.
        latent: ``simface`` where z, scaled to a second moment of 1, is the SimFace latent of the face; else ``none``.
        nuisance: the SimFace world that it draws, where it draws one.
        licence: of the weights themselves.
        provenance: the chain they come from, the nearest first.
        scores: figures measured on this very generator.
        training: how it was made, in words.
        network: fields of `sdx.networks.stylegan2.GeneratorConfig`.
        storage: how weights are stored; it computes in float32 either way.
        self_check: the picture of a fixed z without noise, averaged to 8 x 8, [3 * 8 * 8].
        created_with: versions of what wrote the file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    frame: Frame = "aligned"
    latent: Literal["simface", "none"] = "none"
    nuisance: Literal["wild", "portrait"] | None = None
    licence: str = licences.UNKNOWN
    provenance: tuple[Origin, ...] = ()
    scores: dict[str, Any] = Field(default_factory=dict)
    training: str = ""
    network: dict[str, Any] = Field(default_factory=dict)
    storage: Storage = "fp32"
    self_check: tuple[float, ...] = ()
    created_with: dict[str, str] = Field(default_factory=dict)

    @property
    def strictest_licence(self) -> str:
        """The licence that binds: the strictest of the weights' own and of everything they come from."""
        return licences.strictest([self.licence, *(origin.licence for origin in self.provenance)])


@dataclass(frozen=True)
class GeneratorArtefact:
    """A generator and what is known of it; ``sha256`` is that of the file it was loaded from, empty before."""

    network: Generator
    meta: GeneratorMeta
    sha256: str = ""


def save(path: Path | str, artefact: GeneratorArtefact, *, storage: Storage = "fp32") -> str:
    """Write ``artefact`` whole or not at all and return the file's sha256.

    Raises ArtefactError where weights are not finite, and where the file cannot be written.
    """
    path = Path(path)
    state = stored(artefact.network, storage)
    network = _network(path, artefact.network.config, state)
    picture = _self_check(network)
    if not bool(torch.isfinite(picture).all()):
        raise ArtefactError(f"{path}: expected finite weights, got a picture of {picture[:3].tolist()}...: not saved")
    meta = artefact.meta.model_copy(
        update={
            "network": artefact.network.config.to_dict(),
            "storage": storage,
            "self_check": tuple(picture.tolist()),
            "created_with": versions(),
        }
    )
    return write(path, FORMAT, VERSION, meta.model_dump_json(), state)


def load(path: Path | str, *, verify: bool = True) -> GeneratorArtefact:
    """Return the generator in ``path``, frozen, in evaluation mode and float32 on the CPU.

    Raises ArtefactError for a file that is missing, damaged, of another kind or version, for weights that do not fit,
    and for a failed self-check.
    """
    path = Path(path)
    text, state = read(path, FORMAT, VERSION)
    try:
        meta = GeneratorMeta.model_validate_json(text)
        config = GeneratorConfig(**meta.network)
    except ValidationError as error:
        entries = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:3])
        raise ArtefactError(f"{path}: bad metadata ({entries}): get the file again") from error
    except (TypeError, ConfigError) as error:
        raise ArtefactError(f"{path}: bad network ({error}): get the file again") from error
    network = _network(path, config, state)
    if verify:
        kept, got = torch.tensor(meta.self_check), _self_check(network)
        error_ = float((got - kept).norm() / kept.norm().clamp_min(1e-12)) if kept.shape == got.shape else float("nan")
        if not error_ <= SELF_CHECK_TOLERANCE:
            raise ArtefactError(
                f"{path}: failed its self-check (relative error {error_:.2g}): weights are not those it was saved "
                "with; get the file again"
            )
    return GeneratorArtefact(network, meta, digest(path))


def set_mean_w(network: Generator, count: int = 16384) -> None:
    """Set ``mapping.w_avg`` to the mean w of ``count`` fixed z; what psi < 1 draws towards."""
    with torch.inference_mode():
        mean = network.mapping(_z(network.config, count)).mean(0)
    network.mapping.w_avg.copy_(mean)


def _network(path: Path, config: GeneratorConfig, state: dict[str, Tensor]) -> Generator:
    with torch.random.fork_rng(devices=[]):  # building draws initial weights: the caller's generator must not notice
        with torch.device("meta"):
            expected = Generator(config).state_dict()
        compare(path, f"a generator of {config.resolution} px", expected, state)
        network = Generator(config)
    network.load_state_dict(state)
    return network.eval().requires_grad_(False)


def _self_check(network: Generator) -> Tensor:
    with torch.inference_mode():
        image = network(_z(network.config, 1))
        return avg_pool2d(image, network.config.resolution // _COARSE).flatten()


def _z(config: GeneratorConfig, count: int) -> Tensor:
    return torch.from_numpy(Philox(0).normals(Stream.SELF_CHECK, np.arange(count, dtype=np.int64), config.z_dim))
