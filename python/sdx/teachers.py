"""The frozen network a student learns from."""

from __future__ import annotations

import dataclasses
from typing import Protocol

import torch
from torch import Tensor, nn

from sdx import networks, precision
from sdx.align import view
from sdx.errors import ArtefactError
from sdx.networks.folding import fold_batchnorm, fold_input_scale
from sdx.networks.fusing import fuse_endings
from sdx.precision import FULL, Policy
from sdx.slices import over_slices
from sdx.types import Frame, InputSpec
from sdx.weights import registry
from sdx.weights.licence import UNKNOWN
from sdx.weights.metadata import Origin
from sdx.weights.registry import LoadedModel

SLICE = 64
"""Images in one pass on a CPU: few enough that a layer's output stays near the processor."""


class Embedder(Protocol):
    """What the trainer needs of a teacher; a user's own class has these four and is asked for as ``module:Name``."""

    name: str
    embedding: int
    sha256: str

    def embed(self, face: Tensor, frame: Frame) -> Tensor:
        """Return raw embeddings, float32 [B, embedding], of faces [B, 3, S, S], RGB in [-1, 1], on their device."""


class Teacher:
    """A frozen model made quick: BatchNorm and input scale folded where exact, channels_last, no autograd at all.

    On CUDA a convolution's bias and what follows it are one kernel.

    Args:
        model: the loaded model; it is copied and not changed.
        device: where to embed.
        slice_size: images in one pass; `SLICE` on a CPU and the whole batch elsewhere unless given.
        policy: format of the convolutions.
    """

    def __init__(
        self,
        model: LoadedModel,
        *,
        device: torch.device | str = "cpu",
        slice_size: int | None = None,
        policy: Policy = FULL,
    ) -> None:
        self.model = model
        self.name = model.name
        self.embedding = model.embedding
        self.sha256 = model.sha256
        self.licence = model.licence
        self.provenance = model.provenance
        self.threshold = model.threshold
        self.slice_size = slice_size or (SLICE if torch.device(device).type == "cpu" else None)
        network, self.spec = _fold(model.network, model.spec)
        if torch.device(device).type == "cuda":
            network = fuse_endings(network)  # before the formats: biases and slopes stay in float32
        network = network.requires_grad_(False).to(device).to(memory_format=torch.channels_last)
        self.network = precision.convert(network, policy)

    def embed(self, face: Tensor, frame: Frame) -> Tensor:
        """Return the teacher's raw embeddings.

        Args:
            face: float32 [B, 3, S, S], RGB in [-1, 1].
            frame: how the faces sit in their images.

        Returns:
            float32 [B, embedding], an ordinary tensor that a loss can be differentiated against.
        """

        def run(part: Tensor) -> Tensor:
            seen = view(part, frame, self.spec).contiguous(memory_format=torch.channels_last)
            embedding: Tensor = self.network(seen)
            return embedding.float()

        return over_slices(run, [face], self.slice_size).clone()


def _fold(network: nn.Module, spec: InputSpec) -> tuple[nn.Module, InputSpec]:
    """Return the folded copy of ``network`` and what is left of ``spec`` to apply."""
    folded = fold_batchnorm(network)
    stem = networks.input_convolution(folded)
    if stem is None or spec.shift != 0.0 or stem.padding_mode != "zeros":
        return folded, spec
    fold_input_scale(stem, spec.scale, swap_channels=spec.order == "BGR")
    return folded, dataclasses.replace(spec, scale=1.0, order="RGB")


def build(reference: str, *, device: torch.device | str = "cpu", policy: Policy = FULL) -> Embedder:
    """Return the teacher that ``reference`` names, its convolutions in the policy's format.

    ``reference`` is any model that `sdx.weights.registry.resolve` knows and that is one model alone, or
    ``module:Name``, a class or function of the user's that returns a LoadedModel or an `Embedder`. Raises
    ArtefactError for a reference that leads to none or to several.
    """
    found = registry.user_object(reference)
    if found is not None and not isinstance(found, LoadedModel):
        if missing := [name for name in ("name", "embedding", "sha256", "embed") if not hasattr(found, name)]:
            raise ArtefactError(f"{reference}: expected a LoadedModel or a teacher, got one without {missing[0]!r}")
        embedder: Embedder = found
        return embedder
    models = registry.resolve(reference) if found is None else [found]
    if len(models) != 1:
        names = ", ".join(model.name for model in models)
        raise ArtefactError(f"{reference}: expected one model to teach, got {len(models)} ({names}): name one's file")
    return Teacher(models[0], device=device, policy=policy)


def exact(teacher: Embedder) -> Embedder:
    """Return the teacher in float32, for figures that are to be compared; a user's own embedder is what it is."""
    return Teacher(teacher.model) if isinstance(teacher, Teacher) else teacher


def origins(teacher: Embedder) -> list[Origin]:
    """Return a teacher, and where it comes from, as links of the chain that a student comes from."""
    licence = getattr(teacher, "licence", UNKNOWN)
    own = Origin(role="teacher", name=teacher.name, licence=licence, sha256=teacher.sha256)
    return [own, *getattr(teacher, "provenance", ())]
