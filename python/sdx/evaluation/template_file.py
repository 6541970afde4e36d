"""Embeddings of a template set in an .npz file, under our names or those of the field's scripts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdx.errors import DataError
from sdx.evaluation import arrays
from sdx.evaluation.template_pairs import TemplatePairs
from sdx.evaluation.templates import ImageEmbeddings, TemplateSet
from sdx.files import replacing

NAMES = {
    "embedding": ("embedding", "embs", "img_feats"),
    "mirrored": ("mirrored", "embs_f"),
    "template": ("template", "templates"),
    "media": ("media", "medias"),
    "detector_score": ("detector_score", "face_scores"),
    "first": ("first", "p1"),
    "second": ("second", "p2"),
    "mated": ("mated", "label"),
}
"""Names that each array may have."""

_MOST_BYTES = 64 << 30


class TemplateFile:
    """What an .npz file holds of a template set; only what is asked for is read.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def images(self, *, halves: bool = False) -> ImageEmbeddings:
        """Return the embeddings of N images, and of their mirror images where the file has them.

        Args:
            halves: the second half of each row is the mirror image's.

        Raises DataError for a file without them, or with arrays of another form.
        """
        with arrays.opened(self.path, _MOST_BYTES) as file:
            face = self._floats(file, "embedding", 2)
            mirrored = None if halves or not self._name(file, "mirrored") else self._floats(file, "mirrored", 2)
        if face.size == 0 or (halves and face.shape[1] % 2):
            raise DataError(f"{self.path}: expected embeddings {'of even length' if halves else ''}, got {_form(face)}")
        if mirrored is not None and mirrored.shape != face.shape:
            raise DataError(f"{self.path}: expected mirrored embeddings {_form(face)}, got {_form(mirrored)}")
        return ImageEmbeddings(face, mirrored, halves)

    def templates(self) -> TemplateSet:
        """Return which image makes which template; raises DataError for a file that does not say."""
        with arrays.opened(self.path, _MOST_BYTES) as file:
            template, media = self._integers(file, "template"), self._integers(file, "media")
            score = self._floats(file, "detector_score", 1) if self._name(file, "detector_score") else None
        lengths = {len(template), len(media), len(template if score is None else score)}
        if len(lengths) > 1:
            raise DataError(f"{self.path}: expected a template, a medium and a score an image, got {sorted(lengths)}")
        return TemplateSet(self.path.stem, template, media, score)

    def pairs(self) -> TemplatePairs:
        """Return the pairs of templates; raises DataError for a file without them."""
        with arrays.opened(self.path, _MOST_BYTES) as file:
            first, second = self._integers(file, "first"), self._integers(file, "second")
            mated = self._array(file, "mated")
        is_label = mated.dtype.kind in "biuf" and np.isin(mated, (0, 1)).all()
        if not (is_label and first.shape == second.shape == mated.shape and len(first)):
            raise DataError(
                f"{self.path}: expected two templates and a label, 0 or 1, a pair, got {len(first)} and {len(second)} "
                f"templates and labels {_form(mated)}"
            )
        return TemplatePairs(first, second, mated.astype(np.bool_))

    def _name(self, file: Mapping[str, NDArray[Any]], kind: str) -> str | None:
        found = [name for name in NAMES[kind] if name in file]
        if len(found) > 1:
            raise DataError(f"{self.path}: expected one of {', '.join(NAMES[kind])}, got {' and '.join(found)}")
        return found[0] if found else None

    def _array(self, file: Mapping[str, NDArray[Any]], kind: str) -> NDArray[Any]:
        name = self._name(file, kind)
        if name is None:
            got = ", ".join(file) or "no arrays"
            raise DataError(f"{self.path}: expected an array {' or '.join(NAMES[kind])}, got {got}")
        return file[name]

    def _floats(self, file: Mapping[str, NDArray[Any]], kind: str, dimensions: int) -> NDArray[np.float32]:
        found = self._array(file, kind)
        if found.ndim != dimensions or found.dtype.kind != "f":
            raise DataError(f"{self.path}: expected {kind} as floats of {dimensions} dimensions, got {_form(found)}")
        with np.errstate(over="ignore"):  # what becomes infinite is refused where it is used
            return np.ascontiguousarray(found, np.float32)

    def _integers(self, file: Mapping[str, NDArray[Any]], kind: str) -> NDArray[np.int64]:
        found = self._array(file, kind)
        if found.ndim != 1 or found.dtype.kind not in "iu":
            raise DataError(f"{self.path}: expected {kind} as whole numbers of one dimension, got {_form(found)}")
        if found.dtype == np.uint64 and found.max(initial=0) > np.iinfo(np.int64).max:
            raise DataError(f"{self.path}: expected {kind} as numbers below 2^63, got {found.max()}")
        return np.ascontiguousarray(found, np.int64)


def write(
    path: Path, embedding: NDArray[np.float32], mirrored: NDArray[np.float32] | None, templates: TemplateSet
) -> None:
    """Write what `TemplateFile` reads back, beside ``path`` and then there; OSError leaves the old file as it was.

    Args:
        path: of the file.
        embedding: float32 [N, D], raw.
        mirrored: float32 [N, D], those of the mirror images, or None.
        templates: which image makes which template.
    """
    optional = {"mirrored": mirrored, "detector_score": templates.detector_score}
    there: dict[str, Any] = {name: array for name, array in optional.items() if array is not None}
    with replacing(path) as file:
        np.savez(file, embedding=embedding, template=templates.template, media=templates.media, **there)


def _form(array: NDArray[Any]) -> str:
    return f"{array.dtype} {list(array.shape)}"
