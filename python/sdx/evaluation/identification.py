"""Identification (1:N): closed set (CMC) and open set (FNIR at FPIR), and the field's older way to count.

Words as in ISO/IEC 19795-1. A search is mated where its subject is enrolled. The mate ranks behind all who score as
much. FPIR is the share of non-mated searches whose best score reaches the threshold, FNIR the share of mated ones whose
mate is not within the rank or does not reach it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdx import _core
from sdx.errors import DataError
from sdx.evaluation.score_file import Z95
from sdx.evaluation.support import Support, support
from sdx.evaluation.templates import Templates, Weighting

RANKS = (1, 5, 10, 20)
"""Ranks at which the CMC is told."""

FPIRS = {"1e-1": 1e-1, "1e-2": 1e-2, "3e-3": 3e-3, "1e-3": 1e-3}
"""False-positive identification rates of the table, by the name they have in it."""

LEGACY_FARS = {"1e-1": 1e-1, "1e-2": 1e-2}
"""Rates of protocol ``insightface-legacy``; they are of scores a probe, not of searches."""

_PROBES_AT_ONCE = 512


@dataclass(frozen=True, eq=False)
class Roster:
    """Templates and whose they are.

    Args:
        name: what reports call it.
        template: int64 [T], distinct ids.
        subject: int64 [T].
    """

    name: str
    template: NDArray[np.int64]
    subject: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.template)


@dataclass(frozen=True)
class OpenSetRate:
    """What one asked FPIR comes to.

    Args:
        fpir: asked.
        threshold: the lowest at which the non-mated searches keep to it.
        attained: FPIR there.
        false_positives: non-mated searches whose best score reaches it.
        fnir: share of mated searches missed there; TPIR is 1 - FNIR.
        misses: their number.
        fnir_interval: Wilson's 95 % interval of ``fnir``, searches taken as independent.
        support: by the false positives that can occur at ``fpir``, see `sdx.evaluation.support`.
    """

    fpir: float
    threshold: float
    attained: float
    false_positives: int
    fnir: float
    misses: int
    fnir_interval: tuple[float, float]
    support: Support


@dataclass(frozen=True)
class GalleryResult:
    """All probes searched in one gallery.

    Args:
        name: of the gallery.
        subjects: enrolled, one template each.
        mated: searches whose subject is enrolled.
        nonmated: searches whose subject is not.
        cmc: share of the mated searches whose mate is within each of `RANKS`, by rank.
        rates: for each name of `FPIRS`; empty without non-mated searches.
    """

    name: str
    subjects: int
    mated: int
    nonmated: int
    cmc: dict[str, float]
    rates: dict[str, OpenSetRate]


@dataclass(frozen=True)
class Identification:
    """Templates identified.

    Args:
        name: of the set.
        weighting: how the templates were made.
        probes: searches in each gallery.
        rank: within which a mate counts as found where there is a threshold.
        galleries: each on its own.
        cmc: mean over the galleries.
        fnir: likewise, over those with non-mated searches; by name of `FPIRS`.
    """

    name: str
    weighting: Weighting
    probes: int
    rank: int
    galleries: tuple[GalleryResult, ...]
    cmc: dict[str, float]
    fnir: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        values = asdict(self)
        del values["weighting"]
        return {**values, "options": self.weighting.to_json()}


def identify(templates: Templates, galleries: Sequence[Roster], probes: Roster, *, rank: int = 1) -> Identification:
    """Search every probe in every gallery.

    Args:
        templates: of all galleries and probes.
        galleries: at least one; one template a subject.
        probes: the searches.
        rank: within which a mate must be found where there is a threshold, at least 1.

    Raises DataError for a template that is not there, a subject enrolled twice, or a gallery no probe has a mate in.
    """
    if not galleries or rank < 1:
        raise DataError(f"expected a gallery, and a rank of at least 1, got {len(galleries)} and rank {rank}")
    results = tuple(_search(templates, gallery, probes, rank) for gallery in galleries)
    with_rates = [result.rates for result in results if result.rates]
    return Identification(
        name=templates.name,
        weighting=templates.weighting,
        probes=len(probes),
        rank=rank,
        galleries=results,
        cmc={str(at): float(np.mean([result.cmc[str(at)] for result in results])) for at in RANKS},
        fnir={name: float(np.mean([rates[name].fnir for rates in with_rates])) for name in FPIRS if with_rates},
    )


def _search(templates: Templates, gallery: Roster, probes: Roster, rank: int) -> GalleryResult:
    enrolled, probe = templates.places(gallery.template), templates.places(probes.template)
    mate = _mates(gallery, probes)
    mated = mate >= 0
    if not mated.any():
        raise DataError(f"{gallery.name}: expected probes whose subject is enrolled, got none among {len(probes):,}")
    count = min(max(*RANKS, rank) + 1, len(gallery))
    index, score = _core.search(templates.unit[enrolled], templates.unit[probe], count)
    here = index[mated] == mate[mated, None]
    # The mate is within rank R if it is listed and the score at rank R + 1 is lower: equals stand before it.
    own = np.where(here.any(1), score[mated][here.argmax(1)[:, None] == np.arange(count)], -np.inf)
    within = {at: own > score[mated, at] if at < len(gallery) else own > -np.inf for at in {*RANKS, rank}}
    best = score[~mated, 0]
    rates = {name: _rate(fpir, best, own[within[rank]], len(own)) for name, fpir in FPIRS.items()} if len(best) else {}
    cmc = {str(at): float(within[at].mean()) for at in RANKS}
    return GalleryResult(gallery.name, len(gallery), len(own), len(best), cmc, rates)


def _mates(gallery: Roster, probes: Roster) -> NDArray[np.int64]:
    """Return the row of each probe's mate, int64 [Q], -1 where it has none."""
    if not len(gallery):
        raise DataError(f"{gallery.name}: expected templates to search, got none")
    order = np.argsort(gallery.subject, kind="stable")
    subject = gallery.subject[order]
    again = np.flatnonzero(subject[1:] == subject[:-1])
    if len(again):
        raise DataError(f"{gallery.name}: expected one template a subject, got two of subject {subject[again[0]]}")
    place = np.searchsorted(subject, probes.subject).clip(max=len(subject) - 1)
    return np.where(subject[place] == probes.subject, order[place], -1)


