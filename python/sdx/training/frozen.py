"""What is frozen in a step: from a sampler's proposal to faces and the teacher's embeddings, on the run's device."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from sdx import sources
from sdx.config import AugmentConfig
from sdx.errors import ConfigError
from sdx.sources import IndexSource, LatentSource
from sdx.teachers import Embedder, Teacher
from sdx.training import augment
from sdx.training.graphs import Graphed, Recorder
from sdx.types import Batch, Proposal, Random


class Frozen:
    """Source and teacher of a run, of which no gradient is wanted; recorded as one graph where both can be.

    A source that draws on the host is called plainly, and so is a teacher of the user's; the other is recorded still.

    Args:
        source: where faces come from.
        teacher: what embeds them, None for labels alone.
        config: of the augmentation that both see.
        random: random numbers of the run's seed.
        device: where faces and embeddings are wanted.
        recorder: what records, None to call everything plainly.
    """

    def __init__(
        self,
        source: LatentSource | IndexSource,
        teacher: Embedder | None,
        config: AugmentConfig,
        random: Random,
        device: torch.device,
        recorder: Recorder | None,
    ) -> None:
        self._source = source
        self._teacher = teacher
        self._config = config
        self._random = random
        self._device = device
        records_source = recorder is not None and bool(getattr(source, "capturable", False))
        records_teacher = recorder is not None and isinstance(teacher, Teacher)
        is_one = records_source and (records_teacher or teacher is None)
        self._whole = Graphed(self._draw_and_show, recorder) if is_one else None
        self._draw = Graphed(self._face, recorder) if records_source else None
        self._show = Graphed(self._shown, recorder if records_teacher else None)

    def __call__(self, proposal: Proposal) -> Batch:
        """Return the batch proposed, with the faces that teacher and student alike see, and with its target.

        Raises whatever the source raises. The next call may overwrite face and target: clone what is kept.
        """
        flip = augment.mirrored(self._config, proposal.index, self._random)
        flip = None if flip is None else flip.to(self._device)
        if self._draw is None or proposal.latent is None:
            batch = sources.draw(self._source, proposal).on(self._device)
        else:
            index, latent = proposal.index.to(self._device), proposal.latent.to(self._device)
            if self._whole is not None:
                face, target = self._whole(index, latent, flip)
                return Batch(proposal.index, face, latent=latent, target=target)
            batch = Batch(proposal.index, self._draw(index, latent), latent=latent)
        if batch.target is not None:
            return replace(batch, face=augment.shared(batch.face, flip))
        face, target = self._show(batch.face, flip)
        return replace(batch, face=face, target=target)

    def target(self, batch: Batch) -> Tensor | None:
        """Return the target [B, D] of a batch as it is, not recorded: of held-out faces, which are seen once."""
        return self._embed(batch.face) if batch.target is None else batch.target

    def reliability(self, batch: Batch, rows: Tensor) -> Tensor:
        """Return the teacher's cosine between face and mirror image, see `Evidence.reliability`; not recorded."""
        if self._teacher is None or batch.target is None:
            raise ConfigError("reliability: expected a teacher to show mirror images to, got none; give teacher=MODEL")
        rows = rows.to(self._device)
        mirrored = self._teacher.embed(batch.face[rows].flip(3), self._source.frame).to(self._device)
        return cosine_similarity(mirrored, batch.target[rows]).cpu()

    def _embed(self, face: Tensor) -> Tensor | None:
        if self._teacher is None:
            return None
        return self._teacher.embed(face, self._source.frame).to(self._device)

    def _face(self, index: Tensor, latent: Tensor) -> Tensor:
        return cast(LatentSource, self._source).draw(index, latent).face

    def _shown(self, face: Tensor, flip: Tensor | None) -> tuple[Tensor, Tensor | None]:
        face = augment.shared(face, flip)
        return face, self._embed(face)

    def _draw_and_show(self, index: Tensor, latent: Tensor, flip: Tensor | None) -> tuple[Tensor, Tensor | None]:
        return self._shown(self._face(index, latent), flip)
