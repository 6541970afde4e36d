"""Embeddings of a whole set of images: decoded ahead of the network, in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sdx.errors import ArtefactError
from sdx.evaluation.images import Images
from sdx.teachers import Embedder
from sdx.types import Frame

BATCH = 128
"""Images decoded at once and given to the network together."""

_AHEAD = 3
"""Batches decoded or waiting while the network works: enough to hide decoding, few enough to bound memory."""


def embed(
    model: Embedder,
    images: Images,
    frame: Frame,
    *,
    flip: bool = False,
    batch: int = BATCH,
    device: torch.device | str = "cpu",
) -> NDArray[np.float32]:
    """Return the raw embeddings of all images.

    Args:
        model: what embeds.
        images: M square images.
        frame: how a face sits in its image.
        flip: embed each image's mirror image too.
        batch: images at once; memory grows with it and nothing else does.
        device: where ``model`` wants its faces.

    Returns:
        float32 [V, M, D]; V is 1, or 2 with ``flip``: as they are, and mirrored. Raises ArtefactError where the model
        gives a number that is not finite, and DataError where an image cannot be read.
    """
    found: NDArray[np.float32] | None = None
    for start, pixels in _read_ahead(images, batch):
        face = to_face(torch.from_numpy(pixels).to(device))
        with torch.inference_mode():
            views = [face, face.flip(3)] if flip else [face]
            embedding = torch.stack([model.embed(view, frame) for view in views]).float().cpu().numpy()
        if not np.isfinite(embedding).all():
            bad = start + int(np.argmin(np.isfinite(embedding).all((0, 2))))
            raise ArtefactError(
                f"{model.name}: expected finite embeddings, got NaN or infinity for image {bad}: its weights are "
                "damaged or its training diverged"
            )
        if found is None:
            found = np.empty((len(views), len(images), embedding.shape[2]), np.float32)
        found[:, start : start + len(pixels)] = embedding
    if found is None:
        raise ValueError("expected at least one image, got none")
    return found


def to_face(pixels: Tensor) -> Tensor:
    """Return uint8 [B, S, S, 3] as faces, float32 [B, 3, S, S] in [-1, 1], channels_last in memory without a copy."""
    return pixels.permute(0, 3, 1, 2).to(torch.float32).sub_(127.5).div_(127.5)


def _read_ahead(images: Images, batch: int) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Yield (position of the first, uint8 [b, S, S, 3]) over all images, decoding ahead in two threads."""
    waiting: deque[tuple[int, Future[NDArray[np.uint8]]]] = deque()
    pool = ThreadPoolExecutor(2, thread_name_prefix="sdx-decode")
    try:
        for start in range(0, len(images), batch):
            waiting.append((start, pool.submit(images.read, start, min(start + batch, len(images)))))
            if len(waiting) > _AHEAD:
                first, pixels = waiting.popleft()
                yield first, pixels.result()
        while waiting:
            first, pixels = waiting.popleft()
            yield first, pixels.result()
    finally:
        pool.shutdown(cancel_futures=True)
