"""Faces of a run drawn again from its seed and lineages, bit for bit on the same CPU and thread count."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sdx import config as configuration
from sdx import devices
from sdx.config import RunConfig
from sdx.errors import ConfigError, DataError
from sdx.random import Philox
from sdx.sources import LatentSource
from sdx.training import ledger, run, sampling, tracking
from sdx.training.frozen import Frozen
from sdx.training.lineage import HOPS, Lineage
from sdx.types import Proposal


@dataclass(frozen=True)
class Portrait:
    """One image of a run.

    Args:
        index: its number.
        scale: size of the step that led to its latent, 0 for a root.
        cosine: of student and teacher on it before the step of training, the one that steers the sampler.
        face: float32 [3, S, S], in [-1, 1], as the teacher saw it.
    """

    index: int
    scale: float
    cosine: float
    face: Tensor


class Replay:
    """The images that a run trained on.

    An image is drawn with the whole batch that it was drawn in: some kernels give other bits for another batch size.

    Args:
        folder: the run folder.
        own: the ``module:Name`` of the run's source, where it is the user's: no file may ask for code.

    Raises ConfigError where that is no run folder, for a source of the user's that is not named, and for a sampler of
    the user's; DataError for a lineage.bin that is none; and whatever building the source raises.
    """

    def __init__(self, folder: Path, own: str | None = None) -> None:
        self._path = folder / ledger.NAME
        config = configuration.load(folder / "config.toml", RunConfig)
        self._kind, self._batch = config.sampler.kind, config.batch
        if self._kind not in sampling.BUILT_IN:
            raise ConfigError(
                f"{folder}: expected a run of sampler {', '.join(sampling.BUILT_IN)}, got {self._kind}, whose latents "
                "are its own"
            )
        if ":" in (source := config.source.kind) and source != own:
            raise ConfigError(
                f"{folder}: source {source!r} is code outside of sdx, which no file may ask for: if you trust it, name "
                f"it yourself with --own {source}"
            )
        self._first, self._records = ledger.read(folder)
        self._source, self._device = run.source_of(config)
        self._exact = config.precision == "fp32"
        self._random = Philox(config.seed)
        self._frozen = Frozen(self._source, None, config.augment, self._random, self._device, None)
        self._drawn = -1, torch.empty(0)  # place of the first image of the last batch drawn, and its faces
        self.remark = _remark(folder)

    @property
    def has_latents(self) -> bool:
        """Whether the images have latents, so that one could be derived from another."""
        return isinstance(self._source, LatentSource)

    def ancestry(self, index: int) -> list[Portrait]:
        """Return the root of an image, the image after each hop, and the image itself, at most nine.

        Raises DataError for an image that the run did not draw, and for a lineage that cannot be.
        """
        if not self._is_there(index):
            since = f" after the first {self._first}" if self._first else ""
            got = f"image {index}: expected one of the {len(self._records)} that the run drew{since}, got none of them"
            raise DataError(got)
        return [self._portrait(number) for number in self._line(index)]

    def _portrait(self, index: int) -> Portrait:
        place = self._place(index)
        first = place - place % self._batch
        if self._drawn[0] != first:
            with devices.using(self._device, exact=self._exact):
                self._drawn = first, self._draw(first)
        record = self._record(index)
        return Portrait(index, float(record["scale"]), float(record["cosine"]), self._drawn[1][place - first].clone())

    def _draw(self, first: int) -> Tensor:
        """Return the faces of the batch whose first image has that place, float32 [B, 3, S, S] on the host."""
        if (there := self._first + len(self._records) - first) < self._batch:
            raise DataError(f"{self._path}: expected a whole batch of {self._batch} images, got {there} of the last")
        index = sampling.numbers(self._kind, self._batch, np.arange(first, first + self._batch))
        latent = None
        if isinstance(self._source, LatentSource):
            with np.errstate(over="ignore"):
                latent = self._lineage(index).latent(self._source, self._random)
            if not bool(latent.isfinite().all()):
                raise DataError(f"{self._path}: expected steps to finite latents, got one beyond float32")
        root = torch.full((len(index),), -1), torch.zeros(len(index))  # what draws does not look at parents
        return self._frozen(Proposal(torch.from_numpy(index), latent, *root)).face.cpu()

    def _lineage(self, index: NDArray[np.int64]) -> Lineage:
        lines = [self._line(int(number)) for number in index]
        lineage = Lineage.roots(np.array([line[0] for line in lines]))
        for row, (_, *hops) in enumerate(lines):
            lineage.hops[row] = len(hops)
            lineage.index[row, : len(hops)] = hops
            lineage.scale[row, : len(hops)] = [self._record(hop)["scale"] for hop in hops]
        return lineage

    def _line(self, index: int) -> list[int]:
        """Return the numbers of an image's root, its hops and itself, as `Lineage.child` keeps them."""
        line = [index]
        while (parent := self._parent(line[-1])) is not None:
            line.append(parent)
        line.reverse()
        return [*line[:HOPS], index] if len(line) > HOPS else line

    def _parent(self, index: int) -> int | None:
        """Return the number of the image that an image was derived from, None for a root."""
        if not self._is_there(index):
            raise DataError(f"{self._path}: expected a record of image {index}, an ancestor, got none")
        record = self._record(index)
        parent = int(record["parent"])
        if parent == -1:
            return None
        is_earlier = parent >= 0 and self._place(parent) // self._batch < self._place(index) // self._batch
        if not (is_earlier and math.isfinite(record["scale"])):
            raise DataError(
                f"{self._path}: expected image {index} to be a finite step away from an image of an earlier batch, got "
                f"a step of {record['scale']} from image {parent}"
            )
        return parent

    def _record(self, index: int) -> np.void:
        record: np.void = self._records[self._place(index) - self._first]
        return record

    def _is_there(self, index: int) -> bool:
        return self._first <= self._place(index) < self._first + len(self._records)

    def _place(self, index: int) -> int:
        """Return the place of an image in training, whether it was reached or not."""
        return int(sampling.places(self._kind, self._batch, np.array([index]))[0])


def _remark(folder: Path) -> str | None:
    """Return what may make the bits differ from those of the run, as far as it is known."""
    path = folder / "metrics.jsonl"
    if not path.exists():
        return None
    here = {"torch": torch.__version__, "threads": torch.get_num_threads()}
    for row in tracking.read(path):
        for name, value in here.items():
            if row.get("event") == "start" and row.get(name, value) != value:
                return f"drawn with {name} {value}, trained with {row[name]}: the last bits may differ"
    return None
