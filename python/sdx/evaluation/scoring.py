"""Rates of pairs and searches of galleries by cosine, in plain NumPy and bounded memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sdx import _core

_PAIRS_AT_ONCE = 1 << 15
_PROBES_AT_ONCE = 512


@dataclass(frozen=True, eq=False)
class PairRates:
    """Error rates of a list of pairs.

    Args:
        mated: number of mated pairs.
        nonmated: number of non-mated pairs.
        points: the operating point of each asked FMR.
        equal_error: where FMR and FNMR are closest.
        auc: area under the ROC curve.
    """

    mated: int
    nonmated: int
    points: list[_core.OperatingPoint]
    equal_error: _core.OperatingPoint
    auc: float


def rate_pairs(
    embedding: NDArray[np.float32],
    first: NDArray[np.int32],
    second: NDArray[np.int32],
    mated: NDArray[np.bool_],
    fmrs: Sequence[float],
    *,
    policy: Literal["at most", "nearest"] = "at most",
) -> PairRates:
    """Return the rates of pairs of the rows ``first`` and ``second``, [P], of unit vectors, float32 [M, D].

    ``mated`` is bool [P]; ``policy`` as for `sdx._core.Curve.at_fmr`. DataError for pairs of one kind alone.
    """
    score = np.empty(len(first))
    for start in range(0, len(first), _PAIRS_AT_ONCE):
        part = slice(start, start + _PAIRS_AT_ONCE)
        one, other = (embedding[rows[part]].astype(np.float64) for rows in (first, second))
        np.einsum("pd,pd->p", one, other, out=score[part])
    curve = _core.Curve(score, mated)
    points = [curve.at_fmr(fmr, policy) for fmr in fmrs]
    return PairRates(curve.mated, curve.nonmated, points, curve.equal_error(), curve.auc())


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
    columns = gallery.T.astype(np.float64)
    for start in range(0, len(probe), _PROBES_AT_ONCE):
        part = slice(start, start + _PROBES_AT_ONCE)
        cosine = probe[part].astype(np.float64) @ columns
        index[part] = np.argsort(-cosine, axis=1, kind="stable")[:, :count]
        score[part] = np.take_along_axis(cosine, index[part], 1)
    return index, score
