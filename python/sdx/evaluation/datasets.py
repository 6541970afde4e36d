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


def load(reference: str, subjects: Path | None = None) -> VerificationSet:
    """Return the verification set that ``reference`` names.

    Args:
        reference: one of `NAMES`, or the path of a ``.bin`` file as InsightFace distributes them (lfw, cfp_fp,
            agedb_30, ...): a pickle that is parsed, never executed.
        subjects: an .npy file that says who is in each image of a ``.bin`` file, integers [2 P], in file order.

    Raises DataError for an unknown name (with the nearest one), a missing or hostile file, one whose first image
    cannot be used, and for subjects that contradict the pairs or are given for a set that knows its own.
    """
    if subjects is not None and not is_file(reference):
        raise DataError(f"expected subjects of a .bin file alone, got {subjects} for {reference}")
    if reference in NAMES:
        return _rendered(reference)
    if reference in GROUPS:
        raise DataError(f"expected one verification set, got {reference!r}, which is several: name one of them")
    path = Path(reference).expanduser()
    if is_file(reference):
        return _read_bin(path, subjects)
    if path.suffix == ".bin" or len(path.parts) > 1:
        raise DataError(f"expected a verification file, found none at {reference}: check the path")
    near = difflib.get_close_matches(reference, (*NAMES, *GROUPS), 1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    known = ", ".join((*GROUPS["sim"], *GROUPS))
    raise DataError(f"unknown verification set {reference!r}: {hint}expected {known}, or the path of a .bin file")


def is_file(reference: str) -> bool:
    """Return whether ``reference`` names a file and no set of ours."""
    return reference not in NAMES and reference not in GROUPS and Path(reference).expanduser().is_file()


def _rendered(reference: str) -> VerificationSet:
    name, _, dev = reference.partition("@")
    found, checksum = rendered(name, "E-dev" if dev else "E-test")
    images = PixelImages(found.images)
    return VerificationSet(reference, "aligned", images, found.pairs, found.mated, found.identity, checksum)


def _read_bin(path: Path, subjects: Path | None) -> VerificationSet:
    """Read a ``.bin`` set; pair i is items 2i and 2i + 1, and items with the same bytes are one image."""
    content = _core.read_verification_bin(str(path))
    distinct, position = np.unique(content.first, return_inverse=True)
    pairs = position.reshape(-1, 2).astype(np.int64)
    if len(pairs) == 0:
        raise DataError(f"{path}: expected at least one pair, got none")
    images = EncodedImages(str(path), content.data, content.offsets, distinct.astype(np.int64))
    with path.open("rb") as file:
        checksum = hashlib.file_digest(file, "sha256").hexdigest()
    mated = np.asarray(content.mated, np.bool_)
    people = None if subjects is None else _read_subjects(subjects, pairs, mated)
    return VerificationSet(path.stem, "aligned", images, pairs, mated, people, checksum)


def _read_subjects(path: Path, pairs: NDArray[np.int64], mated: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the subject of each distinct image, int64 [M], from a file with one for each image of each pair."""
    try:
        with path.open("rb") as file:
            found = np.lib.format.read_array(file, allow_pickle=False)
    # What numpy raises for what is no array, for pickles, and for headers that promise too much.
    except (OSError, ValueError, EOFError, MemoryError, OverflowError) as error:
        raise DataError(f"{path}: expected an .npy file of subjects, got {error}") from error
    if found.dtype.kind not in "iu" or found.shape != (pairs.size,):
        got = f"{found.dtype} {list(found.shape)}"
        raise DataError(f"{path}: expected subjects as integers [{pairs.size}], one an image in file order, got {got}")
    sides = found.astype(np.int64).reshape(-1, 2)
    wrong = np.flatnonzero((sides[:, 0] == sides[:, 1]) != mated)
    if len(wrong):
        kind = "one subject" if mated[wrong[0]] else "two subjects"
        raise DataError(f"{path}: expected {kind} in pair {wrong[0]}, got {sides[wrong[0]].tolist()}")
    people = np.empty(pairs.max() + 1, np.int64)
    people[pairs] = sides
    if (unlike := np.flatnonzero((people[pairs] != sides).any(1))).size:
        got = f"{sides[unlike[0]].tolist()} and {people[pairs[unlike[0]]].tolist()}"
        raise DataError(f"{path}: expected one subject an image, got {got} for those of pair {unlike[0]}")
    return people
