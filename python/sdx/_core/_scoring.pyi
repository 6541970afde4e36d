"""Cosines of embeddings, and the error rates they make.

Products are made in single precision; whatever lies within rounding of a threshold is computed again in double
precision, so that counts, rates and thresholds are those of the float64 cosines, the same on every processor and any
number of threads. Embeddings are float32 rows of any length but zero. DataError for a row of zeros or with a number
that is not finite, a row number out of range, unequal lengths, and where millions of pairs lie within rounding of a
threshold.
"""

from collections.abc import Sequence
from typing import Literal, final

import numpy as np
from numpy.typing import NDArray

from sdx._core._scores import OperatingPoint

def score_pairs(
    embedding: NDArray[np.float32],
    first: NDArray[np.int32] | NDArray[np.int64],
    second: NDArray[np.int32] | NDArray[np.int64],
    metric: Literal["cosine", "squared_l2"] = "cosine",
    method: Literal["auto", "dense", "sparse"] = "auto",
) -> NDArray[np.float32]:
    """Return a score for each pair of rows of `embedding` [M, D], float32 [P], in order.

    `first` and `second` [P] are row numbers, of one dtype. `cosine` is within (D + 8) 2**-24 of the exact one,
    `squared_l2`, of the rows as they are, within 32 times that of itself. `dense` makes all products of a block of rows
    with all columns and takes the list's; `sparse` makes one after another; `auto` goes by the share that the list asks
    for. ConfigError for another metric or method.
    """

@final
class PairRates:
    """Error rates of a list of pairs."""

    @property
    def mated(self) -> int:
        """Number of mated pairs."""
    @property
    def nonmated(self) -> int:
        """Number of non-mated pairs."""
    @property
    def points(self) -> list[OperatingPoint]:
        """The operating point of each asked FMR, never above it."""
    @property
    def nearest(self) -> list[OperatingPoint]:
        """The one whose FMR is nearest, as the field's scripts read off a curve: it may exceed the asked one."""
    @property
    def fixed(self) -> list[OperatingPoint]:
        """The errors at each asked threshold."""
    @property
    def equal_error(self) -> OperatingPoint:
        """Where FMR and FNMR are closest, the higher threshold of two as close; the EER is the mean of the two."""
    @property
    def auc(self) -> float:
        """Probability that a mated pair scores above a non-mated one, whose score is in single precision."""

def rate_pairs(
    embedding: NDArray[np.float32],
    first: NDArray[np.int32] | NDArray[np.int64],
    second: NDArray[np.int32] | NDArray[np.int64],
    mated: NDArray[np.bool_],
    fmrs: Sequence[float],
    thresholds: Sequence[float] = (),
) -> PairRates:
    """Return the error rates of pairs of rows of `embedding` [M, D] by their cosines.

    As `Curve`, without a score array: `first` and `second` [P] are row numbers, of one dtype, `mated` bool [P]. Memory
    beyond the input: the rows that the list names once more, 4 bytes a pair, 8 more for a list that does not go by
    `first`, and 20 MB a thread. DataError for pairs of one kind only, or a rate or threshold out of range, too.
    """

@final
class AllPairs:
    """Error rates of every pair of some embeddings."""

    @property
    def mated(self) -> int:
        """Number of mated pairs."""
    @property
    def nonmated(self) -> int:
        """Number of non-mated pairs."""
    @property
    def points(self) -> list[OperatingPoint]:
        """The operating point of each asked FMR, never above it; FNMR is NaN without mated pairs."""
    @property
    def fixed(self) -> list[OperatingPoint]:
        """The errors at each asked threshold."""
    @property
    def mated_score(self) -> NDArray[np.float64]:
        """Cosines of the mated pairs, ascending, float64 [mated]."""
    @property
    def mated_pair(self) -> NDArray[np.int64]:
        """Their row numbers, the lower first, int64 [mated, 2]."""
    @property
    def tail_score(self) -> NDArray[np.float64]:
        """The highest cosines of non-mated pairs, descending, float64 [tail]."""
    @property
    def tail_pair(self) -> NDArray[np.int64]:
        """Their row numbers, the lower first, int64 [tail, 2]."""

def rate_all_pairs(
    embedding: NDArray[np.float32],
    subject: NDArray[np.int64],
    fmrs: Sequence[float],
    thresholds: Sequence[float] = (),
    tail: int = 0,
) -> AllPairs:
    """Return the error rates over every pair of rows of `embedding` [N, D], mated where `subject` [N] is the same.

    With the `tail` highest non-mated pairs, or all if there are fewer. Memory beyond the input: the rows once more, 40
    bytes a mated pair, and 24 for each of the pairs in the tail or within rounding of a threshold. DataError for no
    non-mated pair, or a rate or threshold out of range, too.
    """

def search(
    gallery: NDArray[np.float32], probe: NDArray[np.float32], count: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the `count` nearest rows of `gallery` [G, D] for each of `probe` [Q, D]: int64 and float64 [Q, count].

    Row numbers and cosines, nearest first, the lower number of equals first. Memory beyond the input: the rows of both
    once more, 32 bytes a cosine found, candidates of 8,192 probes at a time. ConfigError for a count outside [1, G].
    """
