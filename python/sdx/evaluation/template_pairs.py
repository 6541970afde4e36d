"""Verification (1:1) of templates: rates over a list of pairs, as IJB-B and IJB-C ask for them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdx.evaluation import score_file, scoring
from sdx.evaluation.score_file import FMRS, Judgement
from sdx.evaluation.scoring import PairRates, Point
from sdx.evaluation.templates import Templates, Weighting


@dataclass(frozen=True, eq=False)
class TemplatePairs:
    """Pairs of templates, each of one person (mated) or of two.

    Args:
        first: int32 or int64 [P], ids of templates.
        second: likewise.
        mated: bool [P].
    """

    first: NDArray[np.integer]
    second: NDArray[np.integer]
    mated: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.mated)


@dataclass(frozen=True)
class TemplateResult:
    """Templates verified.

    Args:
        name: of the set.
        weighting: how the templates were made.
        images: how many made them.
        templates: how many there are.
        judgement: counts and rates; it has no ten-fold accuracy.
    """

    name: str
    weighting: Weighting
    images: int
    templates: int
    judgement: Judgement

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values: the options and what the field's scripts call them, counts, and rates."""
        judged = self.judgement.to_json()
        del judged["accuracy"]
        return {
            "name": self.name,
            "options": {**asdict(self.weighting), "called": self.weighting.names()},
            "images": self.images,
            "templates": self.templates,
            **judged,
        }


def verify(templates: Templates, pairs: TemplatePairs) -> TemplateResult:
    """Return the rates of pairs at each of `FMRS`, exactly and as the field's scripts read them.

    Raises DataError for a pair of a template that is not there, and for pairs of one kind alone.
    """
    first, second = templates.places(pairs.first), templates.places(pairs.second)
    rated = scoring.rate_pairs(templates.unit, first, second, pairs.mated, list(FMRS.values()))
    equal = rated.equal_error
    nearest = _nearest(rated, pairs.mated)
    rates = {}
    for (name, fmr), point, field in zip(FMRS.items(), rated.points, nearest, strict=True):
        exact = score_file.rate(point, fmr, "at most", rated.mated, rated.nonmated)
        rates[name] = (exact, score_file.rate(field, fmr, "nearest", rated.mated, rated.nonmated))
    judgement = Judgement(
        mated=rated.mated,
        nonmated=rated.nonmated,
        rates=rates,
        eer=(equal.fmr + equal.fnmr) / 2,
        eer_threshold=equal.threshold,
        auc=rated.auc,
        accuracy=None,
    )
    return TemplateResult(templates.name, templates.weighting, templates.images, len(templates), judgement)


@dataclass(frozen=True)
class _Read:
    """A point read off the scores themselves."""

    threshold: float
    fmr: float
    fnmr: float
    false_matches: int
    false_non_matches: int


def _nearest(rated: PairRates, mated: NDArray[np.bool_]) -> list[Point]:
    """Return for each of `FMRS` the point of the nearest FMR, the larger of two as near, then the lowest threshold."""
    same, other = rated.score[mated], rated.score[~mated]
    found: list[Point] = []
    for fmr, within in zip(FMRS.values(), rated.points, strict=True):
        if within.false_matches == rated.nonmated:
            found.append(within)
            continue
        # The next score of a non-mated pair below brings the next larger FMR. As float64, since a threshold just above
        # all scores is none of float32.
        refused = other[other < np.float64(within.threshold)]
        next_refused = refused.max()
        false_matches = rated.nonmated - int((refused < next_refused).sum())
        beyond = false_matches / rated.nonmated
        if beyond - fmr > fmr - within.fmr:
            found.append(within)
            continue
        low = refused[refused < next_refused].max(initial=-np.inf)
        threshold = min(float(next_refused), float(same[same > low].min(initial=np.inf)))
        rejected = int((same < threshold).sum())
        found.append(_Read(threshold, beyond, rejected / rated.mated, false_matches, rejected))
    return found
