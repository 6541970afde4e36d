"""What a student is measured against: pixels alone, random weights, and the way from there to the teacher."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from statistics import fmean

import torch
from torch import Tensor

from sdx import students
from sdx.align import view
from sdx.teachers import Teacher
from sdx.types import Frame, InputSpec
from sdx.weights.registry import LoadedModel

_CALIBRATION_BATCH = 64


class PixelPca:
    """The oldest face recogniser: leading principal components of the pixels (Turk and Pentland, 1991).

    Components are whitened, which verifies better than plain ones on the dev sets of SimFace.

    Args:
        face: float32 [N, 3, S, S] in [-1, 1], N > components: faces of the source the student learns from, never of a
            verification set.
        frame: how they sit in their images.
        components: size of the embedding.
        size: side in pixels at which pixels are compared.
    """

    def __init__(self, face: Tensor, frame: Frame, *, components: int = 64, size: int = 32) -> None:
        if len(face) <= components:
            raise ValueError(f"expected more faces than the {components} components, got {len(face)}")
        self.name = f"pca-{components}"
        self.embedding = components
        self._spec = InputSpec(size)
        pixels = view(face, frame, self._spec).flatten(1)
        self._mean = pixels.mean(0)
        _, singular, directions = torch.linalg.svd(pixels - self._mean, full_matrices=False)
        deviation = singular[:components] / (len(face) - 1) ** 0.5
        # a direction without variance carries nothing: the floor keeps it from becoming infinite
        self._weight = (directions[:components] / deviation.clamp_min(1e-6)[:, None]).T.contiguous()
        self.sha256 = _sha256([self._mean, self._weight])

    def embed(self, face: Tensor, frame: Frame) -> Tensor:
        """Return whitened components, float32 [B, components], of faces float32 [B, 3, S, S] in [-1, 1]."""
        pixels = view(face, frame, self._spec).flatten(1)
        return torch.matmul(pixels - self._mean, self._weight)


def random_student(
    architecture: str, embedding: int, seed: int, face: Tensor, frame: Frame, *, size: int | None = None
) -> Teacher:
    """Return a student that has learnt nothing, its BatchNorm statistics set: 0 % of the way to the teacher.

    One seed says little (figures move 3 to 5 points with it): average several.

    Args:
        architecture: see `sdx.networks.build`.
        embedding: size of the embedding.
        seed: of the weights; torch's own generator is left as it was.
        face: float32 [N, 3, S, S] in [-1, 1], N >= 64 (what is over a multiple of 64 is not used): faces of the source
            the student learns from, for the statistics.
        frame: how they sit in their images.
        size: side of its input in pixels; what the architecture is made for unless given.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        student = students.build(f"random-{seed}", architecture, embedding, size=size)
    starts = range(0, len(face) - _CALIBRATION_BATCH + 1, _CALIBRATION_BATCH)
    batches = (view(face[start : start + _CALIBRATION_BATCH], frame, student.spec) for start in starts)
    students.calibrate_batchnorm(student.network, batches)
    student.network.eval().requires_grad_(False)
    checksum = _sha256(list(student.network.state_dict().values()))
    return Teacher(LoadedModel(student.name, student.network, student.spec, "Apache-2.0", (), checksum, embedding))


def gap_closed(
    student: Mapping[str, float], random: Sequence[Mapping[str, float]], teacher: Mapping[str, float]
) -> float:
    """Return how far the student came from random weights to the teacher, in mean accuracy: 0 none, 1 all of the way.

    Args:
        student: accuracy by verification set.
        random: the same of several random students.
        teacher: the same of the teacher.

    Raises ValueError where the sets differ, or the teacher is no better than random.
    """
    if not random or any(scores.keys() != teacher.keys() for scores in (student, *random)):
        raise ValueError("expected scores of student, random students and teacher on the same sets")
    start = fmean(fmean(scores.values()) for scores in random)
    whole = fmean(teacher.values()) - start
    if whole <= 0:
        raise ValueError(f"expected a teacher better than random weights, got {fmean(teacher.values())} and {start}")
    return (fmean(student.values()) - start) / whole


def _sha256(tensors: Sequence[Tensor]) -> str:
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()
