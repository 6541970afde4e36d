"""A threshold fixed beforehand on other data: what it makes here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from sdx import _core
from sdx.evaluation.intervals import Interval, Judged, of_rate, squared_distance
from sdx.evaluation.support import Support, support
from sdx.evaluation.verification import Scores


@dataclass(frozen=True)
class Operation:
    """Errors at a threshold that this data had no part in choosing; rates are fractions.

    Args:
        cosine: the threshold; pairs from here on are accepted.
        distance: the same as a squared distance of unit embeddings, 2 - 2 x cosine; pairs up to here are accepted.
        chosen_on: name of the data it was chosen on, None where the user gave it.
        asked_fmr: what it was chosen for, None likewise.
        fmr: share of the non-mated pairs accepted here.
        false_matches: their number.
        fmr_interval: 95 % interval of ``fmr``.
        fmr_support: by the false matches made, see `sdx.evaluation.support`.
        fnmr: share of the mated pairs rejected here.
        false_non_matches: their number.
        fnmr_interval: 95 % interval of ``fnmr``.
        fnmr_support: by the false non-matches made.
    """

    cosine: float
    distance: float
    chosen_on: str | None
    asked_fmr: float | None
    fmr: float
    false_matches: int
    fmr_interval: Interval
    fmr_support: Support
    fnmr: float
    false_non_matches: int
    fnmr_interval: Interval
    fnmr_support: Support

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, the keys being the fields."""
        return asdict(self)


def threshold(scores: Scores, given: float | None) -> float | None:
    """Return the cosine at which scores are to be judged: the user's, else the model's own, None where there is none.

    A model's own is for embeddings made the same way: with or without the mirror image.
    """
    if given is not None:
        return given
    own = scores.operating
    return own.threshold if own is not None and own.flip == scores.flip else None


def remarks(scores: Iterable[Scores]) -> list[str]:
    """Return a line for each model whose own threshold is for embeddings made the other way."""
    return [
        f"{one.model}: not judged at the threshold it brings, which is for embeddings "
        f"{'with' if one.operating.flip else 'without'} the mirror image's"
        for one in scores
        if one.operating is not None and one.operating.flip != one.flip
    ]


def operate(judged: Judged) -> Operation | None:
    """Return the errors at the threshold that was fixed beforehand, None where there is none."""
    if judged.cosine is None:
        return None
    scores, result, replicates = judged.scores, judged.result, judged.replicates
    distance = squared_distance(judged.cosine)
    point = _core.Curve(-scores.distance, scores.dataset.mated).at_threshold(-distance)
    own = scores.operating
    model = own if own is not None and threshold(scores, None) == judged.cosine else None
    return Operation(
        cosine=judged.cosine,
        distance=distance,
        chosen_on=None if model is None else model.data,
        asked_fmr=None if model is None else model.asked_fmr,
        fmr=point.fmr,
        false_matches=point.false_matches,
        fmr_interval=of_rate(point.false_matches, result.nonmated, replicates.fmr),
        fmr_support=support(point.false_matches),
        fnmr=point.fnmr,
        false_non_matches=point.false_non_matches,
        fnmr_interval=of_rate(point.false_non_matches, result.mated, replicates.fnmr),
        fnmr_support=support(point.false_non_matches),
    )
