"""A trained network in one file: safetensors with a JSON header that makes it usable years later, and checks itself.

No code is stored and none is run. The file holds the embedding of a fixed test face: a damaged weight, another
normalisation or a network whose definition has drifted is caught when the file is read, not in a bad score.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from sdx import networks
from sdx.align import view
from sdx.errors import ArtefactError, ConfigError
from sdx.random import Philox
from sdx.types import InputSpec, Stream
from sdx.weights.metadata import FORMAT, VERSION, ArtefactMeta, parse
from sdx.weights.storage import Storage, compare, digest, read, stored, versions, write

SELF_CHECK_TOLERANCE = 2e-4
"""Relative L2 error; other CPUs and thread counts stay under 1e-5, a wrong normalisation of 255/256 makes 4e-3."""

_COARSE = 8


@dataclass(frozen=True)
class Artefact:
    """A network, its input, and what is known of it.

    Args:
        network: [B, 3, size, size] -> [B, embedding].
        spec: the network's input.
        meta: the rest.
        sha256: of the file it was loaded from, hex; empty before.
    """

    network: nn.Module
    spec: InputSpec
    meta: ArtefactMeta
    sha256: str = ""


def save(path: Path | str, artefact: Artefact, *, storage: Storage = "fp32") -> str:
    """Write ``artefact`` so that ``path`` holds either the old file or all of the new one; return its sha256.

    Args:
        path: the file; its folder must exist.
        artefact: its network is not changed.
        storage: ``fp16`` rounds matrices and kernels to half precision; vectors (biases, BatchNorm) stay as they are.

    Raises ArtefactError where the network and the metadata do not fit, where weights are not finite or too large for
    fp16, and where the file cannot be written.
    """
    path, meta = Path(path), artefact.meta
    state = stored(artefact.network, storage)
    network = _network(path, meta, artefact.spec, state)
    embedding = _embed_self_check(network, artefact.spec)
    if not bool(torch.isfinite(embedding).all()):
        raise ArtefactError(
            f"{path}: expected finite weights, got an embedding of {embedding[:3].tolist()}...: not saved"
        )
    if meta.output == "unit" and abs(float(embedding.norm()) - 1) > 1e-3:
        raise ArtefactError(
            f"{path}: expected embeddings of length 1, got {float(embedding.norm()):.4g}: output is raw"
        )
    meta = meta.model_copy(
        update={
            "input": artefact.spec.to_dict(),
            "storage": storage,
            "self_check": tuple(embedding.tolist()),
            "created_with": versions(),
        }
    )
    # Without a threshold there is no word of it: versions that know none read the file.
    absent = {"threshold"} if meta.threshold is None else None
    return write(path, FORMAT, VERSION, meta.model_dump_json(exclude=absent), state)


def load(path: Path | str, *, verify: bool = True) -> Artefact:
    """Return the artefact in ``path``, its network frozen, in evaluation mode and float32 on the CPU.

    Args:
        path: a file `save` wrote.
        verify: whether to embed the test face and compare; a pass of one image.

    Raises ArtefactError for a file that is missing, truncated, of another kind, of a newer version, for an unknown
    architecture, for missing, extra or mis-shaped weights, and for a failed self-check.
    """
    path = Path(path)
    text, state = read(path, FORMAT, VERSION)
    meta = parse(text, str(path))
    try:
        spec = InputSpec.from_dict(meta.input)
    except ValueError as error:
        raise ArtefactError(f"{path}: {error}: get the file again") from error
    network = _network(path, meta, spec, state)
    if verify:
        _verify(path, network, spec, meta)
    return Artefact(network, spec, meta, digest(path))


def self_check_face(size: int) -> Tensor:
    """Return the face of the self-check, float32 [1, 3, size, size] in [-1, 1]: smooth Philox noise, no one's face."""
    noise = Philox(0).normals(Stream.SELF_CHECK, np.arange(3, dtype=np.int64), _COARSE * _COARSE)
    coarse = torch.from_numpy(noise).reshape(1, 3, _COARSE, _COARSE)
    smooth = nn.functional.interpolate(coarse, size=(size, size), mode="bilinear", align_corners=False)
    return smooth.mul(0.5).clamp(-1, 1)


def _network(path: Path, meta: ArtefactMeta, spec: InputSpec, state: dict[str, Tensor]) -> nn.Module:
    """Return the network of ``meta`` with ``state``, frozen; its shapes are compared before any memory is taken."""
    try:
        # Building draws initial weights: the caller's generator must not notice.
        with torch.random.fork_rng(devices=[]):
            with torch.device("meta"):
                expected = networks.build(meta.architecture, meta.embedding, spec.size).state_dict()
            compare(path, meta.architecture, expected, state)
            network = networks.build(meta.architecture, meta.embedding, spec.size)
    except ConfigError as error:
        raise ArtefactError(f"{path}: {error}") from error
    network.load_state_dict(state)
    return network.eval().requires_grad_(False)


def _embed_self_check(network: nn.Module, spec: InputSpec) -> Tensor:
    with torch.inference_mode():
        embedding: Tensor = network(view(self_check_face(spec.size), "aligned", spec))[0]
    return embedding


def _verify(path: Path, network: nn.Module, spec: InputSpec, meta: ArtefactMeta) -> None:
    stored, got = torch.tensor(meta.self_check), _embed_self_check(network, spec)
    if stored.shape != got.shape:
        raise ArtefactError(
            f"{path}: expected a self-check of {got.numel()} numbers, got {stored.numel()}: save it again"
        )
    error = float((got - stored).norm() / stored.norm().clamp_min(1e-12))
    if not error <= SELF_CHECK_TOLERANCE:  # NaN fails too
        cosine = float(nn.functional.cosine_similarity(got, stored, dim=0))
        raise ArtefactError(
            f"{path}: failed its self-check (relative error {error:.2g}, cosine {cosine:.6f}): "
            "weights or normalisation are not those it was saved with; get the file again"
        )
