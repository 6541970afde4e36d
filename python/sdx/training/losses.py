"""What a student minimises: embedding distance to the teacher, or a margin over labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor, nn

from sdx import plugins
from sdx.config import LossConfig
from sdx.errors import ConfigError
from sdx.training import schedule
from sdx.training.heads import ArcFaceHead
from sdx.types import Batch
from sdx_kernels import embedding_loss


class LossOutput(NamedTuple):
    """``loss``: a scalar to differentiate; ``similarity``: float32 [B], detached cosine that steers the sampler."""

    loss: Tensor
    similarity: Tensor


class Loss(nn.Module):
    """Base of all losses; a loss may own parameters, which are trained with the student's."""

    capturable = False
    """Whether `forward` reads embedding and target alone and never waits for the device: a graph can record it then."""

    def forward(self, embedding: Tensor, target: Tensor | None, batch: Batch, progress: float) -> LossOutput:
        """Return the loss of embeddings [B, D] against targets [B, D] or ``batch.label``.

        ``progress`` is the share of the run's images seen so far, in [0, 1].
        """
        raise TypeError(f"{type(self).__name__}: a loss has to define forward(embedding, target, batch, progress)")


class EmbeddingLoss(Loss):
    """mse * mean((s - t)^2) + cosine * mean(1 - cos(s, t)) over raw embeddings (SynthDistill has mse alone)."""

    capturable = True

    def __init__(self, mse: float, cosine: float) -> None:
        super().__init__()
        self.mse = mse
        self.cosine = cosine

    def forward(self, embedding: Tensor, target: Tensor | None, batch: Batch, progress: float) -> LossOutput:
        """See `Loss.forward`."""
        if target is None:
            raise ConfigError("loss: expected a teacher's embedding for every face, got none; give teacher=MODEL")
        return LossOutput(*embedding_loss(embedding, target, mse=self.mse, cosine=self.cosine))


class MarginLoss(Loss):
    """Cross-entropy over the labels of a labelled source with ArcFace's additive angular margin."""

    def __init__(self, config: LossConfig, embedding: int, classes: int) -> None:
        super().__init__()
        self.head = ArcFaceHead(embedding, classes, config.scale)
        self._config = config

    def forward(self, embedding: Tensor, target: Tensor | None, batch: Batch, progress: float) -> LossOutput:
        """See `Loss.forward`; the similarity is the cosine to the centre of the own class."""
        if batch.label is None:
            raise ConfigError("loss: margin expects a labelled source, got faces without labels")
        margin = schedule.margin(self._config, progress)
        logits, cosine = self.head(embedding, batch.label, margin)
        return LossOutput(nn.functional.cross_entropy(logits, batch.label), cosine.detach())


def build(config: LossConfig, *, embedding: int, teacher_embedding: int | None, classes: int, student: str) -> Loss:
    """Return the configured loss of one student.

    Args:
        config: the loss.
        embedding: the student's embedding size.
        teacher_embedding: the teacher's, None without a teacher.
        classes: labels of the source, 0 without.
        student: its name, for errors.

    Raises ConfigError for an unknown kind, or one that does not fit the sizes or the source.
    """
    known: dict[str, Callable[[], Loss]] = {
        "mse": lambda: EmbeddingLoss(1.0, 0.0),
        "cosine": lambda: EmbeddingLoss(0.0, 1.0),
        "mse+cosine": lambda: EmbeddingLoss(config.mse, config.cosine),
        "margin": lambda: MarginLoss(config, embedding, classes),
    }
    if config.kind == "margin" and classes < 2:
        raise ConfigError("loss: margin expects a labelled source, got one without labels")
    if config.kind in known:
        loss = known[config.kind]()
    elif ":" in config.kind:
        loss = plugins.load(config.kind)(config, embedding, classes)
    else:
        raise plugins.unknown("loss", config.kind, tuple(known))
    if isinstance(loss, EmbeddingLoss) and teacher_embedding not in (None, embedding):
        raise ConfigError(
            f"loss: {config.kind} compares embeddings of one size, got {teacher_embedding} of the teacher and "
            f"{embedding} of student {student}; leave students.{student}.embedding out"
        )
    return loss
