"""Reproducible random numbers."""

import numpy as np
from numpy.typing import NDArray

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
