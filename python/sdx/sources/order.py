"""Which stored face an image number means: a new random order every epoch, some faces kept for validation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sdx.types import HELD_OUT, Random, Stream

HELD_OUT_SHARE = 20
"""One face in so many is kept for validation."""
_SPLIT = HELD_OUT  # epoch number of the shuffle that separates the held-out faces


class Order:
    """The order of ``count`` stored faces, a pure function of the seed.

    Args:
        random: random numbers of the run's seed.
        count: faces, at least two.
    """

    train: NDArray[np.int64]
    """The faces that are trained on, ascending."""
    held_out: NDArray[np.int64]
    """The others."""

    def __init__(self, random: Random, count: int) -> None:
        split = random.permutation(Stream.SHUFFLE, _SPLIT, count)
        kept = max(1, count // HELD_OUT_SHARE)
        self.held_out, self.train = split[:kept], np.sort(split[kept:])
        self._random = random
        self._epoch: tuple[int, NDArray[np.int64]] = (-1, np.empty(0, np.int64))

    def place(self, index: int) -> int:
        """Return where in `train`, or in `held_out` from image number `HELD_OUT` on, an image's face stands."""
        if index >= HELD_OUT:
            return (index - HELD_OUT) % len(self.held_out)
        epoch, place = divmod(index, len(self.train))
        if self._epoch[0] != epoch:
            self._epoch = (epoch, self._random.permutation(Stream.SHUFFLE, epoch, len(self.train)))
        return int(self._epoch[1][place])

    def face(self, index: int) -> int:
        """Return the number, in 0..count - 1, of the stored face that an image shows."""
        part = self.held_out if index >= HELD_OUT else self.train
        return int(part[self.place(index)])
