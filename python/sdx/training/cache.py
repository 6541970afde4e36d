"""The making of a cache: faces are drawn, brought to 256 levels, embedded by the teacher, and kept shard by shard."""

from __future__ import annotations

import contextlib
from pathlib import Path

import torch
from torch import Tensor

from sdx import config as configuration
from sdx import devices, files, sources, teachers
from sdx.config import RunConfig
from sdx.errors import ArtefactError, ConfigError
from sdx.sources import IndexSource, LatentSource, cache_file
from sdx.sources.cache_file import CacheSettings, Description
from sdx.sources.levels import to_bytes, to_faces
from sdx.teachers import Embedder
from sdx.training import run
from sdx.training.interruption import Interrupted, Interruption
from sdx.training.tracking import Display
from sdx.types import Batch

SHARD_BYTES = 64 << 20
"""Size of a shard where none is asked for: what an interruption may lose, and what one checksum covers."""

_TAKEN = "expected a folder that nobody writes, got one where sdx cache goes on; wait for it or give another --out"


class Writer:
    """Source and teacher of a run, and the folder that their faces and embeddings are kept in; `write` begins.

    The teacher sees the faces as they are kept, with 256 levels. Of a latent source the faces are the roots 0, 1, ...
    of the seed, of any other one its images 0, 1, ...

    Args:
        config: the run whose source, teacher, images, batch, seed, precision and device count.
        folder: where to write; a cache there that is not whole yet is gone on with.
        shard: faces of a shard, None for as many as fill `SHARD_BYTES`.

    Raises ConfigError for a run without a teacher, and for faces or embeddings of another shape than announced;
    ArtefactError for embeddings that are not finite; and whatever building source and teacher raises.
    """

    def __init__(self, config: RunConfig, folder: Path, shard: int | None = None) -> None:
        if (reference := config.teacher) is None:
            raise ConfigError("teacher: expected a model that embeds the faces, got none; give teacher=MODEL")
        config = run.with_precision(run.with_device(config, folder), folder)
        self.folder = folder
        self.source, self._device = run.source_of(config)
        policy = run.policy_of(config, self._device)
        self.teacher = teachers.build(reference, device=self._device, policy=policy)
        self._exact = config.precision == "fp32"
        self._batch = config.batch
        settings = _settings(config, shard or _length(self.source, self.teacher, config.batch))
        with devices.using(self._device, exact=self._exact):
            first = sources.by_number(self.source, torch.arange(1))
            self.description = _describe(settings, self.source, self.teacher, first)
            self._part(first.index)  # what source or teacher get wrong is told before anything is written

    def write(self) -> Description:
        """Write all shards that are not there yet and return the whole cache's description.

        Raises `Interrupted`, with every full shard in place, if asked to stop; ConfigError for a folder that cannot be
        written, has other files in it, holds another cache (with the differing keys), or is being written; DataError
        for a shard that is there and damaged.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with files.alone(self.folder, ConfigError(f"{self.folder}: {_TAKEN}")):
                self._claim()
                with Interruption() as interruption, devices.using(self._device, exact=self._exact):
                    self._write(interruption)
        except OSError as error:
            raise ConfigError(
                f"{self.folder}: cannot be written ({error.strerror or error}); free space or give another --out"
            ) from error
        cache_file.check(self.folder, self.description)
        return self.description

    def _write(self, interruption: Interruption) -> None:
        with contextlib.closing(Display(self.description.settings.images, self.description.faces)) as display:
            while (length := self.description.length(number := len(self.description.shards))) > 0:
                parts = []
                for first in range(0, length, self._batch):
                    if interruption.asked:
                        raise Interrupted
                    begin = self.description.faces + first
                    parts.append(self._part(torch.arange(begin, begin + min(self._batch, length - first))))
                    display.update(begin + len(parts[-1]["faces"]))
                whole = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
                made = cache_file.write_shard(cache_file.shard_path(self.folder, number), whole)
                shards = (*self.description.shards, made)
                self.description = self.description.model_copy(update={"shards": shards})
                cache_file.write(self.folder, self.description)

    def _part(self, index: Tensor) -> dict[str, Tensor]:
        """Return what is kept of image numbers int64 [B], on the host."""
        batch = sources.by_number(self.source, index)
        pixels = to_bytes(batch.face.to(self._device))
        target = self.teacher.embed(to_faces(pixels), self.source.frame).float()
        if not bool(target.isfinite().all()):
            raise ArtefactError(f"{self.teacher.name}: expected finite embeddings, got others; give another teacher")
        tensors = {"faces": pixels, "embeddings": target, "labels": batch.label, "groups": batch.group}
        kept = {}
        for name, shape in self.description.shapes(len(index)).items():
            tensor = tensors[name]
            if tensor is None or list(tensor.shape) != shape:
                got = "none" if tensor is None else list(tensor.shape)
                raise ConfigError(f"{self.source.name}: expected {name} {shape} of a batch, got {got}")
            kept[name] = tensor.cpu()
        return kept

    def _claim(self) -> None:
        """Take over the shards of this very cache, or begin it where the folder is empty."""
        if not (self.folder / cache_file.NAME).exists():
            if any(not path.name.startswith(".") for path in self.folder.iterdir()):
                raise ConfigError(f"{self.folder}: expected no folder, an empty one or a cache; give another --out")
            cache_file.write(self.folder, self.description)
            return
        there = cache_file.read(self.folder)
        if lines := _differences(there, self.description):
            raise ConfigError(f"{self.folder}: holds another cache ({'; '.join(lines)}); give another --out")
        # A shard that was put in place just before the end, and not described, is drawn again.
        cache_file.shard_path(self.folder, len(there.shards)).unlink(missing_ok=True)
        cache_file.check(self.folder, there)
        for number, shard in enumerate(there.shards):
            cache_file.digest(cache_file.shard_path(self.folder, number), shard)
        self.description = there


def _settings(config: RunConfig, shard: int) -> CacheSettings:
    values = config.decisive()
    kept = {key: values[key] for key in CacheSettings.model_fields if key != "shard"}
    return configuration.validate({**kept, "shard": shard}, CacheSettings)


def _length(source: LatentSource | IndexSource, teacher: Embedder, batch: int) -> int:
    """Return how many faces, in whole batches, fill a shard."""
    return max(SHARD_BYTES // (3 * source.size**2 + 4 * teacher.embedding) // batch, 1) * batch


def _describe(
    settings: CacheSettings, source: LatentSource | IndexSource, teacher: Embedder, first: Batch
) -> Description:
    own, *provenance = teachers.origins(teacher)
    return Description(
        settings=settings,
        size=source.size,
        frame=source.frame,
        classes=source.classes,
        groups=first.group is not None,
        source=sources.origin(source),
        teacher=own,
        provenance=tuple(provenance),
        embedding=teacher.embedding,
        shards=(),
    )


def _differences(there: Description, now: Description) -> list[str]:
    """Return one line for each key of two caches that differs, but for the shards that are in place."""
    lines = configuration.differences(there.settings, now.settings, "the cache")
    if there.teacher != now.teacher:
        pair = [f"{one.name} ({one.sha256[:12]})" for one in (there.teacher, now.teacher)]
        lines.append(f"teacher: {pair[0]} in the cache, {pair[1]} now")
    names = ("size", "frame", "classes", "groups", "source", "provenance", "embedding")
    lines.extend(f"{name}: another one now" for name in names if getattr(there, name) != getattr(now, name))
    return lines
