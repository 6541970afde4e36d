"""Verification (1:1) of templates: rates over a list of pairs, as IJB-B and IJB-C ask for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdx import _core
from sdx.evaluation import score_file
from sdx.evaluation.score_file import FMRS, Judgement
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
            "options": self.weighting.to_json(),
            "images": self.images,
            "templates": self.templates,
            **judged,
        }


def verify(templates: Templates, pairs: TemplatePairs) -> TemplateResult:
    """Return the rates of pairs at each of `FMRS`, exactly and as the field's scripts read them.

    Raises DataError for a pair of a template that is not there, and for pairs of one kind alone.
    """
    rows = templates.places(pairs.first), templates.places(pairs.second)
    asked = list(FMRS.values())
    rated = _core.rate_pairs(templates.unit, *rows, pairs.mated, asked)
    equal = rated.equal_error
    rates = {}
    for (name, fmr), point, field in zip(FMRS.items(), rated.points, rated.nearest, strict=True):
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