def _rate(fpir: float, best: NDArray[np.float64], found: NDArray[np.float64], mated: int) -> OpenSetRate:
    """Return the rate at a threshold set by the best scores of the non-mated searches, and by nothing else."""
    allowed = int((np.arange(1, len(best)) / len(best) <= fpir).sum())
    threshold = np.nextafter(np.sort(best)[::-1][allowed], np.inf)
    false_positives = int((best >= threshold).sum())
    misses = mated - int((found >= threshold).sum())
    return OpenSetRate(
        fpir=fpir,
        threshold=float(threshold),
        attained=false_positives / len(best),
        false_positives=false_positives,
        fnir=misses / mated,
        misses=misses,
        fnir_interval=_core.wilson(misses, mated, Z95),
        support=support(len(best) * fpir),
    )


@dataclass(frozen=True)
class LegacyResult:
    """What the field's older script finds: all galleries as one, every probe mated, a threshold over all scores.

    Args:
        name: of the set.
        weighting: how the templates were made.
        subjects: enrolled, over all galleries.
        probes: searches.
        cmc: share of the searches whose mate is within each of `RANKS`, by rank.
        recall: share of the searches whose mate scores above the threshold, by name of `LEGACY_FARS`.
        threshold: the ceil(rate x probes)-th highest score of a probe and another's template.
    """

    name: str
    weighting: Weighting
    subjects: int
    probes: int
    cmc: dict[str, float]
    recall: dict[str, float]
    threshold: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        values = asdict(self)
        del values["weighting"]
        return {**values, "options": self.weighting.to_json()}


def legacy(templates: Templates, galleries: Sequence[Roster], probes: Roster) -> LegacyResult:
    """Return the figures of the older script, to compare with those printed from it; its "FAR" is no FPIR.

    Raises DataError as `identify`, and for a probe without a mate. Source: InsightFace
    ``recognition/_evaluation_/ijb/ijb_1n.py`` (protocol only).
    """
    if not galleries or not len(probes):
        raise DataError(f"expected a gallery and a probe, got {len(galleries)} and {len(probes)}")
    both = Roster(
        " + ".join(gallery.name for gallery in galleries),
        np.concatenate([gallery.template for gallery in galleries]),
        np.concatenate([gallery.subject for gallery in galleries]),
    )
    mate = _mates(both, probes)
    if (mate < 0).any() or len(both) < 2:
        without = int((mate < 0).sum())
        raise DataError(
            f"{both.name}: expected at least two subjects, and one for every probe, got {len(both):,} and {without:,} "
            "probes without: the older protocol has no other searches"
        )
    gallery = _directions(templates, both).T
    probe = _directions(templates, probes)
    keep = {name: math.ceil(len(probe) * far) for name, far in LEGACY_FARS.items()}
    own, place = np.empty(len(probe)), np.empty(len(probe), np.int64)
    highest = np.empty(0)
    for start in range(0, len(probe), _PROBES_AT_ONCE):
        part = slice(start, start + _PROBES_AT_ONCE)
        cosine = probe[part] @ gallery
        rows = np.arange(len(cosine))
        own[part] = cosine[rows, mate[part]]
        place[part] = (cosine >= own[part, None]).sum(1)
        cosine[rows, mate[part]] = -np.inf
        highest = np.concatenate([highest, cosine.ravel()])
        kept = min(max(keep.values()), len(highest))
        highest = np.sort(np.partition(highest, -kept)[-kept:])[::-1]
    threshold = {name: float(highest[k - 1]) for name, k in keep.items()}
    return LegacyResult(
        name=templates.name,
        weighting=templates.weighting,
        subjects=len(both),
        probes=len(probe),
        cmc={str(at): float((place <= at).mean()) for at in RANKS},
        recall={name: float((own > least).mean()) for name, least in threshold.items()},
        threshold=threshold,
    )


def _directions(templates: Templates, roster: Roster) -> NDArray[np.float64]:
    """Return the rows of a roster's templates, float64 [T, D], freed of the rounding of their length."""
    row = templates.unit[templates.places(roster.template)].astype(np.float64)
    unit: NDArray[np.float64] = row / np.linalg.norm(row, axis=1, keepdims=True)
    return unit
