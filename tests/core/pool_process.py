"""A pool kept by each of several processes that share out the images: prints the digest of its state after each batch.

    python -m torch.distributed.run --nproc-per-node 2 tests/core/pool_process.py FOLDER [local]

Each process measures its own part of a batch alone, and all hear of the rest, put back in the order of the image
numbers, before anything enters the pool. With ``local`` each keeps to what it measured.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import numpy as np
import torch
from pools import KEY
from torch import Tensor, distributed

from sdx import _core
from sdx.pretrain.workers import Workers, join

BATCH, BATCHES, STUDENTS = 24, 12, 2


def measured(index: Tensor) -> Tensor:
    """Similarities, float32 [STUDENTS, n], that depend on the image's number alone."""
    return torch.from_numpy(_core.uniforms(5, 0, index.contiguous().numpy(), STUDENTS).T.copy())


def gathered(workers: Workers, index: Tensor) -> Tensor:
    """The similarities of a whole batch, of which this process measured its share."""
    own = measured(workers.share(index))
    if workers.count == 1:
        return own
    parts = [torch.empty_like(own) for _ in range(workers.count)]
    distributed.all_gather(parts, own)
    return torch.stack(parts, dim=2).flatten(1)  # process r holds images r, r + count, ...


def train(workers: Workers, is_local: bool) -> list[str]:
    """Draw half of each batch from the pool, let it in again with what came of it, and the fresh ones too."""
    pool = _core.LatentPool(100, STUDENTS, **KEY)
    digests = []
    for number in range(BATCHES):
        index = torch.arange(number * BATCH, (number + 1) * BATCH)
        similarity = measured(workers.share(index)) if is_local else gathered(workers, index)
        known = (workers.share(index) if is_local else index).numpy()
        again = pool.draw(min(len(known) // 2, len(pool)), number, 0.25)
        pool.observe(again, similarity[:, : len(again)].contiguous().numpy(), int(index[0]))
        n = len(known) - len(again)
        pool.push(
            known[len(again) :].copy(),
            np.zeros(n, np.int64),
            np.zeros((n, 8), np.int64),
            np.zeros((n, 8), np.float32),
            similarity[:, len(again) :].contiguous().numpy(),
            np.ones(n, np.float32),
            np.full(n, -1, np.int64),
            int(index[-1]) + 1,
        )
        digests.append(hashlib.sha256(pool.snapshot().tobytes()).hexdigest())
    return digests


if __name__ == "__main__":
    with join() as joined:
        lines = train(joined, "local" in sys.argv[2:])
    Path(sys.argv[1], os.environ.get("RANK", "0")).write_text("\n".join(lines))
