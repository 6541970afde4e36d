"""Two models on the same pairs: which differences are more than the luck of who was drawn."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdx.errors import DataError
from sdx.evaluation.intervals import Judged, Replicates, percentile
from sdx.evaluation.verification import Result, decisions


@dataclass(frozen=True)
class Difference:
    """One figure of both models; rates are fractions.

    Args:
        figure: ``accuracy``, ``TAR@`` with a FAR, or ``EER``.
        first: of the first model.
        second: of the second.
        difference: second - first.
        interval: 95 % interval of the difference over the same subject replicates, None where subjects are not known.
        differs: whether zero lies outside the interval, None likewise.
    """

    figure: str
    first: float
    second: float
    difference: float
    interval: tuple[float, float] | None
    differs: bool | None


@dataclass(frozen=True)
class Comparison:
    """Two models on one set.

    Args:
        dataset: the set's name.
        first: the first model's name.
        second: the second's.
        differences: of accuracy, of each TAR that the set supports, and of the EER.
        first_alone: pairs that the first model alone decides rightly in the ten folds.
        second_alone: pairs that the second alone does.
        mcnemar: exact two-sided p of so unequal a split if both erred as often, pairs taken as independent.
    """

    dataset: str
    first: str
    second: str
    differences: tuple[Difference, ...]
    first_alone: int
    second_alone: int
    mcnemar: float

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, the keys being the fields."""
        return asdict(self)


def compare(first: Judged, second: Judged) -> Comparison:
    """Return how the second model differs from the first; DataError where they were not given the same pairs."""
    one, other = first.result, second.result
    if first.scores.dataset is not second.scores.dataset or one.protocol != other.protocol:
        raise DataError(
            f"expected two models on the same pairs and protocol, got {one.dataset} ({one.protocol}) and "
            f"{other.dataset} ({other.protocol})"
        )
    right, wrong = decisions(first.scores, one.protocol), decisions(second.scores, other.protocol)
    first_alone, second_alone = int((right & ~wrong).sum()), int((wrong & ~right).sum())
    values = zip(_figures(one).items(), _figures(other).values(), strict=True)
    differences = _differences(first.replicates, second.replicates)
    return Comparison(
        dataset=one.dataset,
        first=one.model,
        second=other.model,
        differences=tuple(_difference(name, a, b, differences.get(name)) for (name, a), b in values),
        first_alone=first_alone,
        second_alone=second_alone,
        mcnemar=mcnemar(first_alone, second_alone),
    )


def mcnemar(first_alone: int, second_alone: int) -> float:
    """Return the exact two-sided p of McNemar's test: of n = a + b fair coins, twice the smaller tail, at most 1.

    In whole numbers up to the last division. Source: McNemar, Psychometrika 12, 1947.
    """
    count, fewer = first_alone + second_alone, min(first_alone, second_alone)
    ways, tail = 1, 1
    for k in range(fewer):
        ways = ways * (count - k) // (k + 1)
        tail += ways
    return float(min(1.0, 2 * tail / 2**count))


def _figures(result: Result) -> dict[str, float]:
    tar = {f"TAR@{name}": result.tar_at_far[name] for name, how in result.support().items() if how != "none"}
    return {"accuracy": result.accuracy, **tar, "EER": result.eer}


def _differences(first: Replicates, second: Replicates) -> dict[str, NDArray[np.float64]]:
    if not len(first.eer):  # then the second has none either, for they are of the same subjects
        return {}
    tar = {f"TAR@{name}": second.tar_at_far[name] - values for name, values in first.tar_at_far.items()}
    return {"accuracy": second.accuracy - first.accuracy, **tar, "EER": second.eer - first.eer}


def _difference(name: str, first: float, second: float, replicates: NDArray[np.float64] | None) -> Difference:
    interval = None if replicates is None else percentile(replicates)
    differs = None if interval is None else not interval[0] <= 0 <= interval[1]
    return Difference(name, first, second, second - first, interval, differs)
