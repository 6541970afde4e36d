"""Verification accuracy and error rates."""

from typing import Literal, final

import numpy as np
from numpy.typing import NDArray

@final
class TenFold:
    """Ten-fold verification accuracy."""

    @property
    def accuracy(self) -> NDArray[np.float64]:
        """Share of correct decisions on each fold, float64 [10]."""
    @property
    def threshold(self) -> NDArray[np.float64]:
        """Threshold applied to each fold, float64 [10]."""
    @property
    def tar(self) -> float:
        """Mean TAR over the folds at a threshold chosen for FAR 1e-3 on the nine others."""
    @property
    def tar_std(self) -> float:
        """Population standard deviation of the TAR over the folds."""
    @property
    def far(self) -> float:
        """Mean FAR over the folds."""

def tenfold_accuracy(
    distance: NDArray[np.float64], mated: NDArray[np.bool_], protocol: Literal["insightface", "exact"]
) -> TenFold:
    """Return ten-fold accuracy from squared L2 distances, float64 [P], in file order; accepted below the threshold.

    `insightface` tries the thresholds 0, 0.01, ..., 3.99 as the field's script does, `exact` every split of the
    training pairs (midpoints between neighbouring distances); TAR and FAR are the script's in both. Raises DataError
    for fewer than ten pairs, a value that is not finite, or pairs of one kind only; ConfigError for another protocol.
    """

@final
class OperatingPoint:
    """A threshold and the errors made there (FMR and FNMR as in ISO/IEC 19795-1)."""

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

@final
class Curve:
    """Error rates at any threshold, of scores float64 [P] (higher is more alike) and labels bool [P].

    Equal scores are accepted or rejected together. Raises DataError for a score that is not finite, pairs of one kind
    only, or unequal lengths. The same on any number of threads.
    """

    def __new__(cls, score: NDArray[np.float64], mated: NDArray[np.bool_]) -> Curve: ...
    @property
    def mated(self) -> int:
        """Number of mated pairs."""
    @property
    def nonmated(self) -> int:
        """Number of non-mated pairs."""
    def at_threshold(self, threshold: float) -> OperatingPoint:
        """Return the errors at a threshold fixed beforehand; raises DataError for NaN."""
    def at_fmr(self, fmr: float, policy: Literal["at most", "nearest"] = "at most") -> OperatingPoint:
        """Return the operating point of an asked FMR.

        `at most` is the lowest threshold whose FMR does not exceed it; `nearest` the one whose FMR is nearest, the
        larger of two as near, as the field's scripts read it off an ROC curve: it may exceed the asked rate. Raises
        DataError for a rate outside [0, 1], ConfigError for another policy.
        """
    def equal_error(self) -> OperatingPoint:
        """Return where FMR and FNMR are closest, the highest threshold of equals; the EER is the mean of the two."""
    def auc(self) -> float:
        """Return the probability that a mated pair scores above a non-mated one, ties counted half."""
    def points(self, count: int) -> list[OperatingPoint]:
        """Return about `count` operating points by ascending threshold for a plot, spread over both rates' logarithms.

        Each is a distinct score's own: thinning moves none.
        """

def wilson(errors: int, trials: int, z: float) -> tuple[float, float]:
    """Return Wilson's interval of a share of independent trials, `z` standard deviations to either side.

    Pairs that share a face are not independent: for them it is too narrow. Raises DataError for no trials, more errors
    than trials, or a `z` that is not positive and finite.
    """
