"""Shared data contracts: what flows between source, sampler, teacher, students and losses.

Shape letters: B batch, S face size in pixels, L latent size, D embedding size, P pairs.
Faces are float32 [B, 3, S, S], RGB, in [-1, 1], everywhere outside a network.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from enum import IntEnum
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Frame = Literal["aligned", "ffhq"]
"""How a face sits in its image: ``aligned`` = the whole image is the face crop; ``ffhq`` = FFHQ's wider frame."""

Box = tuple[float, float, float, float]
"""(top, left, bottom, right) in fractions of the frame, each in [0, 1]."""

WHOLE: Box = (0.0, 0.0, 1.0, 1.0)


HELD_OUT = 1 << 48
"""First image number of the draws kept aside for validation; training never reaches it."""


class Stream(IntEnum):
    """What a random number is for. Together with (seed, index, element) it keys Philox4x32-10; never renumber."""

    LATENT = 0  # root latents of a latent source
    PERTURBATION = 1  # the sampler's noise around a parent latent
    AUGMENTATION = 2  # the student's view of a face
    LAYER_NOISE = 3  # StyleGAN2's per-layer noise
    GRAIN = 4  # sensor noise of a rendered capture
    IDENTITY = 5  # SimFace: coordinates of a person
    FAMILY = 6  # SimFace: coordinates of a family of similar people
    VIEW = 7  # SimFace: nuisance of one capture
    PAIRING = 8  # choice of verification pairs
    SHUFFLE = 9  # order of a stored data set
    SELF_CHECK = 10  # the test face of a model artefact
    POOL = 11  # draws from the sampler's pool
    BOOTSTRAP = 12  # how often a subject is drawn in a replicate


class Random(Protocol):
    """Counter-based random numbers of one seed: a pure function of (stream, index, element), see `sdx.random`."""

    @property
    def seed(self) -> int:
        """The seed; with stream, index and element, `sdx_kernels.random` draws the same numbers on a GPU."""

    def normals(self, stream: Stream, index: NDArray[np.int64], count: int) -> NDArray[np.float32]:
        """Return standard normals, float32 [len(index), count]."""

    def uniforms(self, stream: Stream, index: NDArray[np.int64], count: int) -> NDArray[np.float32]:
        """Return uniforms in [0, 1), float32 [len(index), count]."""

    def permutation(self, stream: Stream, index: int, length: int) -> NDArray[np.int64]:
        """Return a random order of range(length), int64 [length]."""


@dataclass(frozen=True)
class Proposal:
    """What a sampler asks a source to draw.

    Args:
        index: int64 [B], the image's number; it keys every random number of that image.
        latent: float32 [B, L] on the source's device, or None for sources that have no latent; all else on the host.
        parent: int64 [B], index of the image this one was derived from, -1 for a root.
        scale: float32 [B], size of the perturbation away from the parent, 0 for a root.
    """

    index: Tensor
    latent: Tensor | None
    parent: Tensor
    scale: Tensor

    def __len__(self) -> int:
        return self.index.shape[0]


@dataclass(frozen=True)
class Batch:
    """Faces drawn by a source.

    Args:
        index: int64 [B], on the host, whose random numbers it keys; all else may be on a GPU.
        face: float32 [B, 3, S, S], RGB in [-1, 1], in the source's frame.
        latent: float32 [B, L] of latent sources.
        target: float32 [B, D], a stored teacher embedding; where present no teacher pass runs.
        label: int64 [B], class of a labelled source.
        group: int64 [B], demographic or phenotype group where known.
    """

    index: Tensor
    face: Tensor
    latent: Tensor | None = None
    target: Tensor | None = None
    label: Tensor | None = None
    group: Tensor | None = None

    def __len__(self) -> int:
        return self.index.shape[0]

    def on(self, device: torch.device) -> Batch:
        """Return the batch with all but its numbers on a device; tensors that are there already are kept."""
        names = ("face", "latent", "target", "label", "group")
        there = {name: tensor for name in names if (tensor := getattr(self, name)) is not None}
        return replace(self, **{name: tensor.to(device) for name, tensor in there.items()})


@dataclass(frozen=True)
class InputSpec:
    """What a network wants to see; the network owns it, its artefact stores it, `sdx.align.view` alone applies it.

    The network's input is ``scale * x + shift`` where x in [-1, 1] is the face after crop, resize and channel order.

    Args:
        size: side of the square input in pixels.
        order: channel order.
        scale: multiplier of x; SynthDistill's teacher has 255/256 = 0.99609375 ((v - 127.5) / 128).
        shift: added after the multiplication.
        crop: box within the *aligned* face.
    """

    size: int
    order: Literal["RGB", "BGR"] = "RGB"
    scale: float = 1.0
    shift: float = 0.0
    crop: Box = WHOLE

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> InputSpec:
        """Build from `to_dict`'s values; raises ValueError on a missing, unknown or ill-typed entry."""
        try:
            size, order = int(values["size"]), values["order"]
            crop = tuple(float(v) for v in values["crop"])
            scale, shift = float(values["scale"]), float(values["shift"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"input spec: {error!r} in {values!r}") from error
        ordered = len(crop) == 4 and 0 <= crop[0] < crop[2] <= 1 and 0 <= crop[1] < crop[3] <= 1
        if order not in ("RGB", "BGR") or not ordered or not 1 <= size <= 4096:
            raise ValueError(f"input spec: expected size 1..4096, order RGB or BGR and an ordered crop, got {values!r}")
        return cls(size, order, scale, shift, (crop[0], crop[1], crop[2], crop[3]))
