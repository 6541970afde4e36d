"""Typed face of the Rust extension; `rust/py` is its source and stubtest holds the two together.

Arrays go in as they are: another dtype or dimension is a TypeError, a strided array a ValueError; none is copied. The
caller must not write to one meanwhile. Bad files and values raise `sdx.errors.DataError`, settings out of range
`sdx.errors.ConfigError`, negative counts OverflowError.
"""

from os import PathLike
from typing import Literal, final

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Curve",
    "LatentPool",
    "OperatingPoint",
    "PoolEntries",
    "PoolStatistics",
    "TenFold",
    "VerificationBin",
    "normals",
    "philox",
    "priorities",
    "read_verification_bin",
    "select_above",
    "select_sample",
    "select_top",
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
class LatentPool:
    """Faces worth another visit, each a lineage from which its latent is recomputed, with how hard it is.

    An id names an entry until it is evicted, and no later one. The state is a function of the sequence of calls:
    processes that make the same calls hold the same pool. 55 + 8 students + 16 hops bytes an entry once the pool is
    full.
    """

    def __new__(
        cls,
        capacity: int,
        students: int,
        *,
        seed: int,
        stream: int,
        steer: Literal["mean", "hardest"] | int,
        smoothing: float = 0.0,
        eviction: Literal["easiest", "oldest", "random"] = "easiest",
    ) -> LatentPool:
        """Make an empty pool of at most `capacity` (1 to 2**28) entries, observed by 1 to 64 students.

        `steer` says whose similarity makes the priority: their mean, the lowest, or that of one student. Smoothed
        similarity = smoothing x old + (1 - smoothing) x new, smoothing in [0, 1). `eviction` says who leaves a full
        pool: the entry of lowest priority (the oldest of equals; or the newcomer, where it is easier than all), the one
        pushed first, or any. Seed in [0, 2**64) and stream in [0, 2**32) key all draws. Raises ConfigError for other
        values.
        """

    @property
    def capacity(self) -> int:
        """Most entries."""
    @property
    def students(self) -> int:
        """Number of students observed."""
    @property
    def nbytes(self) -> int:
        """Bytes of memory held."""
    @property
    def total(self) -> int:
        """Sum of the draw weights, in units of 2**-30 of priority; exact."""
    def __len__(self) -> int: ...
    def push(
        self,
        root: NDArray[np.int64],
        hops: NDArray[np.int64],
        index: NDArray[np.int64],
        scale: NDArray[np.float32],
        similarity: NDArray[np.float32],
        reliability: NDArray[np.float32],
        group: NDArray[np.int64],
        images_seen: int,
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Add n entries in order; return their ids, int64 [n], -1 for one refused as too easy, and the ids evicted.

        `root` int64 [n], at least 0; `hops` int64 [n], 0 to 8; `index` int64 [n, 8] and `scale` float32 [n, 8], at
        least 0, unread beyond `hops`; `similarity` float32 [students, n], cosine of student and teacher; `reliability`
        float32 [n], the teacher's cosine between a face and its mirror image; `group` int64 [n], -1 where unknown,
        below 2**31. Raises DataError for a value out of range (a cosine may exceed 1 by 0.01) or not finite, or another
        length, ValueError for another shape; nothing is then added.
        """

    def observe(self, id: NDArray[np.int64], similarity: NDArray[np.float32], images_seen: int) -> NDArray[np.bool_]:
        """Take note of similarities, float32 [students, n]; return bool [n], false where an id is not in the pool.

        Raises DataError for a number that is no cosine, ValueError for another shape; nothing is then noted.
        """

    def evict(self, id: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Remove entries, int64 [n]; return bool [n], false where an id was not in the pool."""

    def draw(self, count: int, number: int, exploration: float = 0.0) -> NDArray[np.int64]:
        """Draw entries by priority without replacement; return their ids, int64 [count], in the order drawn.

        A function of the state, the pool's seed and stream, and `number` (at least 0); the pool is left as it was. The
        last `exploration` (in [0, 1]) of the draws are made with equal chances. Raises ConfigError for more than there
        are, or a value out of range.
        """

    def hardest(self, count: int) -> NDArray[np.int64]:
        """Return the ids of the entries of highest priority, int64 [at most count], hardest first."""

    def ids(self) -> NDArray[np.int64]:
        """Return the ids of all entries, int64 [len(self)], in the order of their places."""

    def priorities(self) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return priority, float32, and group, int64, of all entries, in the order of `ids`: what `select_*` take."""

    def entries(self, id: NDArray[np.int64]) -> PoolEntries:
        """Return what is known of entries, int64 [n]; raises DataError for an id that is not in the pool."""

    def statistics(self, images_seen: int) -> PoolStatistics:
        """Count the entries by difficulty, age, number of hops and group."""

    def snapshot(self) -> NDArray[np.uint8]:
        """Return the whole state, uint8 [bytes]; equal states give equal bytes."""

    @staticmethod
    def restore(snapshot: NDArray[np.uint8]) -> LatentPool:
        """Return the pool of a snapshot; raises DataError, naming the byte, or ConfigError for what no pool wrote."""

@final
class PoolEntries:
    """Columns of n entries of a pool."""

    @property
    def root(self) -> NDArray[np.int64]:
        """Index of the root latent, int64 [n]."""
    @property
    def hops(self) -> NDArray[np.int64]:
        """Number of hops, 0 to 8, int64 [n]."""
    @property
    def index(self) -> NDArray[np.int64]:
        """Index of each hop, -1 beyond `hops`, int64 [n, 8]."""
    @property
    def scale(self) -> NDArray[np.float32]:
        """Scale of each hop, 0 beyond `hops`, float32 [n, 8]."""
    @property
    def latest(self) -> NDArray[np.float32]:
        """Similarity at the last visit, float32 [students, n]."""
    @property
    def smoothed(self) -> NDArray[np.float32]:
        """Smoothed similarity, float32 [students, n]."""
    @property
    def reliability(self) -> NDArray[np.float32]:
        """The teacher's cosine between a face and its mirror image, float32 [n]."""
    @property
    def priority(self) -> NDArray[np.float32]:
        """Gap of the smoothed similarity that steers, times reliability, float32 [n]."""
    @property
    def group(self) -> NDArray[np.int64]:
        """Group, -1 where unknown, int64 [n]."""
    @property
    def visits(self) -> NDArray[np.int64]:
        """Number of visits, the push included, int64 [n]."""
    @property
    def last_visit(self) -> NDArray[np.int64]:
        """Images seen at the last visit, int64 [n]."""
    @property
    def pushed(self) -> NDArray[np.int64]:
        """Number of the push, counted from 0 over the pool's life, int64 [n]."""

@final
class PoolStatistics:
    """Numbers of entries of a pool, by what they are."""

    @property
    def difficulty(self) -> NDArray[np.int64]:
        """By gap of the smoothed similarity that steers, bin b from b / 20, the last without end, int64 [40]."""
    @property
    def age(self) -> NDArray[np.int64]:
        """By images seen since the last visit, bin 0 for 0, bin b from 2**(b - 1), int64 [64]."""
    @property
    def hops(self) -> NDArray[np.int64]:
        """By number of hops, int64 [9]."""
    @property
    def group(self) -> dict[int, int]:
        """By group, -1 where unknown."""

def priorities(similarity: NDArray[np.float32], reliability: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return gap x reliability, float32 [n]: gap = 1 - similarity; a negative gap or reliability counts as 0.

    Both float32 [n]. Raises DataError for unequal lengths, NaN, or a number more than 0.01 outside [-1, 1].
    """

def select_top(
    priority: NDArray[np.float32],
    count: int,
    *,
    group: NDArray[np.int64] | None = None,
    quota: dict[int, int] | None = None,
    vector: NDArray[np.float32] | None = None,
    cosine: float | None = None,
) -> NDArray[np.int64]:
    """Return the positions of the highest priorities, int64 [at most count], highest first, the lower of equals first.

    `priority` float32 [n], finite, at least 0. With `group`, int64 [n], and `quota`, at most quota[g] picks are of
    group g; groups not named have no limit. With `vector`, float32 [n, d], finite and not zero, and `cosine`, in [-1,
    1], no two picks have a higher cosine than that. Who is forbidden is passed over. Raises DataError for other values,
    ValueError for another shape, ConfigError for one of two or another bound.
    """

def select_above(
    priority: NDArray[np.float32],
    threshold: float,
    count: int | None = None,
    *,
    group: NDArray[np.int64] | None = None,
    quota: dict[int, int] | None = None,
    vector: NDArray[np.float32] | None = None,
    cosine: float | None = None,
) -> NDArray[np.int64]:
    """As `select_top`, of priorities at or above a threshold alone, by default all; ConfigError for NaN."""

def select_sample(
    priority: NDArray[np.float32],
    count: int,
    *,
    seed: int,
    stream: int,
    number: int,
    alpha: float = 1.0,
    temperature: float | None = None,
    exploration: float = 0.0,
    group: NDArray[np.int64] | None = None,
    quota: dict[int, int] | None = None,
    vector: NDArray[np.float32] | None = None,
    cosine: float | None = None,
) -> NDArray[np.int64]:
    """Return positions drawn without replacement, int64 [at most count], in the order drawn.

    Chances are in proportion to priority**alpha or, with a temperature (above 0), to exp(priority**alpha /
    temperature); the last `exploration` (in [0, 1]) of the picks are drawn with equal chances. A function of the
    arguments: (seed, stream, number) key the draw, number at least 0. The rest is as for `select_top`; ConfigError for
    a setting out of range.
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
