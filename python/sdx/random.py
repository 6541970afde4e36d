"""Counter-based random numbers: Philox4x32-10 keyed by (seed, stream, image index, element), computed in Rust."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sdx import _core
from sdx.types import Stream


@dataclass(frozen=True)
class Philox:
    """All random numbers of one seed; no state, so resuming and batch splits change nothing (`sdx.types.Random`)."""

    seed: int

    def normals(self, stream: Stream, index: NDArray[np.int64], count: int) -> NDArray[np.float32]:
        """Return standard normals, float32 [len(index), count], the same bits on every CPU."""
        return _core.normals(self.seed, int(stream), np.ascontiguousarray(index), count)

    def uniforms(self, stream: Stream, index: NDArray[np.int64], count: int) -> NDArray[np.float32]:
        """Return uniforms in [0, 1), float32 [len(index), count]."""
        return _core.uniforms(self.seed, int(stream), np.ascontiguousarray(index), count)

    def permutation(self, stream: Stream, index: int, length: int) -> NDArray[np.int64]:
        """Return a random order of range(length), int64 [length], a pure function of (seed, stream, index)."""
        bits = _core.philox(self.seed, int(stream), np.array([index], np.int64), 2 * length)[0]
        keys = bits[0::2].astype(np.uint64) << np.uint64(32) | bits[1::2]
        return np.argsort(keys, kind="stable").astype(np.int64)
