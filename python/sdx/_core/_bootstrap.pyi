"""Subject bootstrap: how error rates move when other people are drawn.

A replicate draws as many subjects as there are, with replacement; `w` is how often a subject comes up. A mated pair of
subject s counts w_s, a non-mated pair of i and j counts w_i w_j; copies of one subject never meet. Subjects are
numbered by ascending id; draw e of replicate r is subject (64 bits x subjects) >> 64, the bits being elements 2e (high)
and 2e + 1 of `philox` at (seed, stream, index r). A replicate without a mated or without a non-mated pair is drawn
again, from the next whole block of four on. Replicates depend on who is in which pair, not on scores: those of two
models on the same pairs are of the same people. The same on any number of threads.
"""

from typing import Literal, final

import numpy as np
from numpy.typing import NDArray

@final
class Replicates:
    """Rates of every replicate; R replicates, F asked FMRs, T fixed thresholds."""

    @property
    def threshold(self) -> NDArray[np.float64]:
        """Lowest threshold, among the replicate's scores, whose FMR is at most the asked one, float64 [F, R]."""
    @property
    def fnmr(self) -> NDArray[np.float64]:
        """FNMR there, float64 [F, R]."""
    @property
    def fixed_fmr(self) -> NDArray[np.float64]:
        """FMR at each fixed threshold, float64 [T, R]."""
    @property
    def fixed_fnmr(self) -> NDArray[np.float64]:
        """FNMR at each fixed threshold, float64 [T, R]."""
    @property
    def eer(self) -> NDArray[np.float64]:
        """Mean of FMR and FNMR where they are closest, float64 [R]; empty where non-mated pairs are missing."""

def resample_pairs(
    score: NDArray[np.float64],
    mated: NDArray[np.bool_],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    *,
    fmrs: list[float],
    thresholds: list[float],
    seed: int,
    stream: int,
    replicates: int,
) -> Replicates:
    """Return the rates of every replicate of a list of P pairs.

    `score` float64 [P], higher is more alike; `mated` bool [P]; `first` and `second` int64 [P], the subjects of both
    sides, equal exactly where mated. Raises DataError for scores that are not finite, labels that contradict subjects,
    rates outside [0, 1], NaN thresholds, and subjects too few for both kinds of pairs to be drawn; ConfigError for a
    number of replicates outside 1 to 1,000,000.
    """

def resample_all_pairs(
    subject: NDArray[np.int64],
    mated_score: NDArray[np.float64],
    mated_first: NDArray[np.int64],
    mated_second: NDArray[np.int64],
    tail_score: NDArray[np.float64],
    tail_first: NDArray[np.int64],
    tail_second: NDArray[np.int64],
    *,
    fmrs: list[float],
    thresholds: list[float],
    seed: int,
    stream: int,
    replicates: int,
) -> Replicates:
    """Return the rates of every replicate of all pairs of N images: all mated ones, and the highest of the others.

    `subject` int64 [N]; `mated_*` [A] every mated pair, scores float64 and both images int64; `tail_*` [K] likewise the
    non-mated pairs of the highest scores. The weight of those not in the tail follows from the images of each subject.
    Raises DataError as `resample_pairs`, for images that do not exist, mated pairs that are missing, and where a
    threshold lies beyond the tail; it then says about how many scores are needed.
    """

def resample_at_threshold(
    embedding: NDArray[np.float32],
    subject: NDArray[np.int64],
    mated_score: NDArray[np.float64],
    mated_first: NDArray[np.int64],
    mated_second: NDArray[np.int64],
    threshold: float,
    *,
    seed: int,
    stream: int,
    replicates: int,
) -> Replicates:
    """Return FMR and FNMR of every replicate of all pairs of N images at a cosine, however many it accepts.

    `embedding` float32 [N, D], `subject` int64 [N]; `mated_*` [A] every mated pair, scores float64, both images int64.
    What `resample_all_pairs` returns with a tail that is long enough, to the bit: non-mated pairs are compared anew and
    none is held; beyond the mated pairs it takes as much memory as the embeddings, and some bits for each image in each
    replicate. Raises DataError as `rate_all_pairs` and `resample_pairs`, and for mated pairs that are missing;
    ConfigError for a number of replicates outside 1 to 1,000,000.
    """

def resample_accuracy(
    distance: NDArray[np.float64],
    mated: NDArray[np.bool_],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    protocol: Literal["insightface", "exact"],
    *,
    seed: int,
    stream: int,
    replicates: int,
) -> NDArray[np.float64]:
    """Return the ten-fold accuracy of every replicate, float64 [R], from squared L2 distances in file order.

    Pairs stay in their folds (`tenfold_accuracy`) and count as often as the replicate has them, in the choice of
    thresholds and in each fold's share of correct decisions; the mean is over the folds that hold pairs. Raises as
    `resample_pairs`, DataError for fewer than ten pairs and ConfigError for another protocol.
    """
