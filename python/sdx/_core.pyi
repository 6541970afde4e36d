"""Typed face of the Rust extension; `rust/py` is its source and stubtest holds the two together.

Arrays go in as they are: another dtype or dimension is a TypeError, a strided array a ValueError; none is copied. The
caller must not write to one meanwhile. Bad files and values raise `sdx.errors.DataError`.
"""

from collections.abc import Sequence
from os import PathLike
from typing import Literal, final

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Curve",
    "ErrorRates",
    "OperatingPoint",
    "TenFold",
    "VerificationBin",
    "error_rates",
    "normals",
    "philox",
    "read_verification_bin",
    "tenfold_accuracy",
    "uniforms",
    "wilson",
]

def philox(seed: int, stream: int, index: NDArray[np.int64], count: int) -> NDArray[np.uint32]:
    """Return random words of Philox4x32-10, uint32 [len(index), count], by (seed, stream, index, element).

    Key (seed low, seed high), counter (element // 4, index low, index high, stream), word element % 4. Seed in
    [0, 2**64), stream in [0, 2**32). Raises ConfigError where the result cannot be held in memory.
    """

def normals(seed: int, stream: int, index: NDArray[np.int64], count: int) -> NDArray[np.float32]:
    """Return standard normals, float32 [len(index), count], within +-6.338, one from each word of `philox`.

    The bits are the same on every CPU; the error against float64 is at most 4.1e-7, relative.
    """

def uniforms(seed: int, stream: int, index: NDArray[np.int64], count: int) -> NDArray[np.float32]:
    """Return uniforms in [0, 1), multiples of 2**-24, float32 [len(index), count], one from each word of `philox`."""

@final
class VerificationBin:
    """A verification set: encoded images and which pairs are of one person."""

    @property
    def data(self) -> NDArray[np.uint8]:
        """Bytes of all items, one after the other, uint8 [bytes]."""
    @property
    def offsets(self) -> NDArray[np.int64]:
        """Item i lies in data[offsets[i]:offsets[i + 1]], int64 [2 P + 1]."""
    @property
    def mated(self) -> NDArray[np.bool_]:
        """Whether pair i, of items 2 i and 2 i + 1, is mated, bool [P]."""
    @property
    def first(self) -> NDArray[np.int64]:
        """Index of the first item with the same bytes, int64 [2 P]."""

def read_verification_bin(path: str | PathLike[str], max_bytes: int = 2147483648) -> VerificationBin:
    """Read a verification set in the field's .bin layout, as data: nothing in the file can run.

    `max_bytes` caps the file, and the images together. Raises DataError, naming opcode and byte, for anything else than
    lists of encoded images (byte strings or numpy uint8 arrays) and booleans.
    """

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
class ErrorRates:
    """Error rates over all thresholds."""

    @property
    def tar_at_far(self) -> list[float]:
        """Share of mated pairs accepted, for each asked FAR."""
    @property
    def threshold(self) -> list[float]:
        """The lowest threshold that keeps to each asked FAR."""
    @property
    def false_matches(self) -> list[int]:
        """Number of non-mated pairs accepted there."""
    @property
    def eer(self) -> float:
        """(FMR + FNMR) / 2 where the two are closest."""
    @property
    def eer_threshold(self) -> float:
        """The threshold of the EER, the highest of equals."""
    @property
    def auc(self) -> float:
        """Probability that a mated pair scores above a non-mated one, ties counted half."""

def error_rates(score: NDArray[np.float64], mated: NDArray[np.bool_], far: Sequence[float]) -> ErrorRates:
    """Return error rates from scores, float64 [P], higher being more alike; accepted at or above the threshold.

    The real FAR never exceeds the asked one, and equal scores are accepted or rejected together. Raises DataError for a
    score that is not finite, pairs of one kind only, or a FAR outside [0, 1].
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
