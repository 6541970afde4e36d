"""Hard-sample selection."""

import numpy as np
from numpy.typing import NDArray

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
