"""Scores of any other tool, judged: the field's way to read rates off them beside the exact one."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdx import _core
from sdx.errors import DataError
from sdx.evaluation import arrays
from sdx.evaluation.support import Support, support

FMRS = {"1e-1": 1e-1, "1e-2": 1e-2, "1e-3": 1e-3, "1e-4": 1e-4, "1e-5": 1e-5, "1e-6": 1e-6}
"""False match rates of the table, by the name they have in it."""

SCORES = ("score", "scores", "similarity", "y_score")
LABELS = ("mated", "label", "labels", "issame", "y_true")

Z95 = 1.959963984540054
"""Standard deviations to either side of a 95 % interval."""

_MOST_BYTES = 8 << 30


@dataclass(frozen=True)
class Rate:
    """What one asked FMR comes to.

    Args:
        fmr: asked.
        policy: ``at most`` (exact) or ``nearest`` (the field's).
        threshold: scores from here on are accepted.
        attained: FMR there.
        false_matches: non-mated pairs accepted there.
        fnmr: share of mated pairs rejected there; TAR is 1 - FNMR.
        false_non_matches: mated pairs rejected.
        fnmr_interval: Wilson's 95 % interval of ``fnmr``, pairs taken as independent.
        support: by the false matches that can occur at ``fmr``, see `sdx.evaluation.support`.
    """

    fmr: float
    policy: str
    threshold: float
    attained: float
    false_matches: int
    fnmr: float
    false_non_matches: int
    fnmr_interval: tuple[float, float]
    support: Support


@dataclass(frozen=True)
class Judgement:
    """A file of scores, judged; rates are fractions.

    Args:
        mated: pairs of one person.
        nonmated: pairs of two.
        rates: for each name of `FMRS` the exact answer and the field's.
        eer: mean of FMR and FNMR where they are closest.
        eer_threshold: there.
        auc: area under the ROC curve.
        accuracy: mean of ten folds in file order for protocol ``exact`` and ``insightface``, None where the scores are
            neither cosines nor squared distances of unit embeddings, or too few.
    """

    mated: int
    nonmated: int
    rates: dict[str, tuple[Rate, Rate]]
    eer: float
    eer_threshold: float
    auc: float
    accuracy: dict[str, float] | None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, the keys being the fields."""
        return asdict(self)


def load(
    path: Path, score: str | None = None, label: str | None = None
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Read scores, float64 [P], and labels, bool [P], of an .npz file; nothing in it can run.

    Args:
        path: of the file.
        score: name of the array of scores, None for the one there is among `SCORES`.
        label: name of the array of labels (True or 1 for one person), None for the one there is among `LABELS`.

    Raises DataError for what is no .npz file of plain arrays, or does not hold one number and one label a pair.
    """
    with arrays.opened(path, _MOST_BYTES) as file:
        names = list(file)
        values = file[_chosen(path, names, "score", score, SCORES)]
        labels = file[_chosen(path, names, "label", label, LABELS)]
    if values.ndim != 1 or values.dtype.kind not in "fiu":
        raise DataError(f"{path}: expected scores as numbers [P], got {values.dtype} {list(values.shape)}")
    if labels.shape != values.shape or not (labels.dtype == bool or labels.dtype.kind in "iuf"):
        raise DataError(
            f"{path}: expected a label for each of {len(values)} scores, got {labels.dtype} {list(labels.shape)}"
        )
    if not np.isin(labels, (0, 1)).all():
        raise DataError(f"{path}: expected labels 0 and 1, got {np.unique(labels)[:4].tolist()}")
    return np.ascontiguousarray(values, np.float64), np.ascontiguousarray(labels.astype(bool))


def _chosen(path: Path, names: list[str], kind: str, asked: str | None, known: tuple[str, ...]) -> str:
    found = [name for name in ((asked,) if asked else known) if name in names]
    if len(found) != 1:
        wanted = asked or f"one of {', '.join(known)}"
        raise DataError(
            f"{path}: expected {wanted} as {kind}s, got {', '.join(names) or 'no arrays'}; give --{kind} NAME"
        )
    return found[0]


def judge(score: NDArray[np.float64], mated: NDArray[np.bool_], *, is_distance: bool = False) -> Judgement:
    """Return the rates of scores, float64 [P], and labels, bool [P], in file order.

    Args:
        score: higher is more alike, unless ``is_distance``.
        mated: whether a pair is of one person.
        is_distance: lower is more alike; thresholds are then those of the distance's negative.

    Raises DataError for scores that are not finite, or pairs of one kind alone.
    """
    similarity = -score if is_distance else score
    curve = _core.Curve(similarity, mated)
    rates = {name: (_rate(curve, fmr, "at most"), _rate(curve, fmr, "nearest")) for name, fmr in FMRS.items()}
    equal = curve.equal_error()
    distance = score if is_distance else 2 - 2 * score
    accuracy = None
    if len(score) >= 10 and distance.min() >= -1e-6 and distance.max() <= 4 + 1e-6:
        accuracy = {
            protocol: float(np.mean(_core.tenfold_accuracy(distance.clip(0, 4), mated, protocol).accuracy))
            for protocol in ("exact", "insightface")
        }
    return Judgement(
        mated=curve.mated,
        nonmated=curve.nonmated,
        rates=rates,
        eer=(equal.fmr + equal.fnmr) / 2,
        eer_threshold=equal.threshold,
        auc=curve.auc(),
        accuracy=accuracy,
    )


def _rate(curve: _core.Curve, fmr: float, policy: Any) -> Rate:
    return rate(curve.at_fmr(fmr, policy), fmr, policy, curve.mated, curve.nonmated)


def rate(point: _core.OperatingPoint, fmr: float, policy: str, mated: int, nonmated: int) -> Rate:
    """Return what an operating point says about an asked FMR, of so many mated and non-mated pairs."""
    return Rate(
        fmr=fmr,
        policy=policy,
        threshold=point.threshold,
        attained=point.fmr,
        false_matches=point.false_matches,
        fnmr=point.fnmr,
        false_non_matches=point.false_non_matches,
        fnmr_interval=_core.wilson(point.false_non_matches, mated, Z95),
        support=support(nonmated * fmr),
    )
