"""Cosines of pairs and searches of galleries, in plain NumPy and bounded memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sdx import _core

_PAIRS_AT_ONCE = 1 << 15
_PROBES_AT_ONCE = 512


class Point(Protocol):
    """A threshold and the errors made there, see `sdx._core.OperatingPoint`."""

    @property
    def threshold(self) -> float:
        """Scores from here on are accepted."""

    @property
    def fmr(self) -> float:
        """Share of non-mated pairs accepted."""

    @property
    def fnmr(self) -> float:
        """Share of mated pairs rejected."""

    @property
    def false_matches(self) -> int:
        """Number of non-mated pairs accepted."""

    @property
    def false_non_matches(self) -> int:
        """Number of mated pairs rejected."""


@dataclass(frozen=True, eq=False)
class PairRates:
    """Pairs scored and judged.

    Args:
        mated: number of mated pairs.
        nonmated: number of non-mated pairs.
        points: for each FMR asked, the lowest threshold whose FMR does not exceed it.
        equal_error: where FMR and FNMR are closest.
        auc: area under the ROC curve.
        score: float32 [P], cosines.
    """

    mated: int
    nonmated: int
    points: Sequence[Point]
    equal_error: Point
    auc: float
    score: NDArray[np.float32]


def rate_pairs(
    embedding: NDArray[np.float32],
    first: NDArray[np.int32],
    second: NDArray[np.int32],
    mated: NDArray[np.bool_],
    fmrs: Sequence[float],
) -> PairRates:
    """Return scores and rates of pairs of the rows ``first`` and ``second``, [P], of unit vectors, float32 [M, D]."""
    score = np.empty(len(first), np.float32)
    for start in range(0, len(first), _PAIRS_AT_ONCE):
        part = slice(start, start + _PAIRS_AT_ONCE)
        np.einsum("pd,pd->p", embedding[first[part]], embedding[second[part]], out=score[part])
    curve = _core.Curve(score.astype(np.float64), mated)
    points = [curve.at_fmr(fmr) for fmr in fmrs]
    return PairRates(curve.mated, curve.nonmated, points, curve.equal_error(), curve.auc(), score)


def search(
    gallery: NDArray[np.float32], probe: NDArray[np.float32], count: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return rows of the gallery, int64 [Q, count], and their cosines, float64 [Q, count], highest first.

    Args:
        gallery: unit vectors, float32 [G, D].
        probe: unit vectors, float32 [Q, D].
        count: of rows for each probe, at most G; the lower row first of equals.
    """
    index = np.empty((len(probe), count), np.int64)
    score = np.empty((len(probe), count))
    for start in range(0, len(probe), _PROBES_AT_ONCE):
        part = slice(start, start + _PROBES_AT_ONCE)
        cosine = probe[part].astype(np.float64) @ gallery.T.astype(np.float64)
        index[part] = np.argsort(-cosine, axis=1, kind="stable")[:, :count]
        score[part] = np.take_along_axis(cosine, index[part], 1)
    return index, score
