"""What a sampler may ask about the faces it proposed, beyond how alike student and teacher found them."""

from __future__ import annotations

import torch
from torch import Tensor

from sdx.training.frozen import Frozen
from sdx.types import Batch


class Evidence:
    """A batch that was just trained on; nothing is computed that nobody asks for. Good until the next batch is drawn.

    Args:
        batch: the batch.
        frozen: what drew it.
    """

    def __init__(self, batch: Batch, frozen: Frozen) -> None:
        self._batch = batch
        self._frozen = frozen

    def group(self) -> Tensor:
        """Return the groups that the source knows, int64 [B] on the host, -1 where it knows none."""
        group = self._batch.group
        return torch.full((len(self._batch),), -1) if group is None else group.cpu()

    def reliability(self, rows: Tensor) -> Tensor:
        """Return the teacher's cosine between face and mirror image, float32 [n] on the host, of rows int64 [n].

        A teacher that does not know a face in the mirror tells little of it: the face may be none. Costs a teacher pass
        of n faces. Raises ConfigError where there is no teacher.
        """
        return self._frozen.reliability(self._batch, rows)
