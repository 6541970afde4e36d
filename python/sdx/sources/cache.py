"""An index source of faces with their teacher's embeddings, as `sdx cache` keeps them: no teacher pass is needed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sdx.errors import ConfigError, DataError
from sdx.sources import cache_file
from sdx.sources.levels import to_faces
from sdx.sources.order import Order
from sdx.types import Batch, Frame, Random


class CacheSource:
    """The faces of a cache, in a new random order every epoch; each brings its target, and its label where it has one.

    Opening looks at every shard's header; a shard's checksum is compared when its first face is drawn, so that opening
    takes milliseconds, and a shuffled run has seen every shard after a few batches. Shards are mapped, not read.

    Args:
        path: a folder that `sdx cache` wrote.
        size: what the configuration expects a face to measure; None takes what there is.
        random: random numbers of the run's seed.

    Raises:
        ConfigError: for a size that is not the cache's: the embeddings are of these very pixels.
        DataError: for a folder that is no whole cache.
    """

    def __init__(self, path: str, size: int | None, random: Random) -> None:
        self._folder = Path(path)
        self.description = cache_file.read(self._folder)
        about = self.description
        if about.faces < about.settings.images:
            raise DataError(
                f"{path}: expected {about.settings.images} faces, got {about.faces} so far; give the same sdx cache "
                "command again"
            )
        cache_file.check(self._folder, about)
        if size not in (None, about.size):
            raise ConfigError(f"source.size: expected {about.size}, the size of the cached faces, or none, got {size}")
        self.frame: Frame = about.frame
        self.size = about.size
        self.classes = about.classes
        self.origin = about.source
        self.name = f"cache of {self.origin.name}"
        self.licence = self.origin.licence
        self.statement = self.origin.data
        self.skipped: list[str] = []
        self._order = Order(random, about.faces)
        self._first = np.cumsum([0, *(shard.faces for shard in about.shards)])
        self._open: dict[int, dict[str, Tensor]] = {}

    def draw(self, index: Tensor) -> Batch:
        """Return faces and targets of image numbers int64 [B], each epoch a permutation of all but the held-out faces.

        Raises DataError for a shard that is not the one described.
        """
        row = np.array([self._order.face(int(number)) for number in index], np.int64)
        found = self._rows(row)
        return Batch(
            index,
            to_faces(found["faces"]),
            target=found["embeddings"],
            label=found.get("labels"),
            group=found.get("groups"),
        )

    def _rows(self, row: NDArray[np.int64]) -> dict[str, Tensor]:
        """Return what the cache holds of faces int64 [B]."""
        shard = np.searchsorted(self._first, row, side="right") - 1
        parts: dict[str, list[Tensor]] = {}
        for number in np.unique(shard):
            within = torch.from_numpy(row[shard == number] - self._first[number])
            for name, tensor in self._shard(int(number)).items():
                parts.setdefault(name, []).append(tensor[within])
        back = torch.from_numpy(np.argsort(np.argsort(shard, kind="stable")))  # from the order of shards to the asked
        return {name: torch.cat(part)[back] for name, part in parts.items()}

    def _shard(self, number: int) -> dict[str, Tensor]:
        """Return a shard's tensors, compared with the description when it is first asked for."""
        if number not in self._open:
            path = cache_file.shard_path(self._folder, number)
            cache_file.digest(path, self.description.shards[number])
            found = cache_file.load_shard(path)
            if not bool(found["embeddings"].isfinite().all()):
                raise DataError(f"{path}: expected finite embeddings, got others; write the cache again with sdx cache")
            label = found.get("labels")
            if label is not None and not bool(((label >= 0) & (label < self.classes)).all()):
                raise DataError(f"{path}: expected labels below {self.classes}, got others; write the cache again")
            self._open[number] = found
        return self._open[number]
