"""Templates: the images of a person that stand together, made one vector, with what was done said in full."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sdx import _core
from sdx.errors import ConfigError, DataError

Flip = Literal["sum", "concat", "none"]
"""What becomes of the mirror image's embedding: added to the image's, put behind it, or left out."""

SCRIPTS = {"eval_ijbc": True, "ijb_evals": False}
"""Whether norms weigh the images where a script of the field says N1; the two mean opposite things by it.

Both call their default, in which norms weigh, another name: N1D1F1 and N0D1F1.
"""

_LARGEST_TABLE = 1 << 24


@dataclass(frozen=True)
class Weighting:
    """How the images of a template weigh.

    Args:
        norm_weighting: images weigh by the length of their embedding; otherwise it is divided out.
        detector_weighting: images weigh by the detector's score.
        flip: see `Flip`; joined before anything else.
    """

    norm_weighting: bool = True
    detector_weighting: bool = True
    flip: Flip = "sum"

    @classmethod
    def of_script(cls, name: str) -> Weighting:
        """Return what a script calls, say, ``eval_ijbc:N1D1F1``.

        F1 is the sum, as both scripts run it (a comment in one calls concatenation F1 and the sum F2). ConfigError for
        another name, and for one that does not say whose it is.
        """
        script, _, mode = name.rpartition(":")
        found = re.fullmatch(r"N([01])D([01])F([01])", mode)
        if script not in SCRIPTS or not found:
            raise ConfigError(
                "expected eval_ijbc:N1D1F1 (N1: norms weigh) or ijb_evals:N0D1F1 (N1: norms are divided out), digits 0 "
                f"or 1, got {name!r}: the two scripts mean opposite things by N"
            )
        norms, detector, flip = (digit == "1" for digit in found.groups())
        return cls(norms == SCRIPTS[script], detector, "sum" if flip else "none")

    def names(self) -> dict[str, str]:
        """Return what each of `SCRIPTS` calls it; nothing for a concatenation, which neither runs."""
        if self.flip == "concat":
            return {}
        end = f"D{self.detector_weighting:d}F{self.flip == 'sum':d}"
        return {script: f"N{self.norm_weighting == means_norms:d}{end}" for script, means_norms in SCRIPTS.items()}

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values: the fields, and what the field's scripts call them."""
        return {**asdict(self), "called": self.names()}

    def __str__(self) -> str:
        names = ", ".join(f"{script}.py: {name}" for script, name in self.names().items())
        return (
            f"norm weighting {'on' if self.norm_weighting else 'off'}, detector weighting "
            f"{'on' if self.detector_weighting else 'off'}, flip {self.flip}{names and f' ({names})'}"
        )


@dataclass(frozen=True, eq=False)
class ImageEmbeddings:
    """Raw embeddings of N images.

    Args:
        face: float32 [N, D], or [N, 2 D] with ``halves``.
        mirrored: float32 [N, D], those of the mirror images, where they are known and not in ``face``.
        halves: the second half of each row is the mirror image's.
    """

    face: NDArray[np.float32]
    mirrored: NDArray[np.float32] | None = None
    halves: bool = False

    def __len__(self) -> int:
        return len(self.face)


@dataclass(frozen=True, eq=False)
class TemplateSet:
    """Which images make which template.

    Args:
        name: what reports call it.
        template: int64 [N], id of each image's template.
        media: int64 [N], medium of each image (the frames of a video share one), told apart within a template.
        detector_score: float32 [N], at least 0, the detector's trust in each face; None where it is not known.
    """

    name: str
    template: NDArray[np.int64]
    media: NDArray[np.int64]
    detector_score: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.template)

    def aggregate(self, images: ImageEmbeddings, weighting: Weighting) -> Templates:
        """Return the templates of the images' embeddings.

        Raises DataError for embeddings of other images, a value that is not finite, or a template whose embeddings
        cancel; ConfigError where scores or mirror images are asked for that are not there. Source: the order of
        InsightFace ``recognition/_evaluation_/ijb`` (protocol only).
        """
        if len(images) != len(self):
            raise DataError(
                f"{self.name}: expected an embedding of each of {len(self):,} images, in their order, got "
                f"{len(images):,}"
            )
        if weighting.detector_weighting and self.detector_score is None:
            raise ConfigError(
                f"{self.name}: expected detector scores to weigh by, got none: turn that off (--no-detector)"
            )
        if weighting.flip != "none" and images.mirrored is None and not images.halves:
            raise ConfigError(
                f"{self.name}: expected embeddings of mirror images to join, got none: set flip to none (--flip none)"
            )
        ids, place = np.unique(self.template, return_inverse=True)
        unit = _core.aggregate_templates(
            images.face,
            place.astype(np.int64),
            self.media,
            len(ids),
            norm_weighting=weighting.norm_weighting,
            flip=weighting.flip,
            mirrored=images.mirrored if weighting.flip != "none" else None,
            halves=images.halves,
            detector_score=self.detector_score if weighting.detector_weighting else None,
        )
        return Templates(self.name, weighting, len(self), ids, unit)


@dataclass(frozen=True, eq=False)
class Templates:
    """Templates made of images.

    Args:
        name: of the set.
        weighting: how they were made.
        images: how many made them.
        ids: int64 [T], ascending.
        unit: float32 [T, D], of unit length.
    """

    name: str
    weighting: Weighting
    images: int
    ids: NDArray[np.int64]
    unit: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.ids)

    def places(self, ids: NDArray[np.integer]) -> NDArray[np.int32]:
        """Return where templates stand, int32 [P]; DataError for an id that there is no template of."""
        high = int(self.ids[-1])
        if self.ids[0] >= 0 and high < _LARGEST_TABLE and len(ids) and ids.min() >= 0 and ids.max() <= high:
            table = np.full(high + 1, -1, np.int32)  # twenty times as fast as a search for millions of pairs
            table[self.ids] = np.arange(len(self.ids), dtype=np.int32)
            place: NDArray[np.int32] = table[ids]
            missing = place < 0
        else:
            place = np.searchsorted(self.ids, ids).clip(max=len(self.ids) - 1).astype(np.int32)
            missing = self.ids[place] != ids
        if missing.any():
            at = int(missing.argmax())
            raise DataError(f"{self.name}: expected images of every template, got none of template {ids[at]}")
        return place
