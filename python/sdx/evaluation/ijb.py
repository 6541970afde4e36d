"""The lists of IJB-B and IJB-C as the field shares them: which image is of which template, and who is compared.

A folder holds, for a set called, say, ijbc: ``ijbc_face_tid_mid.txt`` (image, template, medium),
``ijbc_name_5pts_score.txt`` (image, five landmarks x y, detector score), ``ijbc_template_pair_label.txt`` (template,
template, 1 for one person), ``ijbc_1N_gallery_G1.csv`` and ``..._G2.csv`` (S1, S2 for IJB-B) and
``ijbc_1N_probe_mixed.csv`` (template, subject, and what else there may be, under a header). They are read strictly:
what is none of these is one error that names file and line.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sdx import _core
from sdx.errors import DataError
from sdx.evaluation.identification import Roster
from sdx.evaluation.template_pairs import TemplatePairs
from sdx.evaluation.templates import TemplateSet

_IMAGES, _LANDMARKS, _PAIRS = "_face_tid_mid.txt", "_name_5pts_score.txt", "_template_pair_label.txt"
_GALLERY, _PROBE = "_1N_gallery_*.csv", "_1N_probe_mixed.csv"


@dataclass(frozen=True, eq=False)
class ImageList:
    """The images of a set, in the order in which their embeddings are stored.

    Args:
        templates: which image makes which template; with detector scores.
        names: N file names.
        landmarks: float64 [N, 5, 2], (x, y) in pixels, as `sdx.align.warp` takes them.
    """

    templates: TemplateSet
    names: list[str]
    landmarks: NDArray[np.float64]


def read_images(folder: Path) -> ImageList:
    """Read the images of a set.

    Args:
        folder: with the lists, or with a folder ``meta`` of them.

    Raises DataError for a list that is missing, there twice or damaged, or where two lists differ in their images.
    """
    path = _one(folder, f"*{_IMAGES}")
    names, template, media = _core.read_columns(path, "tii")
    name = path.name.removesuffix(_IMAGES)
    marks = _one(folder, f"{name}{_LANDMARKS}")
    again, *numbers = _core.read_columns(marks, "t" + "f" * 11)
    if again != names:
        both = list(zip_longest(names, again, fillvalue="the end"))
        line = next(at for at, (one, other) in enumerate(both) if one != other)
        one, other = both[line]
        raise DataError(f"{marks}: expected the images of {path.name}, {one} in line {line + 1}, got {other}")
    with np.errstate(over="ignore"):  # what becomes infinite is refused where it is used
        score = numbers.pop().astype(np.float32)
    if (score < 0).any():
        bad = int((score < 0).argmax())
        raise DataError(f"{marks}: expected detector scores of at least 0, got {score[bad]} in line {bad + 1}")
    templates = TemplateSet(name, template.astype(np.int64), media.astype(np.int64), score)
    return ImageList(templates, names, np.stack(numbers, 1).reshape(-1, 5, 2))


def read_pairs(folder: Path) -> TemplatePairs:
    """Read the pairs of a set, int32 ids; ``folder`` as for `read_images`. 15.7 million take some seconds."""
    return TemplatePairs(*_core.read_columns(_one(folder, f"*{_PAIRS}"), "iib"))


def read_galleries(folder: Path) -> tuple[tuple[Roster, ...], Roster]:
    """Read the galleries, by name, and the probes of a set; ``folder`` as for `read_images`."""
    paths = _all(folder, f"*{_GALLERY}")
    if not paths:
        raise DataError(f"{folder}: expected *{_GALLERY}, got none, there or in meta")
    return tuple(read_roster(path) for path in paths), read_roster(_one(folder, f"*{_PROBE}"))


def read_roster(path: Path) -> Roster:
    """Read whose templates are whose: a header, then template and subject in the first two columns, comma-separated.

    A template may have a line for each of its images. Raises DataError where it has two subjects.
    """
    template, subject = _core.read_columns(path, "ii*", separator=",", header=True)
    ids, first, place = np.unique(template, return_index=True, return_inverse=True)
    other = subject != subject[first][place]
    if other.any():
        bad = int(other.argmax())
        raise DataError(
            f"{path}: expected one subject a template, got {subject[first[place[bad]]]} and {subject[bad]} for "
            f"template {template[bad]} in lines {first[place[bad]] + 2} and {bad + 2}"
        )
    return Roster(path.stem, ids.astype(np.int64), subject[first].astype(np.int64))


def _one(folder: Path, pattern: str) -> Path:
    found = _all(folder, pattern)
    if len(found) != 1:
        got = ", ".join(path.name for path in found) or "none"
        raise DataError(f"{folder}: expected one {pattern}, got {got}, there or in meta")
    return found[0]


def _all(folder: Path, pattern: str) -> list[Path]:
    return sorted(folder.glob(pattern)) or sorted((folder / "meta").glob(pattern))
