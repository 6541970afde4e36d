"""Verification sets by name or from a file: who is compared with whom."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sdx import _core
from sdx.errors import DataError
from sdx.evaluation.images import EncodedImages, Images, PixelImages
from sdx.evaluation.rendered import rendered
from sdx.types import Frame

SIMFACE_SETS = ("sim-easy", "sim-pose", "sim-age", "sim-hardpose", "sim-hardage", "sim-low")
"""The built-in sets; each is the test split, and the dev split with ``@dev`` behind its name."""

GROUPS = {"sim": SIMFACE_SETS, "sim@dev": tuple(f"{name}@dev" for name in SIMFACE_SETS)}
"""Names that stand for several sets."""

NAMES = (*GROUPS["sim"], *GROUPS["sim@dev"])


@dataclass(frozen=True, eq=False)
class VerificationSet:
    """Pairs of faces, each of one person (mated) or of two (non-mated).

    Args:
        name: what reports call it.
        frame: how a face sits in its image.
        images: the M distinct images.
        pairs: int64 [P, 2], positions in ``images``; the order is the protocol's (ten contiguous folds).
        mated: bool [P].
        subjects: int64 [M], the person in each image, None where the set does not say.
        sha256: hex; of the file, or of the content of a rendered set.
    """

    name: str
    frame: Frame
    images: Images
    pairs: NDArray[np.int64]
    mated: NDArray[np.bool_]
    subjects: NDArray[np.int64] | None
    sha256: str

    @property
    def size(self) -> int:
        """Side of the images in pixels."""
        return self.images.size


def expand(references: Iterable[str]) -> list[str]:
    """Return the references with the names of `GROUPS` replaced by their sets, each once, in order."""
    return list(dict.fromkeys(one for reference in references for one in GROUPS.get(reference, (reference,))))


def load(reference: str) -> VerificationSet:
    """Return the verification set that ``reference`` names.

    Args:
        reference: one of `NAMES`, or the path of a ``.bin`` file as InsightFace distributes them (lfw, cfp_fp,
            agedb_30, ...): a pickle that is parsed, never executed.

    Raises DataError for an unknown name (with the nearest one), a missing or hostile file, or one whose first image
    cannot be used.
    """
    if reference in NAMES:
        return _rendered(reference)
    if reference in GROUPS:
        raise DataError(f"expected one verification set, got {reference!r}, which is several: name one of them")
    path = Path(reference).expanduser()
    if path.is_file():
        return _read_bin(path)
    if path.suffix == ".bin" or len(path.parts) > 1:
        raise DataError(f"expected a verification file, found none at {reference}: check the path")
    near = difflib.get_close_matches(reference, (*NAMES, *GROUPS), 1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    known = ", ".join((*GROUPS["sim"], *GROUPS))
    raise DataError(f"unknown verification set {reference!r}: {hint}expected {known}, or the path of a .bin file")


def _rendered(reference: str) -> VerificationSet:
    name, _, dev = reference.partition("@")
    found, checksum = rendered(name, "E-dev" if dev else "E-test")
    images = PixelImages(found.images)
    return VerificationSet(reference, "aligned", images, found.pairs, found.mated, found.identity, checksum)


def _read_bin(path: Path) -> VerificationSet:
    """Read a ``.bin`` set; pair i is items 2i and 2i + 1, and items with the same bytes are one image."""
    content = _core.read_verification_bin(str(path))
    distinct, position = np.unique(content.first, return_inverse=True)
    pairs = position.reshape(-1, 2).astype(np.int64)
    if len(pairs) == 0:
        raise DataError(f"{path}: expected at least one pair, got none")
    images = EncodedImages(str(path), content.data, content.offsets, distinct.astype(np.int64))
    with path.open("rb") as file:
        checksum = hashlib.file_digest(file, "sha256").hexdigest()
    return VerificationSet(path.stem, "aligned", images, pairs, np.asarray(content.mated, np.bool_), None, checksum)
