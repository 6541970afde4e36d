"""How far figures may be trusted: intervals by drawing other people, or of independent pairs if people are unknown."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sdx import _core
from sdx.errors import ConfigError
from sdx.evaluation.verification import FARS, Protocol, Result, Scores, decisions, rates
from sdx.types import Stream

REPLICATES = 1000
"""Subject replicates of a set; everybody's seed is 0, so that an interval is a function of scores and subjects."""

LEVEL = 0.95

_SEED = 0
_Z = 1.959963984540054

Kind = Literal["subjects", "pairs"]
"""``subjects``: percentiles over subject replicates. ``pairs``: Wilson's, pairs taken as independent, too narrow."""


@dataclass(frozen=True)
class Interval:
    """A 95 % interval of a rate, and where it comes from."""

    low: float
    high: float
    kind: Kind


@dataclass(frozen=True)
class Intervals:
    """95 % intervals of the figures of a `Result`.

    Args:
        replicates: how many subject replicates, 0 where subjects are not known.
        accuracy: of the mean of ten folds.
        tar_at_far: by the name of the FAR; the threshold moves with each replicate. Wilson's takes it as fixed.
        eer: None where subjects are not known: the EER is no share of independent trials.
    """

    replicates: int
    accuracy: Interval
    tar_at_far: dict[str, Interval]
    eer: Interval | None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, the keys being the fields."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Replicates:
    """Figures of every subject replicate, float64 [R] each; replicate r is of the same people for every model.

    All are empty where the set does not know its subjects.

    Args:
        accuracy: mean of ten folds.
        tar_at_far: by the name of the FAR.
        eer: equal error rate.
        fmr: at the fixed threshold, empty where there is none.
        fnmr: likewise.
    """

    accuracy: NDArray[np.float64]
    tar_at_far: dict[str, NDArray[np.float64]]
    eer: NDArray[np.float64]
    fmr: NDArray[np.float64]
    fnmr: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Judged:
    """One model on one set.

    Args:
        scores: its distances.
        result: its figures.
        replicates: of them.
        cosine: the threshold that was fixed beforehand, None where there is none.
    """

    scores: Scores
    result: Result
    replicates: Replicates
    cosine: float | None


def judge(scores: Scores, protocol: Protocol = "exact", cosine: float | None = None) -> Judged:
    """Return the figures of scores with their subject replicates.

    Args:
        scores: see `sdx.evaluation.verification.score`.
        protocol: how thresholds of the accuracy are chosen.
        cosine: a threshold fixed beforehand, at which the replicates are asked too.
    """
    return Judged(scores, rates(scores, protocol), _resample(scores, protocol, cosine), cosine)


def _resample(scores: Scores, protocol: Protocol, cosine: float | None) -> Replicates:
    dataset = scores.dataset
    if dataset.subjects is None:
        none = np.empty(0)
        return Replicates(none, dict.fromkeys(FARS, none), none, none, none)
    first, second = (np.ascontiguousarray(dataset.subjects[side]) for side in dataset.pairs.T)
    found = _core.resample_pairs(
        -scores.distance,
        dataset.mated,
        first,
        second,
        fmrs=list(FARS.values()),
        thresholds=[] if cosine is None else [-squared_distance(cosine)],
        seed=_SEED,
        stream=Stream.BOOTSTRAP,
        replicates=REPLICATES,
    )
    accuracy = _core.resample_accuracy(
        scores.distance,
        dataset.mated,
        first,
        second,
        protocol,
        seed=_SEED,
        stream=Stream.BOOTSTRAP,
        replicates=REPLICATES,
    )
    tar = {name: 1 - fnmr for name, fnmr in zip(FARS, found.fnmr, strict=True)}
    return Replicates(accuracy, tar, found.eer, found.fixed_fmr.reshape(-1), found.fixed_fnmr.reshape(-1))


def squared_distance(cosine: float) -> float:
    """Return the squared Euclidean distance of unit vectors with that cosine; at most it is accepted."""
    return 2 - 2 * cosine


def percentile(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the `LEVEL` interval of replicate values, float64 [R], by the percentile method.

    With a = (1 - LEVEL) / 2 its ends are order statistics, without interpolation: number floor(a (R + 1)) from below
    and the same from above. Raises ConfigError for fewer than 39 values, which have no such number.
    Source: Davison and Hinkley, "Bootstrap methods and their application", 1997, section 5.3.
    """
    rank = int((1 - LEVEL) / 2 * (len(values) + 1) + 1e-9)
    if rank < 1:
        raise ConfigError(f"expected at least 39 replicates for an interval of {LEVEL:.0%}, got {len(values)}")
    ordered = np.sort(values)
    return float(ordered[rank - 1]), float(ordered[-rank])


def wilson(errors: int, trials: int) -> Interval:
    """Return Wilson's interval of a share of trials, taken as independent."""
    return Interval(*_core.wilson(errors, trials, _Z), "pairs")


def of_rate(errors: int, trials: int, replicates: NDArray[np.float64]) -> Interval:
    """Return the interval of a share of pairs from its replicates, and Wilson's where these say nothing.

    They do so where there are none, and where all are alike: without an error (or with errors alone) to draw, drawing
    makes none, and an interval of no width would promise what was not measured.
    """
    if len(replicates) == 0 or replicates.min() == replicates.max():
        return wilson(errors, trials)
    return Interval(*percentile(replicates), "subjects")


def of(judged: Judged) -> Intervals:
    """Return the intervals of a model's figures."""
    result, replicates = judged.result, judged.replicates
    right = int(decisions(judged.scores, result.protocol).sum())
    accepted = {name: round(tar * result.mated) for name, tar in result.tar_at_far.items()}
    return Intervals(
        replicates=len(replicates.eer),
        accuracy=of_rate(right, result.pairs, replicates.accuracy),
        tar_at_far={name: of_rate(n, result.mated, replicates.tar_at_far[name]) for name, n in accepted.items()},
        eer=Interval(*percentile(replicates.eer), "subjects") if len(replicates.eer) else None,
    )
