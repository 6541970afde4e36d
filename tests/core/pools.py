"""Batches to push and pools that hold one, for the tests of the pool."""

import numpy as np

from sdx import _core

KEY = {"seed": 3, "stream": 11, "steer": "mean"}


def columns(n, students=2, seed=0, vector=0):
    """A batch to push, by the names of `push`."""
    rng = np.random.default_rng(seed)
    return {
        "root": np.arange(n),
        "hops": rng.integers(0, 9, n),
        "index": rng.integers(0, 2**40, (n, 8)),
        "scale": rng.random((n, 8), np.float32),
        "similarity": rng.uniform(-1, 1, (students, n)).astype(np.float32),
        "reliability": rng.uniform(-0.2, 1, n).astype(np.float32),
        "group": rng.integers(-1, 3, n),
        "images_seen": 100,
        **({"vector": rng.normal(size=(n, vector)).astype(np.float32)} if vector else {}),
    }


def filled(n=20, students=2, **options):
    pool = _core.LatentPool(options.pop("capacity", n), students, **{**KEY, **options})
    ids, evicted = pool.push(**columns(n, students, vector=options.get("vector", 0)))
    assert len(evicted) == 0
    return pool, ids
