"""The pool of latents."""

from typing import Literal, final

import numpy as np
from numpy.typing import NDArray

@final
class LatentPool:
    """Faces worth another visit, each a lineage from which its latent is recomputed, with how hard it is.

    An id names an entry until it is evicted, and no later one. The state is a function of the sequence of calls:
    processes that make the same calls hold the same pool. 70 + 8 students + 2 vector bytes an entry once the pool
    is full, and 16 for each hop beyond the first.
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
        vector: int = 0,
    ) -> LatentPool:
        """Make an empty pool of at most `capacity` (1 to 2**28) entries, observed by 1 to 64 students.

        `steer` says whose similarity makes the priority: their mean, the lowest, or that of one student. Smoothed
        similarity = smoothing x old + (1 - smoothing) x new, smoothing in [0, 1). `eviction` says who leaves a full
        pool: the entry of lowest priority (the oldest of equals; or the newcomer, where it is easier than all), the one
        pushed first, or any. Seed in [0, 2**64) and stream in [0, 2**32) key all draws. `vector` numbers in float16, at
        most 2**16, are kept of each entry. Raises ConfigError for other values.
        """

    @property
    def capacity(self) -> int:
        """Most entries."""
    @property
    def students(self) -> int:
        """Number of students observed."""
    @property
    def vector(self) -> int:
        """Numbers in the vector of an entry, 0 where none is kept."""
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
        vector: NDArray[np.float32] | None = None,
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Add n entries in order; return their ids, int64 [n], -1 for one refused as too easy, and the ids evicted.

        `root` int64 [n], at least 0; `hops` int64 [n], 0 to 8; `index` int64 [n, 8] and `scale` float32 [n, 8], at
        least 0, unread beyond `hops`; `similarity` float32 [students, n], cosine of student and teacher; `reliability`
        float32 [n], the teacher's cosine between a face and its mirror image; `group` int64 [n], -1 where unknown,
        below 2**31; `vector` float32 [n, self.vector], where vectors are kept, each number rounded to the nearest of
        float16, of two to the even one. Raises DataError for a value out of range (a cosine may exceed 1 by 0.01,
        vectors end at 65504) or not finite, another length, or vectors that are missing, ValueError for another shape;
        nothing is then added.
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

    def vectors(self, id: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the vectors of entries, float32 [n, self.vector], as float16 holds them.

        Raises DataError for an id that is not in the pool.
        """

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
